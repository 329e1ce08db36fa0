// What an activation is: one shape in, the same shape out, element by element. See piecewise.ts, smooth.ts and gated.ts.
import { EPILOGUE_RELU, EPILOGUE_SIGMOID, EPILOGUE_TANH } from "../engine/constants.js";
import { elements, type Pointer, type Workload } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import { apply, type Operation } from "../graph/operation.js";
import { sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import type { WithGradient } from "./decomposition.js";
import { mul } from "./elementwise.js";

/** Codes under which the gemm computes an activation in its last pass: see assembly/kernels/gemm.ts. */
export const EPILOGUE = { relu: EPILOGUE_RELU, sigmoid: EPILOGUE_SIGMOID, tanh: EPILOGUE_TANH } as const;

export interface Activation<Attributes> {
  readonly name: string;
  /** Operations on one element. */
  readonly cost: number;
  readonly forward: (
    record: Recorder,
    to: [Workload, y: Pointer, x: Pointer, n: number],
    attributes: Attributes,
  ) => void;
  /** What the backward kernel reads beside dy. */
  readonly backwardReads: "input" | "output";
  readonly backward: (
    record: Recorder,
    to: [Workload, dx: Pointer, dy: Pointer, v: Pointer, n: number],
    attributes: Attributes,
  ) => void;
  /**
   * The derivative of what the backward kernel multiplies dy with, by v: out of operations, for gradients of gradients.
   * Absent where it is zero.
   */
  readonly secondDerivative?: (v: Tensor, attributes: Attributes) => Tensor;
  readonly epilogue?: number;
}

/** Gives what it is given: float32 of any shape. */
export const inferSame =
  (name: string) =>
  ([x]: readonly Tensor[]) => {
    checkFloat(name, x);
    return [{ shape: x.shape }];
  };

/* @__NO_SIDE_EFFECTS__ */
export function activation<Attributes = undefined>(definition: Activation<Attributes>): WithGradient<Attributes> {
  const { name, cost, secondDerivative, epilogue } = definition;
  const gradientOp: Operation<Attributes> = {
    name: `${name}Gradient`,
    infer: ([dy]) => [{ shape: dy.shape }],
    forward(record, { attributes, outputs, to, from }) {
      const n = sizeOf(outputs[0].shape);
      definition.backward(record, [elements(n, cost), to[0], from[0], from[1], n], attributes);
    },
    backward: ({ attributes, inputs: [dy, v], gradient, needs }) => [
      needs[0] ? apply(gradientOp, [gradient, v], attributes) : undefined,
      needs[1] && secondDerivative ? mul(mul(gradient, dy), secondDerivative(v, attributes)) : undefined,
    ],
    inPlace: [0, 1],
  };
  return {
    name,
    infer: inferSame(name),
    forward(record, { attributes, outputs, to, from }) {
      const n = sizeOf(outputs[0].shape);
      definition.forward(record, [elements(n, cost), to[0], from[0], n], attributes);
    },
    backward: ({ attributes, inputs, outputs, gradient }) => [
      apply(gradientOp, [gradient, definition.backwardReads === "output" ? outputs[0] : inputs[0]], attributes),
    ],
    inPlace: [0],
    gradient: gradientOp,
    ...(epilogue === undefined ? {} : { epilogue }),
  };
}
