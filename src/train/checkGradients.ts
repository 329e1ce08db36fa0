// Gradient checks for custom functions and layers: exact gradients against finite differences.
import { CLOCK_BYTES } from "../engine/constants.js";
import { checkEngine, type Engine } from "../engine/engine.js";
import { checkFunction, ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { integer, joined, number, type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { type CompiledFunction, compileFunction } from "../graph/function.js";
import {
  checkShape,
  checkTensor,
  constant,
  type DType,
  input,
  type Shape,
  sizeOf,
  type Tensor,
} from "../graph/tensor.js";
import type { InputShapes } from "../graph/traced.js";
import { checkSize, flattenValues, type Values, writeFloats } from "../graph/values.js";
import { layerContext } from "../nn/layer.js";
import { type AnyModel, checkModel, type Model } from "../nn/model.js";
import type { Ports } from "../nn/ports.js";
import { mul } from "../ops/elementwise.js";
import { gradient } from "../ops/gradient.js";
import { sum } from "../ops/reduce.js";
import {
  type AnySamples,
  checkSamples,
  fillInput,
  flattenSamples,
  type SampleFormat,
  type Samples,
  targetShape,
  targetsOf,
  targetType,
} from "./data.js";
import { atOnce } from "./job.js";
import { type Losses, type OutputOptions, resolveOutputs, tryOutputs } from "./outputs.js";
import { assignTargets, buildScores } from "./scores.js";
import { isTrainable } from "./state.js";
import { fillTargets } from "./targets.js";
import type { OutputWeights } from "./weights.js";

/** The check of one tensor: derivatives along random directions. */
export interface GradientCheck {
  /** Path of the parameter, or name of the input. */
  readonly name: string;
  /** The largest |exact - numerical| of all directions, relative to the size of the gradient. */
  readonly error: number;
  readonly exact: number;
  readonly numerical: number;
}

export interface GradientReport {
  /** Whether every error is within the tolerance. */
  readonly passed: boolean;
  readonly worst: GradientCheck;
  readonly checks: readonly GradientCheck[];
}

export interface CheckGradientsOptions {
  /** Largest error that passes. Default 2e-3: what float32 losses allow finite differences to show. */
  tolerance?: number;
  /** Random directions for each tensor. Default 5. */
  directions?: number;
  /** Seed of the directions, and of a model's initial values. Default 1. */
  seed?: number;
  /** Where it runs. Default: an engine of its own, which is closed at the end. */
  engine?: Engine;
}

type FunctionOptions = CheckGradientsOptions & {
  at: Record<string, { readonly shape: Shape; readonly values: Values }>;
};
type ModelOptions<I extends Ports, O extends Ports> = CheckGradientsOptions & {
  loss: Losses<O>;
  data: Samples<I, O>;
  weights?: OutputWeights<O>;
};
type AnyModelOptions = CheckGradientsOptions & {
  loss: Losses<Ports>;
  data: AnySamples;
  weights?: unknown;
};

// Each direction takes some dozen runs.
const MAX_DIRECTIONS = 1000;

const COMMON = {
  tolerance: number(2e-3, { min: 0 }),
  directions: integer(5, { min: 1, max: MAX_DIRECTIONS }),
  seed: integer(1, { min: 0 }),
  engine(where, _name, value) {
    return value === undefined ? undefined : checkEngine(where, value);
  },
} satisfies OptionsOf<CheckGradientsOptions>;
// Checked with the model or function that they belong to.
const OF_FUNCTION = { at: unchecked<FunctionOptions["at"]>() } satisfies OptionsOf<
  Omit<FunctionOptions, keyof typeof COMMON>
>;
const OF_MODEL = {
  loss: unchecked<Losses<Ports>>(),
  data: unchecked<AnySamples>(),
  weights: unchecked<unknown>(),
} satisfies OptionsOf<Omit<AnyModelOptions, keyof typeof COMMON>>;

/**
 * Checks the gradients of a model's loss with respect to all its parameters (`{ loss, data }`), or of any
 * function of tensors with respect to all its inputs (`{ at }`; if a result is not a scalar, the sum of its elements
 * with random weights is taken). Derivatives along random directions are compared with fourth-order finite differences.
 * `weights` are those of `compile`. They take no gradient, so an output that is one must not depend on parameters.
 *
 * Give it few samples. With many, the kinks of ReLU are so close together that finite differences of a float32 loss
 * cannot tell them from a slope.
 *
 * @example
 * const few = { x: x.subarray(0, 4 * 784), y: y.subarray(0, 4) };
 * const report = await checkGradients(model, { loss: crossEntropy(), data: few });
 * if (!report.passed) throw new Error(`${report.worst.name}: ${report.worst.exact} against ${report.worst.numerical}`);
 */
export async function checkGradients<I extends Ports, O extends Ports>(
  model: Model<I, O>,
  options: ModelOptions<I, NoInfer<O>>,
): Promise<GradientReport>;
export async function checkGradients(
  f: (inputs: Record<string, Tensor>) => Tensor,
  options: FunctionOptions,
): Promise<GradientReport>;
export async function checkGradients(
  target: unknown,
  options: AnyModelOptions | FunctionOptions,
): Promise<GradientReport> {
  const isFunction = typeof target === "function";
  if (isFunction) checkFunction("checkGradients", "what is checked", target);
  const model = isFunction ? undefined : checkModel("checkGradients", target);
  const table = joined(isFunction ? OF_FUNCTION : OF_MODEL, COMMON);
  const { tolerance, directions, seed } = readOptions("checkGradients", options, table);
  const random = randomNumbers(seed);
  const subject =
    model === undefined
      ? await functionSubject(target as (inputs: Record<string, Tensor>) => Tensor, options as FunctionOptions, random)
      : await modelSubject(model, options as AnyModelOptions);
  try {
    const exact = subject.run();
    const checks = subject.names.map((name) =>
      checkOne(subject, name, exact[name], exact[LOSS][0], random, directions),
    );
    const worst = checks.reduce((a, b) => (b.error > a.error || Number.isNaN(b.error) ? b : a));
    return { passed: worst.error <= tolerance, worst, checks };
  } finally {
    subject.dispose();
  }
}

/**
 * The subject of a check: tensors that can be set, and a run that computes the loss and the gradient of each tensor.
 */
interface Subject {
  readonly names: readonly string[];
  get(name: string): Float32Array;
  set(name: string, values: Float32Array): void;
  run(): Record<string, Float32Array>;
  dispose(): void;
}

const LOSS = "loss value";
const AT = { shape: unchecked<Shape>(), values: unchecked<Values>() } satisfies OptionsOf<
  FunctionOptions["at"][string]
>;

/** Values of an input, checked against its shape. */
function valuesAt(name: string, point: { readonly shape: Shape; readonly values: Values }): Float32Array {
  const where = `checkGradients: at.${name}`;
  const { shape, values: given } = readOptions(where, point, AT);
  const flat = flattenValues(where, given);
  checkSize(where, flat, checkShape(where, shape));
  const values = new Float32Array(flat.data.length);
  writeFloats(where, values, flat.data);
  return values;
}

async function functionSubject(
  f: (inputs: Record<string, Tensor>) => Tensor,
  { at, engine }: FunctionOptions,
  random: () => number,
): Promise<Subject> {
  const names = kindOf(at) === "Object" ? Object.keys(at) : [];
  if (names.length === 0) {
    throw new ModelError(
      `checkGradients: the inputs must be given in at, as { x: { shape, values } }, got ${showValue(at)}`,
    );
  }
  const values = Object.fromEntries(names.map((name) => [name, valuesAt(name, at[name])]));
  const shapes = Object.fromEntries(names.map((name) => [name, at[name].shape]));
  const trace = (inputs: Record<string, Tensor>): Record<string, Tensor> => {
    const result = checkTensor("checkGradients", f(inputs), "the function must return a tensor");
    const weights = Float32Array.from({ length: sizeOf(result.shape) }, () => 2 * random() - 1);
    const loss = result.shape.length === 0 ? result : sum(mul(result, constant(weights, result.shape)));
    const gradients = gradient(
      loss,
      names.map((name) => inputs[name]),
    );
    return { [LOSS]: loss, ...Object.fromEntries(names.map((name, i) => [name, gradients[i]])) };
  };
  const compiled: CompiledFunction<InputShapes, Record<string, Tensor>> = await compileFunction(
    trace,
    shapes,
    engine ? { engine } : {},
  );
  return {
    names,
    get: (name) => values[name].slice(),
    set: (name, to) => {
      values[name] = to.slice();
    },
    run: () => compiled(values),
    dispose: compiled.dispose,
  };
}

async function modelSubject(model: AnyModel, { loss, data, weights, seed, engine }: AnyModelOptions): Promise<Subject> {
  const outputs = resolveOutputs("checkGradients", model, { loss, weights: weights as OutputOptions["weights"] });
  const trainable = [...model.parameters].filter(([, tensor]) => isTrainable(tensor));
  if (trainable.length === 0) {
    throw new ModelError("checkGradients: the model must have parameters, got none: add dense(…)");
  }
  const trained = trainable.map(([, tensor]) => tensor);
  atOnce(tryOutputs("checkGradients", model, outputs, trained));
  const format: SampleFormat = {
    inputs: model.inputs,
    outputs: model.outputs,
    targets: targetsOf(outputs),
  };
  const { x, y, count, weights: shapes } = flattenSamples(checkSamples(data), format);
  const names = trainable.map(([name]) => name);
  const inputs: Record<string, Tensor> = { clock: input([CLOCK_BYTES / 4], { name: "clock", dtype: "uint32" }) };
  const feed: Record<string, Values> = { clock: new Uint32Array(CLOCK_BYTES / 4) };
  const take = (name: string, shape: Shape, dtype: DType, fill: (to: Float32Array | Uint32Array) => void): Tensor => {
    inputs[name] = input([count, ...shape], { name, dtype });
    const values = new (dtype === "uint32" ? Uint32Array : Float32Array)(sizeOf(inputs[name].shape));
    fill(values);
    feed[name] = values;
    return inputs[name];
  };
  const given = model.inputs.map((port, index) =>
    take(`x ${index}`, port.shape, port.dtype, (to) => fillInput(to, x[index].data, port, 0, x[index].scaled)),
  );
  const fed = targetsOf(outputs, shapes).map((target, index) =>
    take(`y ${index}`, targetShape(target), targetType(target), (to) => fillTargets(to, y[index].data, target, 0)),
  );
  const trace = (): Record<string, Tensor> => {
    const context = layerContext({ training: false, clock: inputs.clock, seed: [0, 0] });
    const results = model.trace(given, context);
    const { targets, weights } = assignTargets(outputs, fed, given, results);
    const { loss: value } = buildScores([], { outputs, results, targets, weights, penalties: [], share: 1 });
    const gradients = gradient(
      value,
      trainable.map(([, tensor]) => tensor),
    );
    return { [LOSS]: value, ...Object.fromEntries(names.map((name, i) => [name, gradients[i]])) };
  };
  const compiled = await compileFunction(trace, inputs, { seed: seed ?? 1, ...(engine ? { engine } : {}) });
  const tensorOf = (name: string): Tensor => model.parameters.get(name) as Tensor;
  return {
    names,
    get: (name) => compiled.parameter(tensorOf(name)),
    set: (name, values) => compiled.setParameter(tensorOf(name), values),
    run: () => compiled(feed),
    dispose: compiled.dispose,
  };
}

// Lengths of the steps along a direction. At 0.1, the rounding of a float32 loss (1e-6 of the loss) and the truncation
// (3e-6) are balanced. Shorter ones are for strong curvature and kinks.
const STEPS = [0.4, 0.2, 0.1, 0.05, 0.025, 0.0125, 0.00625, 0.003125, 0.0015625];

// The relative error of a float32 loss, which is a sum of rounded terms.
const LOSS_ROUNDING = 3e-7;

// Fourth-order differences as [offset in steps, weight] (Fornberg 1988, tables 1 and 3): central, and to one side, for
// a kink (ReLU) close by on the other side.
const CENTRAL = [
  [-2, 1 / 12],
  [-1, -8 / 12],
  [1, 8 / 12],
  [2, -1 / 12],
] as const;
const FORWARD = [
  [0, -25 / 12],
  [1, 48 / 12],
  [2, -36 / 12],
  [3, 16 / 12],
  [4, -3 / 12],
] as const;

function checkOne(
  subject: Subject,
  name: string,
  exactGradient: Float32Array,
  loss: number,
  random: () => number,
  directions: number,
): GradientCheck {
  const center = subject.get(name);
  const typical = norm(exactGradient) / Math.sqrt(center.length);
  let worst: GradientCheck = { name, error: 0, exact: 0, numerical: 0 };
  for (let i = 0; i < directions; i++) {
    let best: { exact: number; size: number; estimate: Estimate } | undefined;
    // If no quotient settles along a direction, another direction is drawn.
    for (let draw = 0; draw < MAX_DRAWS && !(best && best.estimate.spread <= SETTLED * best.size); draw++) {
      const direction = randomDirection(center.length, random);
      const exact = exactGradient.reduce((sum, value, k) => sum + value * direction[k], 0);
      // A derivative below a thousandth of the loss is lost in the rounding of the loss.
      const size = Math.max(Math.abs(exact), typical, 1e-3 * Math.abs(loss));
      const estimate = derivativeAlong(subject, name, { center, direction, loss, exact });
      const isBetter = best === undefined || estimate.spread / size < best.estimate.spread / best.size;
      if (isBetter) best = { exact, size, estimate };
    }
    const { exact, size, estimate } = best as NonNullable<typeof best>;
    const error = Math.abs(exact - estimate.value) / size;
    if (!(error <= worst.error)) worst = { name, error, exact, numerical: estimate.value };
  }
  subject.set(name, center);
  return worst;
}

// How many directions are tried at most, and the share of the gradient by which settled quotients may differ.
const MAX_DRAWS = 5;
const SETTLED = 1e-3;

function randomDirection(length: number, random: () => number): Float64Array {
  const direction = Float64Array.from({ length }, () => 2 * random() - 1);
  const size = norm(direction);
  return direction.map((value) => value / size);
}

interface Line {
  readonly center: Float32Array;
  readonly direction: Float64Array;
  /** The loss at the center. */
  readonly loss: number;
  /** The exact derivative, which is checked. */
  readonly exact: number;
}

function derivativeAlong(subject: Subject, name: string, { center, direction, loss, exact }: Line): Estimate {
  const settled = (weights: Difference, sign: number): Estimate => {
    const quotients = STEPS.map((step) => quotientAlong(subject, name, center, direction, sign * step, weights));
    return mostSettled(quotients, Math.abs(loss) * LOSS_ROUNDING);
  };
  return choose(settled(CENTRAL, 1), settled(FORWARD, 1), settled(FORWARD, -1), exact);
}

/** A derivative, and how much the estimates of neighbouring steps differ from it. */
interface Estimate {
  readonly value: number;
  readonly spread: number;
}

/**
 * Of the quotients of one formula, that of the step whose neighbours differ least from it, as Ridders chooses among
 * extrapolations (1982, "Accurate computation of F'(x) and F'(x) F''(x)"). Long steps differ because of truncation and
 * kinks, short ones because of rounding. The choice does not depend on the gradient that is checked.
 *
 * @param rounding Absolute error of the loss: short steps may agree by chance, but are not more exact than this allows.
 */
function mostSettled(quotients: readonly number[], rounding: number): Estimate {
  let best: Estimate = { value: Number.NaN, spread: Number.POSITIVE_INFINITY };
  for (let i = 1; i < quotients.length - 1; i++) {
    const [longer, value, shorter] = quotients.slice(i - 1, i + 2);
    const spread = Math.max(Math.abs(longer - value), Math.abs(shorter - value)) + rounding / STEPS[i];
    if (spread < best.spread) best = { value, spread };
  }
  return best;
}

// If the two sides differ by more than so many times their uncertainty, there is a kink between them.
const KINK = 4;

/**
 * The derivative by the formula that is most settled. At a kink, both sides are settled but differ. Each slope between
 * them is right (a subgradient), so the one nearest to the exact derivative is returned.
 */
function choose(central: Estimate, right: Estimate, left: Estimate, exact: number): Estimate {
  const [low, high] = [Math.min(right.value, left.value), Math.max(right.value, left.value)];
  const spread = right.spread + left.spread;
  if (high - low > KINK * spread) return { value: Math.min(Math.max(exact, low), high), spread };
  return [right, left].reduce((best, one) => (one.spread < best.spread ? one : best), central);
}

type Difference = readonly (readonly [offset: number, weight: number])[];

/** Finite difference of the loss along `direction`. */
function quotientAlong(
  subject: Subject,
  name: string,
  center: Float32Array,
  direction: Float64Array,
  step: number,
  weights: Difference,
): number {
  let sum = 0;
  for (const [offset, weight] of weights) {
    subject.set(
      name,
      center.map((value, k) => value + offset * step * direction[k]),
    );
    sum += weight * subject.run()[LOSS][0];
  }
  return sum / step;
}

function norm(values: Float32Array | Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}

/** Numbers in [0, 1) from a 32-bit xorshift (Marsaglia 2003), which is good enough for directions. */
function randomNumbers(seed: number): () => number {
  let state = (seed * 2654435761) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}
