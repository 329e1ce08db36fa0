// The public names of steepest/callbacks: what a fit can be told of, ready-made.
export type {
  Callback,
  EndContext,
  EpochContext,
  FitContext,
  FitEnd,
  FitSetup,
  SaveContext,
  StepContext,
} from "../train/callbacks.js";
export { type CheckpointsOptions, type CheckpointTarget, checkpoints } from "./checkpoints.js";
export { type EarlyStopping, type EarlyStoppingOptions, earlyStopping } from "./earlyStopping.js";
export type { LogTarget } from "./host.js";
export { csvLog, type JsonLog, type JsonLogOptions, jsonLog } from "./logs.js";
export { type ReduceOnPlateauOptions, reduceOnPlateau } from "./reduceOnPlateau.js";
export { timeLimit } from "./timeLimit.js";
