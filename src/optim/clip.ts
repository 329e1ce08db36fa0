// Gradients are made smaller before an optimizer sees them. Norms are summed in float64 and in a fixed order: the bits are
// the same for any number of threads.

import { SQUARES_PART } from "../engine/constants.js";
import { ModelError, showValue } from "../engine/errors.js";
import { elements, type Pointer, rows, serial } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import { align } from "../graph/plan.js";
import { checkOptimizer, type Optimizer } from "./optimizer.js";
import { wrap } from "./wrapper.js";

function partsOf(length: number): number {
  return Math.ceil(length / SQUARES_PART);
}

/** Values, one behind another, that are scaled by one factor. */
interface Gradients {
  readonly gradients: Pointer;
  readonly length: number;
}

/** Bytes of a float64 for each part; of several tensors in one block there are no more of them than of each alone. */
function sumBytes(tensors: readonly { readonly length: number }[]): number {
  return tensors.reduce((bytes, { length }) => bytes + 8 * partsOf(length), 0);
}

/** Records the sums of squares, part by part, from `sums` on. Returns how many they are. */
function recordSums(recorder: Recorder, all: readonly Gradients[], sums: Pointer): number {
  let parts = 0;
  for (const { gradients, length } of all) {
    recorder.sumSquares(rows(partsOf(length), length), sums + 8 * parts, gradients, length);
    parts += partsOf(length);
  }
  return parts;
}

/**
 * Scales all gradients by one factor, so that the norm of all of them together is at most `max`: g ← g · min(1, max / ‖g‖)
 * (Pascanu et al. 2013; PyTorch's clip_grad_norm_, without the 1e-6 that it adds to the norm). The norm is that of all
 * tensors that this optimizer changes: around `groups` of all parameters, within `groups` of those of its group.
 *
 * @throws ModelError if `max` is not a number above 0, or `optimizer` is none.
 * @example
 * const optimizer = clipByGlobalNorm(1, adam({ learningRate: 0.001 }));
 */
export function clipByGlobalNorm(max: number, optimizer: Optimizer): Optimizer {
  const most = checkMost("clipByGlobalNorm", max, optimizer);
  return wrap(optimizer, {
    hyperparameters: { clipByGlobalNorm: most },
    // One factor, and behind it the sums.
    scratchBytes: (tensors) => align(4) + sumBytes(tensors),
    before(recorder, { blocks, scratch }) {
      const sums = scratch + align(4);
      const parts = recordSums(recorder, blocks, sums);
      recorder.clipFactor(serial, scratch, sums, parts, most);
      for (const { gradients, length } of blocks) recorder.scaleBy(elements(length), gradients, scratch, length);
    },
  });
}

/**
 * Scales the gradients of each parameter by a factor of its own, so that the norm of none is above `max`.
 *
 * @throws ModelError if `max` is not a number above 0, or `optimizer` is none.
 * @example
 * const optimizer = clipByNorm(1, sgd({ learningRate: 0.1 }));
 */
export function clipByNorm(max: number, optimizer: Optimizer): Optimizer {
  const most = checkMost("clipByNorm", max, optimizer);
  return wrap(optimizer, {
    hyperparameters: { clipByNorm: most },
    // A factor for each tensor, and behind them the sums.
    scratchBytes: (tensors) => align(4 * tensors.length) + sumBytes(tensors),
    before(recorder, { tensors, scratch }) {
      let sums = scratch + align(4 * tensors.length);
      const firstSums = tensors.map((tensor) => {
        const first = sums;
        sums += 8 * recordSums(recorder, [tensor], sums);
        return first;
      });
      tensors.forEach(({ length }, index) => {
        recorder.clipFactor(serial, scratch + 4 * index, firstSums[index], partsOf(length), most);
      });
      tensors.forEach(({ gradients, length }, index) => {
        recorder.scaleBy(elements(length), gradients, scratch + 4 * index, length);
      });
    },
  });
}

/**
 * Brings each number of the gradients into [-max, max].
 *
 * @throws ModelError if `max` is not a number above 0, or `optimizer` is none.
 * @example
 * const optimizer = clipByValue(0.5, sgd({ learningRate: 0.1 }));
 */
export function clipByValue(max: number, optimizer: Optimizer): Optimizer {
  const most = checkMost("clipByValue", max, optimizer);
  return wrap(optimizer, {
    hyperparameters: { clipByValue: most },
    before(recorder, { blocks }) {
      for (const { gradients: g, length } of blocks) recorder.clip(elements(length), g, g, length, -most, most);
    },
  });
}

/** The bound, as float32 has it. */
function checkMost(where: string, max: unknown, optimizer: unknown): number {
  if (typeof max !== "number" || !(Math.fround(max) > 0 && Math.fround(max) < Number.POSITIVE_INFINITY)) {
    const turned = typeof max === "object" ? `: the bound comes first, as ${where}(1, adam())` : "";
    throw new ModelError(`${where}: max must be a number above 0, got ${showValue(max)}${turned}`);
  }
  checkOptimizer(where, optimizer);
  return max;
}
