// Scores of samples in bounded memory: weights of each class by score. All distinct scores are kept up to a limit; then
// neighbours are merged into intervals.
import type { Ranking } from "../nn/rankings.js";

/** Scores from `low` to `high`, and the weight of each class among them. */
interface Interval {
  readonly low: number;
  readonly high: number;
  readonly weights: Float64Array;
}

export class ScoreBins {
  #merged: Interval[] = [];
  #waiting = new Map<number, Float64Array>();

  /** `limit`: of distinct scores, at least 2. */
  constructor(
    readonly classes: number,
    readonly limit: number,
  ) {}

  add(score: number, of: number, weight: number): void {
    let weights = this.#waiting.get(score);
    if (weights === undefined) {
      if (this.#waiting.size >= this.limit) this.#settle();
      weights = new Float64Array(this.classes);
      this.#waiting.set(score, weights);
    }
    weights[of] += weight;
  }

  /** The intervals, the highest first. */
  intervals(): readonly Interval[] {
    this.#settle();
    return this.#merged;
  }

  /** Puts what waits into the intervals, and merges neighbours two by two if they are more than the limit. */
  #settle(): void {
    const waiting = [...this.#waiting].sort(([a], [b]) => b - a);
    if (waiting.length === 0) return;
    const all: Interval[] = [];
    let next = 0;
    const takeAbove = (low: number): void => {
      for (; next < waiting.length && waiting[next][0] > low; next++) {
        const [score, weights] = waiting[next];
        all.push({ low: score, high: score, weights });
      }
    };
    for (const interval of this.#merged) {
      takeAbove(interval.high);
      for (; next < waiting.length && waiting[next][0] >= interval.low; next++) {
        addTo(interval.weights, waiting[next][1]);
      }
      all.push(interval);
    }
    takeAbove(Number.NEGATIVE_INFINITY);
    this.#waiting = new Map();
    // Neither list is longer than the limit.
    if (all.length > this.limit) mergePairs(all);
    this.#merged = all;
  }
}

function addTo(sum: Float64Array, more: Float64Array): void {
  for (let index = 0; index < sum.length; index++) sum[index] += more[index];
}

function mergePairs(all: Interval[]): void {
  let to = 0;
  for (let from = 0; from < all.length; from += 2, to++) {
    const [first, second] = [all[from], all[from + 1]];
    if (second === undefined) {
      all[to] = first;
      continue;
    }
    addTo(first.weights, second.weights);
    all[to] = { low: second.low, high: first.high, weights: first.weights };
  }
  all.length = to;
}

/** How samples of one interval are ordered: as equal, or all positives first, or all negatives. */
export type OrderWithin = "equal" | "best" | "worst";

/** The ranking of some classes against others; lists of weights with the highest score first. */
export function rankingOf(
  intervals: readonly Interval[],
  isPositive: (index: number) => boolean,
  isNegative: (index: number) => boolean,
  order: OrderWithin = "equal",
): Ranking & { readonly thresholds: number[] } {
  const [positives, negatives, thresholds] = [[], [], []] as [number[], number[], number[]];
  const push = (positive: number, negative: number, threshold: number): void => {
    positives.push(positive);
    negatives.push(negative);
    thresholds.push(threshold);
  };
  for (const { low, high, weights } of intervals) {
    let [positive, negative] = [0, 0];
    weights.forEach((weight, index) => {
      if (isPositive(index)) positive += weight;
      else if (isNegative(index)) negative += weight;
    });
    if (low === high || order === "equal") push(positive, negative, low);
    else if (order === "best") {
      push(positive, 0, high);
      push(0, negative, low);
    } else {
      push(0, negative, high);
      push(positive, 0, low);
    }
  }
  return { positives, negatives, thresholds };
}
