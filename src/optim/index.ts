export type { Pointer, Workload } from "../engine/instructions.js";
export { type AdadeltaOptions, adadelta } from "./adadelta.js";
export { type AdafactorOptions, adafactor } from "./adafactor.js";
export { type AdagradOptions, adagrad } from "./adagrad.js";
export { type AdamOptions, type AdamWOptions, adam, adamW } from "./adam.js";
export { type AdamaxOptions, adamax } from "./adamax.js";
export { type AveragedOptions, averaged } from "./averaged.js";
export { clipByGlobalNorm, clipByNorm, clipByValue } from "./clip.js";
export type { WeightDecayOptions } from "./decay.js";
export {
  type DefineOptimizerOptions,
  defineOptimizer,
  type SlotStart,
  type Update,
  type UpdateInputs,
} from "./define.js";
export { groups } from "./groups.js";
export { type LionOptions, lion } from "./lion.js";
export { type LookaheadOptions, lookahead } from "./lookahead.js";
export { type MuonOptions, muon } from "./muon.js";
export { type NadamOptions, nadam } from "./nadam.js";
export {
  type LearningRate,
  learningRateAt,
  type Optimizer,
  type OptimizerBlock,
  type OptimizerPlacement,
  type OptimizerSlot,
  type TrainedTensor,
} from "./optimizer.js";
export { type RadamOptions, radam } from "./radam.js";
export { type RmspropOptions, rmsprop } from "./rmsprop.js";
export { type RpropOptions, rprop } from "./rprop.js";
export { type SgdOptions, sgd } from "./sgd.js";
export { type SharpnessAwareOptions, sharpnessAware } from "./sharpnessAware.js";
export { type LambOptions, type LarsOptions, lamb, lars } from "./trustRatio.js";
