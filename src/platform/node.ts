// The entry "steepest" under Node.
import "./nodeDisplay.js";
import "./nodeKernels.js";
import "./nodeThreads.js";

export * from "../index.js";
