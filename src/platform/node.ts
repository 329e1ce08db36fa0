// The entry "steepest" under Node.
import "./nodeKernels.js";

export * from "../index.js";
