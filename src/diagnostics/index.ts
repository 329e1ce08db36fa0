// steepest/diagnostics: warnings of the classic mistakes, and where a step's time goes. The public names, nothing else.
export type { Warn, Warning } from "../train/warnings.js";
export { type ProfileOptions, profile } from "./profile.js";
export type { FlameNode, Profile, ProfileData, ProfiledInstruction, Timed, TraceEvent } from "./profileReport.js";
export { type Watched, type WatchOptions, watchTraining } from "./watch.js";
