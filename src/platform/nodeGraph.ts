// The entry "steepest/graph" under Node.
import "./nodeKernels.js";
import "./nodeThreads.js";

export * from "../graph.js";
