// The entry "steepest" under Node.
import "./nodeKernels.js";
import "./nodeThreads.js";

export * from "../index.js";
