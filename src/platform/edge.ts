// The entry "steepest" on edge runtimes.
import "./edgeKernels.js";

export * from "../index.js";
