export type { Pointer, Workload } from "../engine/instructions.js";
export { type AdamOptions, adam } from "./adam.js";
export { type AveragedOptions, averaged } from "./averaged.js";
export { clipByGlobalNorm, clipByNorm, clipByValue } from "./clip.js";
export { groups } from "./groups.js";
export {
  type LearningRate,
  learningRateAt,
  type Optimizer,
  type OptimizerBlock,
  type OptimizerPlacement,
  type OptimizerSlot,
  type TrainedTensor,
} from "./optimizer.js";
export { type SgdOptions, sgd } from "./sgd.js";
