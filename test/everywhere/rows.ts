// What every runtime tests of the operations: see bundle.mjs. Nothing here may need Node or a test runner.
export { randomModel, trace } from "../graph/random/model.js";
export { checkForward, createRandom, differentiable, drawInputs } from "../ops/cases.js";
export { samples } from "../ops/samples.js";
