// The entry "steepest/cluster": one training over many machines.
export { type ClusterRun, type DistributeOptions, distribute, type RoundResult } from "./distribute.js";
export { BitsError } from "./executor.js";
export { defineJob, type ShardData, type TrainingJob } from "./job.js";
export type { OuterOptimizer } from "./merge.js";
export type { PlanOptions } from "./plan.js";
