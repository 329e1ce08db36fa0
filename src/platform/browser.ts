// The entry "steepest" in browsers.
import "./browserKernels.js";
import "./browserThreads.js";

export * from "../index.js";
