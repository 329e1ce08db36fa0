// Learning rates that change from step to step. Each is a function of the step alone, counted from 1, so that a training that
// continues from a checkpoint has the rates of one that was never stopped; and has the same bits in every engine.
import { checkInteger, DataError, ModelError, showValue } from "../engine/errors.js";
import { isArrayOf, kindOf } from "../engine/kind.js";
import { choice, flag, integer, number, type OptionsOf, optional, readOptions } from "../engine/options.js";
import { cosPi, power } from "../engine/portableMath.js";
import { checkLearningRate, type LearningRate } from "./optimizer.js";

/** The learning rate of each step, counted from 1. */
export type Schedule = (step: number) => number;

/** A rate as a function of the steps that went before: 0 at the first. */
type After = (steps: number) => number;

/** Made of a function of the steps before, which it is given as far as `steps`, where it stays. */
const schedule = (after: After, steps = Infinity): Schedule => {
  return (step) => after(Math.min(step - 1, steps));
};

const rateOf = (where: string, rate: unknown): number => {
  const checked = checkLearningRate(where, rate);
  if (typeof checked === "number") return checked;
  throw new ModelError(
    `${where}: learningRate must be a number, got ${showValue(rate)}: joinSchedules() combines schedules`,
  );
};

/** A whole number of steps, which must be given. */
const stepCount = integer(undefined, { min: 1 });

export interface StepDecayOptions {
  /** How many steps a rate lasts. */
  every: number;
  /** What it is multiplied by then, from 0 to 1. Default 0.1. */
  factor?: number;
}

const STEP_OPTIONS = {
  every: stepCount,
  factor: number(0.1, { min: 0, max: 1 }),
} satisfies OptionsOf<StepDecayOptions>;

/**
 * A rate that is multiplied by `factor` after every so many steps. PyTorch's `StepLR`.
 *
 * @throws {ModelError} For a rate or options that are out of range.
 * @example
 * const optimizer = adam({ learningRate: stepDecay(0.01, { every: 1000 }) }); // 0.001 from step 1001 on
 */
export function stepDecay(learningRate: number, options: StepDecayOptions): Schedule {
  const rate = rateOf("stepDecay", learningRate);
  const { every, factor } = readOptions("stepDecay", options, STEP_OPTIONS);
  return schedule((steps) => rate * power(factor, Math.floor(steps / every)));
}

export interface MultiStepDecayOptions {
  /** After how many steps the rate changes, going up. */
  milestones: readonly number[];
  /** What it is multiplied by at each, from 0 to 1. Default 0.1. */
  factor?: number;
}

const isStep = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 1;

function checkMilestones(where: string, name: string, value: unknown): readonly number[] {
  const goUp = isArrayOf(value, isStep) && value.every((step, index) => index === 0 || step > value[index - 1]);
  if (goUp && value.length > 0) return [...value];
  throw new ModelError(`${where}: ${name} must be whole numbers of at least 1, going up, got ${showValue(value)}`);
}

const MULTI_STEP_OPTIONS = {
  milestones: checkMilestones,
  factor: number(0.1, { min: 0, max: 1 }),
} satisfies OptionsOf<MultiStepDecayOptions>;

/**
 * A rate that is multiplied by `factor` after each of the given numbers of steps. PyTorch's `MultiStepLR`, Keras's
 * `PiecewiseConstantDecay`.
 *
 * @throws {ModelError} For a rate or options that are out of range.
 * @example
 * const optimizer = sgd({ learningRate: multiStepDecay(0.1, { milestones: [3000, 4500] }) });
 */
export function multiStepDecay(learningRate: number, options: MultiStepDecayOptions): Schedule {
  const rate = rateOf("multiStepDecay", learningRate);
  const { milestones, factor } = readOptions("multiStepDecay", options, MULTI_STEP_OPTIONS);
  return schedule((steps) => rate * power(factor, milestones.filter((milestone) => steps >= milestone).length));
}

export interface ExponentialDecayOptions {
  /** What the rate is multiplied by, from 0 to 1. */
  factor: number;
  /** In how many steps that happens, evenly. Default 1. */
  every?: number;
}

const EXPONENTIAL_OPTIONS = {
  factor: number(undefined, { min: 0, max: 1 }),
  every: integer(1, { min: 1 }),
} satisfies OptionsOf<ExponentialDecayOptions>;

/**
 * A rate that is multiplied by `factor` in every so many steps, a little in each. PyTorch's `ExponentialLR`, Keras's
 * `ExponentialDecay`.
 *
 * @throws {ModelError} For a rate or options that are out of range.
 * @example
 * const optimizer = adam({ learningRate: exponentialDecay(0.01, { factor: 0.5, every: 1000 }) }); // half after 1000 steps
 */
export function exponentialDecay(learningRate: number, options: ExponentialDecayOptions): Schedule {
  const rate = rateOf("exponentialDecay", learningRate);
  const { factor, every } = readOptions("exponentialDecay", options, EXPONENTIAL_OPTIONS);
  return schedule((steps) => rate * power(factor, steps / every));
}

export interface PolynomialDecayOptions {
  /** In how many steps the end is reached. */
  steps: number;
  /** The rate from then on. Default 0. */
  end?: number;
  /** Of what is left: 1 is a straight line. Default 1. */
  power?: number;
}

const POLYNOMIAL_OPTIONS = {
  steps: stepCount,
  end: number(0, { min: 0 }),
  power: number(1, { min: 0 }),
} satisfies OptionsOf<PolynomialDecayOptions>;

/**
 * A rate that goes down (or up) to `end` along a power of what is left: a line by default. PyTorch's `PolynomialLR` and
 * `LinearLR`, Keras's `PolynomialDecay`.
 *
 * @throws {ModelError} For a rate or options that are out of range.
 * @example
 * const optimizer = sgd({ learningRate: polynomialDecay(0.1, { steps: 5000, power: 2 }) });
 */
export function polynomialDecay(learningRate: number, options: PolynomialDecayOptions): Schedule {
  const rate = rateOf("polynomialDecay", learningRate);
  const { steps: total, end, power: exponent } = readOptions("polynomialDecay", options, POLYNOMIAL_OPTIONS);
  return schedule((steps) => mixed(end, rate, power(1 - steps / total, exponent)), total);
}

export interface CosineDecayOptions {
  /** In how many steps the end is reached. */
  steps: number;
  /** The rate from then on. Default 0. */
  end?: number;
}

const COSINE_OPTIONS = { steps: stepCount, end: number(0, { min: 0 }) } satisfies OptionsOf<CosineDecayOptions>;

/**
 * A rate that goes down to `end` along half a wave of the cosine. PyTorch's `CosineAnnealingLR`, Keras's `CosineDecay`.
 *
 * @throws {ModelError} For a rate or options that are out of range.
 * @see I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017)
 * @example
 * const optimizer = adam({ learningRate: cosineDecay(0.01, { steps: 5000 }) });
 */
export function cosineDecay(learningRate: number, options: CosineDecayOptions): Schedule {
  const rate = rateOf("cosineDecay", learningRate);
  const { steps: total, end } = readOptions("cosineDecay", options, COSINE_OPTIONS);
  return schedule((steps) => between(rate, end, steps / total), total);
}

/** From one number to another along half a wave of the cosine. */
function between(from: number, to: number, share: number): number {
  return mixed(to, from, (1 + cosPi(share)) / 2);
}

/** From one number to another in a line: both ends are met exactly. */
function mixed(from: number, to: number, share: number): number {
  return from * (1 - share) + to * share;
}

export interface CosineRestartsOptions {
  /** How many steps the first wave has. */
  steps: number;
  /** How many times as long each wave is as the one before. Default 1. */
  factor?: number;
  /** The rate at the end of a wave. Default 0. */
  end?: number;
}

const RESTARTS_OPTIONS = {
  steps: stepCount,
  factor: integer(1, { min: 1 }),
  end: number(0, { min: 0 }),
} satisfies OptionsOf<CosineRestartsOptions>;

/**
 * Half waves of the cosine one after another, each from the full rate down. PyTorch's `CosineAnnealingWarmRestarts`, Keras's
 * `CosineDecayRestarts`.
 *
 * @throws {ModelError} For a rate or options that are out of range.
 * @see I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017)
 * @example
 * const optimizer = sgd({ learningRate: cosineRestarts(0.1, { steps: 1000, factor: 2 }) }); // full at steps 1, 1001, 3001, 7001
 */
export function cosineRestarts(learningRate: number, options: CosineRestartsOptions): Schedule {
  const rate = rateOf("cosineRestarts", learningRate);
  const { steps: first, factor, end } = readOptions("cosineRestarts", options, RESTARTS_OPTIONS);
  return schedule((steps) => {
    let [wave, rest] = [first, steps];
    if (factor === 1) rest %= first;
    else {
      for (; rest >= wave; wave *= factor) rest -= wave;
    }
    return between(rate, end, rest / wave);
  });
}

export interface WarmupOptions {
  /** Which step is the first with the full rate. */
  steps: number;
  /** What the rate of step 1 is multiplied by, from 0 to 1. Default 1 / steps: step n then has n / steps of the rate. */
  start?: number | undefined;
}

const WARMUP_OPTIONS = {
  steps: stepCount,
  start: optional(number(undefined, { min: 0, max: 1 })),
} satisfies OptionsOf<WarmupOptions>;

/**
 * A rate or a schedule that begins small: it is multiplied by what goes from `start` to 1 in a line, up to step `steps`.
 * PyTorch's `LinearLR` with `total_iters` of one less.
 *
 * @param learningRate What follows, and is multiplied: its steps count from the beginning too.
 * @throws {ModelError} For a rate or options that are out of range.
 * @example
 * const optimizer = adam({ learningRate: warmup(cosineDecay(0.01, { steps: 5000 }), { steps: 200 }) });
 */
export function warmup(learningRate: LearningRate, options: WarmupOptions): Schedule {
  const rate = checkLearningRate("warmup", learningRate);
  const { steps: total, start = 1 / total } = readOptions("warmup", options, WARMUP_OPTIONS);
  return (step) => {
    const full = typeof rate === "number" ? rate : rate(step);
    return step >= total ? full : full * (start + ((1 - start) * (step - 1)) / (total - 1));
  };
}

export interface OneCycleOptions {
  /** How many steps the cycle has. */
  steps: number;
  /** The share of them in which the rate goes up. Default 0.3. */
  rise?: number;
  /** What the full rate is divided by at the first step. Default 25. */
  startDivisor?: number;
  /** What the first rate is divided by at the last step. Default 10,000. */
  endDivisor?: number;
  /** How rates change: "cosine" or "linear". Default "cosine". */
  shape?: "cosine" | "linear";
  /** Whether it goes down in as many steps as up, and then to the end, as in the paper; or in one. Default false. */
  threePhases?: boolean;
}

const ONE_CYCLE_OPTIONS = {
  steps: integer(undefined, { min: 2 }),
  rise: number(0.3, { min: 0, max: 1 }),
  startDivisor: number(25, { min: 1 }),
  endDivisor: number(1e4, { min: 1 }),
  shape: choice("cosine", ["cosine", "linear"]),
  threePhases: flag(false),
} satisfies OptionsOf<OneCycleOptions>;

/**
 * One cycle: from a small rate up to the full one, and down to almost nothing at the last step, where it stays. PyTorch's
 * `OneCycleLR` without its changes of momentum.
 *
 * @param learningRate The largest.
 * @throws {ModelError} For a rate or options that are out of range.
 * @see L. N. Smith, N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates" (2018)
 * @example
 * const optimizer = sgd({ learningRate: oneCycle(0.4, { steps: 2000 }), momentum: 0.9 });
 */
export function oneCycle(learningRate: number, options: OneCycleOptions): Schedule {
  const max = rateOf("oneCycle", learningRate);
  const read = readOptions("oneCycle", options, ONE_CYCLE_OPTIONS);
  if (read.threePhases && read.rise > 0.5) {
    throw new ModelError(
      `oneCycle: rise must be at most 0.5 with threePhases, got ${read.rise}: it goes down as long as up`,
    );
  }
  const last = read.steps - 1;
  const start = max / read.startDivisor;
  const end = start / read.endDivisor;
  const top = read.rise * read.steps - 1;
  const phases = read.threePhases
    ? [
        { to: top, from: start, rate: max },
        { to: 2 * top, from: max, rate: start },
        { to: last, from: start, rate: end },
      ]
    : [
        { to: top, from: start, rate: max },
        { to: last, from: max, rate: end },
      ];
  const along = read.shape === "cosine" ? between : mixed;
  return schedule((steps) => {
    let begin = 0;
    for (const { to, from, rate } of phases) {
      if (steps <= to) return along(from, rate, to > begin ? (steps - begin) / (to - begin) : 1);
      begin = Math.max(begin, to);
    }
    return end;
  }, last);
}

export interface InverseSquareRootOptions {
  /** After how many steps the full rate is reached, in a line; then it goes down. */
  warmup: number;
}

const INVERSE_OPTIONS = { warmup: stepCount } satisfies OptionsOf<InverseSquareRootOptions>;

/**
 * A rate that goes up in a line, and down with the root of the steps: the schedule of the first transformers, with its largest
 * rate instead of the width of the model.
 *
 * @param learningRate The largest, at step `warmup`.
 * @throws {ModelError} For a rate or options that are out of range.
 * @see A. Vaswani et al., "Attention Is All You Need" (2017), 5.3
 * @example
 * const optimizer = adam({ learningRate: inverseSquareRoot(0.001, { warmup: 400 }) });
 */
export function inverseSquareRoot(learningRate: number, options: InverseSquareRootOptions): Schedule {
  const rate = rateOf("inverseSquareRoot", learningRate);
  const { warmup: total } = readOptions("inverseSquareRoot", options, INVERSE_OPTIONS);
  return (step) => rate * Math.min(step / total, Math.sqrt(total / Math.max(step, 1)));
}

/**
 * Schedules one after another, each of which counts its own steps from 1. PyTorch's `SequentialLR`, Optax's `join_schedules`.
 *
 * @param rates Rates or schedules.
 * @param milestones After how many steps in all the next one begins: one less than there are rates.
 * @throws {ModelError} If there are not as many, or they do not go up.
 * @example
 * const learningRate = joinSchedules([0.1, cosineDecay(0.1, { steps: 1000 }), 0.001], [500, 1500]);
 */
export function joinSchedules(rates: readonly LearningRate[], milestones: readonly number[]): Schedule {
  if (!Array.isArray(rates) || rates.length < 2) {
    throw new ModelError(`joinSchedules: the rates must be at least two, in an array, got ${showValue(rates)}`);
  }
  const list: LearningRate[] = [];
  // The first hole ends it, however many there are.
  for (const rate of rates) list.push(checkLearningRate(`joinSchedules: rate ${list.length}`, rate));
  const starts = checkMilestones("joinSchedules", "milestones", milestones);
  if (starts.length !== list.length - 1) {
    throw new ModelError(
      `joinSchedules: milestones must be ${list.length - 1}, one less than the rates, got ${showValue(milestones)}`,
    );
  }
  return (step) => {
    const index = starts.filter((milestone) => step > milestone).length;
    const rate = list[index];
    return typeof rate === "number" ? rate : rate(index === 0 ? step : step - starts[index - 1]);
  };
}

export interface PlateauOptions {
  /** What the rate is multiplied by when there is no progress, from 0 to 1. Default 0.1. */
  factor?: number;
  /** So many values without progress are waited for. Default 10. */
  patience?: number;
  /** What counts as progress: more than this share of the best value. Default 0.0001. */
  threshold?: number;
  /** Whether the threshold is a share of the best value, or a difference to it. Default "relative". */
  thresholdMode?: "relative" | "absolute";
  /** Whether small values are good, such as losses, or large ones. Default "min". */
  mode?: "min" | "max";
  /** For so many values after a change nothing is counted. Default 0. */
  cooldown?: number;
  /** The rate does not go below. Default 0. */
  min?: number;
}

const PLATEAU_OPTIONS = {
  factor: number(0.1, { min: 0, max: 1 }),
  patience: integer(10, { min: 0 }),
  threshold: number(1e-4, { min: 0 }),
  thresholdMode: choice("relative", ["relative", "absolute"]),
  mode: choice("min", ["min", "max"]),
  cooldown: integer(0, { min: 0 }),
  min: number(0, { min: 0 }),
} satisfies OptionsOf<PlateauOptions>;

/** Where a plateau stands, as plain data: for what continues later. */
export interface PlateauState {
  readonly rate: number;
  /** The best value so far; `null` before the first. */
  readonly best: number | null;
  /** Values without progress. */
  readonly waited: number;
  /** Values for which nothing is counted. */
  readonly cooling: number;
}

/** A rate that depends on values observed. */
export interface Plateau extends Schedule {
  /** Takes a value, usually the validation loss of an epoch. Returns the rate from now on. Throws DataError unless it is a number. */
  observe(value: number): number;
  /** Where it stands. */
  toJSON(): PlateauState;
  /** Goes on from there. Throws DataError for what `toJSON` did not give. */
  restore(state: PlateauState): void;
}

/**
 * A rate that is multiplied by `factor` when values stop getting better. PyTorch's `ReduceLROnPlateau`, with its defaults. It is no
 * function of the step: a training that continues elsewhere needs `toJSON` and `restore` beside the checkpoint. One optimizer each.
 *
 * @throws {ModelError} For a rate or options that are out of range.
 * @example
 * const learningRate = reduceOnPlateau(0.01, { factor: 0.5, patience: 3 });
 * const one = await compile(model, { loss: crossEntropy(), optimizer: adam({ learningRate }) });
 * for await (const { validation } of one.fit({ x, y }, { epochs: 3, validation: { x, y } })) learningRate.observe(validation.loss);
 */
export function reduceOnPlateau(learningRate: number, options: PlateauOptions = {}): Plateau {
  const start = rateOf("reduceOnPlateau", learningRate);
  const read = readOptions("reduceOnPlateau", options, PLATEAU_OPTIONS);
  const { factor, patience, threshold, thresholdMode, mode, cooldown, min } = read;
  const sign = mode === "min" ? 1 : -1;
  let state: PlateauState = { rate: start, best: null, waited: 0, cooling: 0 };
  const isProgress = (value: number, best: number | null): boolean => {
    if (best === null) return true;
    // As PyTorch: a share of the best value itself, whatever its sign.
    const bound = thresholdMode === "relative" ? best * (1 - sign * threshold) : best - sign * threshold;
    return sign * value < sign * bound;
  };
  return Object.assign((_step: number) => state.rate, {
    observe(value: number): number {
      if (typeof value !== "number" || Number.isNaN(value)) {
        throw new DataError(`observe: the value must be a number, got ${showValue(value)}`);
      }
      const progress = isProgress(value, state.best);
      const best = progress ? value : state.best;
      const cooling = Math.max(0, state.cooling - 1);
      const waited = progress || state.cooling > 0 ? 0 : state.waited + 1;
      if (waited > patience) state = { rate: Math.max(state.rate * factor, min), best, waited: 0, cooling: cooldown };
      else state = { rate: state.rate, best, waited, cooling };
      return state.rate;
    },
    toJSON: () => state,
    restore(given: PlateauState): void {
      state = checkState(given);
    },
  });
}

function checkState(given: PlateauState): PlateauState {
  if (kindOf(given) !== "Object") {
    throw new DataError(`restore: the state must be what toJSON gave, got ${showValue(given)}`);
  }
  const { rate, best, waited, cooling } = given;
  if (best !== null && (typeof best !== "number" || Number.isNaN(best))) {
    throw new DataError(`restore: best must be a number or null, got ${showValue(best)}`);
  }
  if (typeof rate !== "number" || !(rate >= 0 && rate < Infinity)) {
    throw new DataError(`restore: rate must be a finite number of at least 0, got ${showValue(rate)}`);
  }
  checkInteger("restore", "waited", waited, 0);
  checkInteger("restore", "cooling", cooling, 0);
  return { rate, best, waited, cooling };
}
