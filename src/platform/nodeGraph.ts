// The entry "steepest/graph" under Node.
import "./nodeKernels.js";

export * from "../graph.js";
