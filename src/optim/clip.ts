// Gradients are made smaller before an optimizer sees them.
import { ModelError, showValue } from "../engine/errors.js";
import { elements, serial } from "../engine/instructions.js";
import { align } from "../graph/plan.js";
import { partsOf, recordSums, sumBytes, type Vector } from "./norms.js";
import { checkOptimizer, type Optimizer, type OptimizerBlock } from "./optimizer.js";
import { wrap } from "./wrapper.js";

function gradientsOf({ gradients, length }: OptimizerBlock): Vector {
  return { address: gradients, length };
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
    before(recorder, { blocks, tensors, scratch }) {
      const sums = scratch + align(4);
      const parts = recordSums(recorder, blocks.map(gradientsOf), sums);
      recorder.clipFactor(serial, scratch, sums, parts, most);
      return tensors.map(() => scratch);
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
        sums += 8 * recordSums(recorder, [gradientsOf(tensor)], sums);
        return first;
      });
      tensors.forEach(({ length }, index) => {
        recorder.clipFactor(serial, scratch + 4 * index, firstSums[index], partsOf(length), most);
      });
      return tensors.map((_, index) => scratch + 4 * index);
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
      return undefined;
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
