// L-BFGS with a strong Wolfe line search, in float64 (Nocedal & Wright 2006, algorithms 7.4, 7.5, 3.5 and 3.6). Constants, the
// interpolation and the order of the tests are those of PyTorch's LBFGS, so the points are the same.

/** A function's value and gradient at a point. */
export interface Evaluation {
  readonly value: number;
  readonly gradient: Float64Array;
}

/** Asks for the function at points, one by one. */
export type Asking<R> = Generator<Float64Array, R, Evaluation>;

export interface LbfgsPlan {
  readonly iterations: number;
  readonly maxEvaluations: number;
  readonly learningRate: number;
  readonly historySize: number;
  readonly gradientTolerance: number;
  readonly changeTolerance: number;
  /** Called after each iteration. */
  readonly onIteration?: (iteration: number, x: Float64Array, value: number) => void;
}

export type EndReason = "gradient" | "change" | "iterations" | "evaluations";

export interface LbfgsResult extends Evaluation {
  readonly x: Float64Array;
  readonly iterations: number;
  readonly evaluations: number;
  readonly reason: EndReason;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** a += factor · b. */
function addScaled(a: Float64Array, b: Float64Array, factor: number): void {
  for (let i = 0; i < a.length; i++) a[i] += factor * b[i];
}

function along(x: Float64Array, direction: Float64Array, length: number): Float64Array {
  return x.map((value, i) => value + length * direction[i]);
}

function largest(x: Float64Array): number {
  let most = 0;
  for (let i = 0; i < x.length; i++) most = Math.max(most, Math.abs(x[i]));
  return most;
}

/** The last steps and the changes of the gradient on them: what is known of the curvature. */
class History {
  readonly #pairs: { readonly step: Float64Array; readonly change: Float64Array; readonly inverse: number }[] = [];
  #scale = 1;

  constructor(readonly size: number) {}

  add(step: Float64Array, change: Float64Array): void {
    const curvature = dot(change, step);
    if (!(curvature > 1e-10)) return;
    if (this.#pairs.length === this.size) this.#pairs.shift();
    this.#pairs.push({ step, change, inverse: 1 / curvature });
    this.#scale = curvature / dot(change, change);
  }

  /** -H · gradient, H the approximate inverse of the Hessian: the two loops. */
  direction(gradient: Float64Array): Float64Array {
    const q = gradient.map((value) => -value);
    const shares = this.#pairs.map(() => 0);
    for (let i = this.#pairs.length - 1; i >= 0; i--) {
      const { step, change, inverse } = this.#pairs[i];
      shares[i] = dot(step, q) * inverse;
      addScaled(q, change, -shares[i]);
    }
    for (let i = 0; i < q.length; i++) q[i] *= this.#scale;
    this.#pairs.forEach(({ step, change, inverse }, i) => {
      addScaled(q, step, shares[i] - dot(change, q) * inverse);
    });
    return q;
  }
}

/** Minimizes the function that it asks about, from `x0` on. */
export function* lbfgs(x0: Float64Array, plan: LbfgsPlan): Asking<LbfgsResult> {
  const { iterations, maxEvaluations, learningRate, gradientTolerance, changeTolerance, onIteration } = plan;
  const history = new History(plan.historySize);
  let x = x0;
  let now = yield x;
  let evaluations = 1;
  const end = (reason: EndReason, done: number): LbfgsResult => ({ ...now, x, iterations: done, evaluations, reason });
  if (largest(now.gradient) <= gradientTolerance) return end("gradient", 0);
  for (let iteration = 1; ; iteration++) {
    const direction = history.direction(now.gradient);
    const slope = dot(now.gradient, direction);
    if (!(slope <= -changeTolerance)) return end("change", iteration - 1);
    // The first gradient says nothing about how far to go.
    const sum = now.gradient.reduce((all, value) => all + Math.abs(value), 0);
    const first = iteration === 1 ? Math.min(1, 1 / sum) * learningRate : learningRate;
    const found = yield* searchLine(x, direction, first, now, slope, changeTolerance);
    evaluations += found.evaluations;
    const before = now;
    const step = direction.map((value) => value * found.length);
    x = along(x, direction, found.length);
    now = found.at;
    history.add(
      step,
      now.gradient.map((value, i) => value - before.gradient[i]),
    );
    onIteration?.(iteration, x, now.value);
    if (iteration === iterations) return end("iterations", iteration);
    if (evaluations >= maxEvaluations) return end("evaluations", iteration);
    if (largest(now.gradient) <= gradientTolerance) return end("gradient", iteration);
    const stands = largest(step) <= changeTolerance || Math.abs(now.value - before.value) < changeTolerance;
    if (stands) return end("change", iteration);
  }
}

/** A point on a line: how far along, and the function there with its slope along the line. */
interface OnLine {
  readonly length: number;
  readonly at: Evaluation;
  readonly slope: number;
}

const DECREASE = 1e-4;
const CURVATURE = 0.9;
const MAX_TRIES = 25;

/** The minimum between two points of the cubic through both, values and slopes, within bounds. */
function interpolate(
  a: OnLine,
  b: OnLine,
  low = Math.min(a.length, b.length),
  high = Math.max(a.length, b.length),
): number {
  const [left, right] = a.length <= b.length ? [a, b] : [b, a];
  const d1 = a.slope + b.slope - (3 * (a.at.value - b.at.value)) / (a.length - b.length);
  const square = d1 * d1 - a.slope * b.slope;
  if (!(square >= 0)) return (low + high) / 2;
  const d2 = Math.sqrt(square);
  const share = (right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2);
  const length = right.length - (right.length - left.length) * share;
  // Where the function is infinite there is no cubic.
  return Number.isNaN(length) ? (low + high) / 2 : Math.min(Math.max(length, low), high);
}

interface Found {
  readonly length: number;
  readonly at: Evaluation;
  readonly evaluations: number;
}

/** A step length that meets the strong Wolfe conditions, or the best that was found. */
function* searchLine(
  x: Float64Array,
  direction: Float64Array,
  first: number,
  start: Evaluation,
  slope: number,
  tolerance: number,
): Asking<Found> {
  let tries = 0;
  function* evaluate(length: number): Asking<OnLine> {
    tries += 1;
    const at = yield along(x, direction, length);
    // No number is lower than none.
    const value = Number.isNaN(at.value) ? Number.POSITIVE_INFINITY : at.value;
    return { length, at: { ...at, value }, slope: dot(at.gradient, direction) };
  }
  const origin: OnLine = { length: 0, at: start, slope };
  const isTooHigh = ({ length, at }: OnLine): boolean => !(at.value <= start.value + DECREASE * length * slope);
  const isFlat = (one: OnLine): boolean => Math.abs(one.slope) <= -CURVATURE * slope;
  let [previous, current] = [origin, yield* evaluate(first)];
  let bracket: [OnLine, OnLine] | undefined;
  while (bracket === undefined && tries <= MAX_TRIES) {
    // Up to here each point was lower than the one before. (The first two tests of the value are PyTorch's.)
    const rises = tries > 2 && current.at.value >= previous.at.value;
    if (isTooHigh(current) || rises) bracket = [previous, current];
    else if (isFlat(current)) return { length: current.length, at: current.at, evaluations: tries };
    else if (current.slope >= 0) bracket = [previous, current];
    else {
      const [from, to] = [current.length + 0.01 * (current.length - previous.length), current.length * 10];
      const next = interpolate(previous, current, from, to);
      [previous, current] = [current, yield* evaluate(next)];
    }
  }
  bracket ??= [origin, current];
  let [low, high] = bracket[0].at.value <= bracket[1].at.value ? bracket : [bracket[1], bracket[0]];
  const size = largest(direction);
  let isSlow = false;
  while (tries <= MAX_TRIES && Math.abs(high.length - low.length) * size >= tolerance) {
    const [left, right] = [Math.min(low.length, high.length), Math.max(low.length, high.length)];
    const next = awayFromEnds(interpolate(low, high), left, right, isSlow);
    isSlow = next.isSlow;
    const found = yield* evaluate(next.length);
    if (isTooHigh(found) || found.at.value >= low.at.value) {
      [low, high] = found.at.value < low.at.value ? [found, low] : [low, found];
      continue;
    }
    if (isFlat(found)) return { length: found.length, at: found.at, evaluations: tries };
    // The minimum is on the side to which the function falls.
    if (found.slope * (high.length - low.length) >= 0) high = low;
    low = found;
  }
  return { length: low.length, at: low.at, evaluations: tries };
}

/** A point close to an end of the bracket for the second time, or at it, is moved a tenth of the bracket inwards. */
function awayFromEnds(
  length: number,
  left: number,
  right: number,
  wasSlow: boolean,
): { readonly length: number; readonly isSlow: boolean } {
  const margin = 0.1 * (right - left);
  if (Math.min(right - length, length - left) >= margin) return { length, isSlow: false };
  if (!wasSlow && length > left && length < right) return { length, isSlow: true };
  return { length: right - length < length - left ? right - margin : left + margin, isSlow: false };
}
