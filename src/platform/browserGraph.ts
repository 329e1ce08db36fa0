// The entry "steepest/graph" in browsers.
import "./browserKernels.js";
import "./browserThreads.js";

export * from "../graph.js";
