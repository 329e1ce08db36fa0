// The entry "steepest/graph" on edge runtimes.
import "./edgeKernels.js";

export * from "../graph.js";
