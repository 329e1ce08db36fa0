// Weight decay: one pair of options for all optimizers that have it.
import { flag, number, type OptionRule, type OptionsOf } from "../engine/options.js";

export interface WeightDecayOptions {
  /**
   * Pulls the parameters toward zero, by this share: of biases and scales too, unless they are in a group of their own (see
   * `groups`). Default 0.
   */
  weightDecay?: number;
  /**
   * Whether the decay bypasses the optimizer: `p -= rate · weightDecay · p`, as in AdamW (Loshchilov & Hutter 2019). Coupled,
   * it is added to the gradient, `g + weightDecay · p`, as the gradient of a penalty is. Default false: PyTorch's
   * `weight_decay`. Keras's `weight_decay` is decoupled.
   */
  decoupled?: boolean;
}

/** The option `weightDecay`. */
/* @__NO_SIDE_EFFECTS__ */
export function weightDecay(fallback = 0): OptionRule<number> {
  return number(fallback, { min: 0, max: 1e3 });
}

/** The option `decoupled`. */
/* @__NO_SIDE_EFFECTS__ */
export function decoupled(fallback = false): OptionRule<boolean> {
  return flag(fallback);
}

/** Both options, without decay unless it is asked for. */
/* @__NO_SIDE_EFFECTS__ */
export function decayOptions() {
  return { weightDecay: weightDecay(), decoupled: decoupled() } as const satisfies OptionsOf<WeightDecayOptions>;
}

/** What kernels take: one of the two, or neither. */
export interface Decay {
  readonly coupled: number;
  readonly decoupled: number;
}

/** The options of weight decay as kernels take them. */
export function decayOf(options: Readonly<Required<WeightDecayOptions>>): Decay {
  const { weightDecay } = options;
  return options.decoupled ? { coupled: 0, decoupled: weightDecay } : { coupled: weightDecay, decoupled: 0 };
}

/** The options as an optimizer tells its numbers; nothing if there is no decay. */
export function decayNumbers(options: Readonly<Required<WeightDecayOptions>>): Readonly<Record<string, number>> {
  if (options.weightDecay === 0) return {};
  return { weightDecay: options.weightDecay, decoupled: options.decoupled ? 1 : 0 };
}
