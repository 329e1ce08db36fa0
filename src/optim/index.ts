export { type AdamOptions, adam } from "./adam.js";
export { type LearningRate, learningRateAt, type Optimizer, type OptimizerPlacement } from "./optimizer.js";
export { type SgdOptions, sgd } from "./sgd.js";
