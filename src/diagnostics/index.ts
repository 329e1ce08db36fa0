// steepest/diagnostics: warnings of the classic mistakes, and where a step's time goes. The public names, nothing else.
export type { Warn, Warning } from "../train/warnings.js";
export { type Watched, type WatchOptions, watchTraining } from "./watch.js";
