// steepest/graph: the engine below the layers, for learning and research. The public names, nothing else.

export { createEngine, createEngineSync, type Engine, type EngineOptions } from "./engine/engine.js";
export { DataError, MemoryError, ModelError, SteepestError } from "./engine/errors.js";
export { elements, type Pointer, rows, type Workload } from "./engine/instructions.js";
export type { Build } from "./engine/module.js";
export type { Recorder } from "./engine/recorder.js";
export { ThreadError } from "./engine/threads.js";
export {
  type CompiledFunction,
  type CompileFunctionOptions,
  compileFunction,
  compileFunctionSync,
} from "./graph/function.js";
export { constant, type DType, type Initializer, input, parameter, type Shape, type Tensor } from "./graph/tensor.js";
export type { InputShapes } from "./graph/traced.js";
export type { Nested, TypedArray, Values } from "./graph/values.js";
export * from "./ops/index.js";
export { type Descent, type GradientDescentOptions, gradientDescent } from "./optim/gradientDescent.js";
export { numericalGradient, type ScalarFunction } from "./optim/numericalGradient.js";
export {
  type CheckGradientsOptions,
  checkGradients,
  type GradientCheck,
  type GradientReport,
} from "./train/checkGradients.js";
