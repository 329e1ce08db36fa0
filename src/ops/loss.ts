// Losses: a prediction and a target become one scalar. Those by element compare shapes alike; those by
// row take logits [batch, classes]. `divisor` is how many elements or rows a mean is over, 1 for a sum.
import { checkNumber, checkOptions, ModelError } from "../engine/errors.js";
import { elements, type Pointer, rows, serial, type Work } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import { apply, type Operation } from "../graph/operation.js";
import { sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";

export type Reduction = "mean" | "sum";

export interface LossOptions {
  /** Mean or sum: over all elements, or over the rows of a cross-entropy over classes. Default `"mean"`. */
  reduction?: Reduction;
}

interface Attributes {
  readonly divisor: number;
}

/** Elements that one unit sums up, as in assembly/kernels/loss.ts. */
const CHUNK = 1024;

function divisorOf(where: string, options: LossOptions, count: number): number {
  const { reduction = "mean" } = options;
  if (reduction === "mean") return count;
  if (reduction === "sum") return 1;
  throw new ModelError(`${where}: reduction must be "mean" or "sum", got ${JSON.stringify(reduction)}`);
}

/** Records `parts`, which writes one sum a unit, and adds the sums up; a single one is the result itself. */
function recordTotal(
  record: Recorder,
  to: Pointer,
  scratch: Pointer,
  count: number,
  divisor: number,
  parts: (sums: Pointer, divisor: number) => void,
): void {
  if (count === 1) return parts(to, divisor);
  parts(scratch, 1);
  record.lossTotal(serial, to, scratch, count, divisor);
}

function totalBytes(count: number): number {
  return count === 1 ? 0 : count * 4;
}

// ——— By element ———

interface ElementLoss<A> {
  readonly name: string;
  /** Operations on one element. */
  readonly cost: number;
  readonly forward: (
    record: Recorder,
    to: [Work, sums: Pointer, x: Pointer, t: Pointer, n: number, divisor: number],
    attributes: A,
  ) => void;
  readonly backward: (
    record: Recorder,
    to: [Work, dx: Pointer, dloss: Pointer, x: Pointer, t: Pointer, n: number, divisor: number],
    attributes: A,
  ) => void;
  /** Whether it depends on |x - t| alone, so that the target's gradient is that of (t, x). */
  readonly symmetric: boolean;
}

function elementLoss<A extends Attributes>(definition: ElementLoss<A>): Operation<A> {
  const { name, cost, symmetric } = definition;
  const chunksOf = (x: Tensor): number => Math.ceil(sizeOf(x.shape) / CHUNK);
  const slope: Operation<A> = {
    name: `${name} gradient`,
    infer: ([, x]) => [{ shape: x.shape }],
    forward(record, { attributes, outputs, to, from: [dloss, x, t] }) {
      const n = sizeOf(outputs[0].shape);
      definition.backward(record, [elements(n, cost), to[0], dloss, x, t, n, attributes.divisor], attributes);
    },
    inPlace: [1, 2],
  };
  return {
    name,
    infer([x, t]) {
      checkPair(name, x, t);
      return [{ shape: [] }];
    },
    forward(record, { attributes, inputs: [prediction], to, from: [x, t], scratch }) {
      const n = sizeOf(prediction.shape);
      const chunks = chunksOf(prediction);
      recordTotal(record, to[0], scratch, chunks, attributes.divisor, (sums, divisor) => {
        definition.forward(record, [rows(chunks, n * cost), sums, x, t, n, divisor], attributes);
      });
    },
    scratchBytes: ([x]) => totalBytes(chunksOf(x)),
    backward({ attributes, inputs: [x, t], gradient, needs }) {
      if (needs[1] && !symmetric) throw noTargetGradient(name, t);
      return [
        needs[0] ? apply(slope, [gradient, x, t], attributes) : undefined,
        needs[1] ? apply(slope, [gradient, t, x], attributes) : undefined,
      ];
    },
  };
}

function checkPair(where: string, x: Tensor, t: Tensor): void {
  if (x.dtype !== "float32" || t.dtype !== "float32") {
    throw new ModelError(`${where}: prediction and target must be float32, got ${x.dtype} and ${t.dtype}: use float32 inputs`);
  }
  if (sameShape(x.shape, t.shape)) return;
  throw new ModelError(
    `${where}: target must have the prediction's shape ${showShape(x.shape)}, got ${showShape(t.shape)}: reshape() one of them`,
  );
}

function noTargetGradient(where: string, target: Tensor): ModelError {
  return new ModelError(
    `${where}: there is no gradient with respect to the target, but "${target.name}" needs one: make the target an input or a constant`,
  );
}

/** Applies a loss by element after checking its options. */
function reduceElements<A extends object>(
  operation: Operation<A & Attributes>,
  prediction: Tensor,
  target: Tensor,
  options: LossOptions,
  attributes: A,
  count = sizeOf(prediction.shape),
): Tensor {
  checkOptions(operation.name, options, ["reduction", ...Object.keys(attributes)]);
  return apply(operation, [prediction, target], { ...attributes, divisor: divisorOf(operation.name, options, count) });
}

const squares = {
  cost: 2,
  forward: (record, to) => record.squaredError(...to),
  backward: (record, to) => record.squaredErrorBackward(...to),
  symmetric: true,
} satisfies Omit<ElementLoss<Attributes>, "name">;

const squared = elementLoss({ name: "meanSquaredError", ...squares });
const halfSquared = elementLoss({ name: "halfSquaredError", ...squares });
