import { made } from "../engine/copies.js";
import { elements, serial } from "../engine/instructions.js";
import { joined, number, type OptionsOf, readOptions } from "../engine/options.js";
import { exp, log } from "../engine/portableMath.js";
import { momentOptions } from "./adam.js";
import { decayNumbers, decayOf, decayOptions, type WeightDecayOptions } from "./decay.js";
import type { LearningRate, Optimizer } from "./optimizer.js";

export interface NadamOptions extends WeightDecayOptions {
  /** Default 0.002. */
  learningRate?: LearningRate;
  /** What the momentum grows to, in [0, 1). Default 0.9. */
  beta1?: number;
  /** Decay of the second moment, in [0, 1). Default 0.999. */
  beta2?: number;
  /** Added to the root of the second moment, at least 1e-16. Default 1e-8. */
  epsilon?: number;
  /** How fast the momentum grows from half of beta1. Default 0.004. */
  momentumDecay?: number;
}

const OPTIONS = joined(momentOptions(2e-3), decayOptions(), {
  momentumDecay: number(4e-3, { min: 0, max: 1e3 }),
}) satisfies OptionsOf<NadamOptions>;

/**
 * Adam that looks ahead along its first moment, as Nesterov's momentum does (Dozat 2016). The momentum of step t is
 * `beta1 · (1 - 0.96^(t · momentumDecay) / 2)`. Form and defaults are PyTorch's; Keras's has the rate 0.001.
 *
 * @throws ModelError for an unknown option, a learning rate, weight decay or momentum decay below 0, a beta outside of
 * [0, 1), and an epsilon below 1e-16.
 * @example
 * const optimizer = nadam({ learningRate: 0.001 });
 */
export function nadam(options: NadamOptions = {}): Optimizer {
  const read = readOptions("nadam", options, OPTIONS);
  const { learningRate, beta1, beta2, epsilon, momentumDecay } = read;
  const { coupled, decoupled } = decayOf(read);
  const slowing = exp(momentumDecay * log(0.96));
  return made<Optimizer>({
    name: "nadam",
    learningRate,
    hyperparameters: { beta1, beta2, epsilon, momentumDecay, ...decayNumbers(read) },
    slots: () => [{ name: "firstMoment" }, { name: "secondMoment" }, { name: "momentumProduct", length: 1 }],
    scalesGradients: true,
    // Two momenta in float64.
    scratchBytes: () => 16,
    record(recorder, { blocks, slots: [, , product], scratch, clock, learningRates: [rate] }) {
      recorder.nadamMomenta(serial, product, scratch, clock, beta1, slowing);
      for (const { parameters: p, gradients: g, slots, factor, length } of blocks) {
        const [m, v] = slots;
        recorder.nadam(
          elements(length, 8),
          p,
          m,
          v,
          g,
          factor,
          scratch,
          product,
          clock,
          rate,
          beta1,
          beta2,
          epsilon,
          coupled,
          decoupled,
        );
      }
    },
  });
}
