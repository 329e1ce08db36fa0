// A trainer in plain JavaScript: one weight a sample, so that its values tell which samples were trained on, how often and
// in which order. Sample i is a one-hot row, its target a number; SGD on the sum of squared errors, every operation
// rounded to float32. It has one rule: a pass goes on in the next call, whichever it is, until it has come to its end.
import { philox } from "../ops/philox.js";

const { fround } = Math;

/** A data set: of each sample the index of its one, and its target. */
export interface PlainData {
  readonly indices: readonly number[];
  readonly targets: readonly number[];
}

interface Pass {
  owner: unknown;
  readonly order: readonly number[];
  row: number;
  /** Loss of each step so far. */
  readonly losses: number[];
}

const RESTORED = Symbol("restored");

export interface Walk {
  readonly data: PlainData;
  /** What a pass belongs to: the data themselves if they stay in memory, the number of samples if not. */
  readonly owner: unknown;
  readonly batchSize: number;
  readonly shuffle: boolean;
}

export class PlainTrainer {
  readonly weights: Float32Array;
  steps = 0;
  epochs = 0;
  #passes = 0;
  #open: Pass[] = [];
  readonly #seed: number;
  readonly #rate: number;
  readonly #accumulate: number;

  /** `accumulate`: batches a step, whose gradients are added up. */
  constructor(width: number, seed: number, rate: number, accumulate = 1) {
    this.weights = new Float32Array(width);
    this.#seed = seed;
    this.#rate = fround(rate);
    this.#accumulate = accumulate;
  }

  /** One step on these samples, in batches of so many. Returns the loss before it. */
  step(data: PlainData, samples: readonly number[], batchSize = samples.length): number {
    const loss = this.loss(data, samples);
    const gradient = new Float32Array(this.weights.length);
    for (let first = 0; first < samples.length; first += batchSize) {
      const part = this.#gradient(data, samples.slice(first, first + batchSize));
      for (let i = 0; i < gradient.length; i++) gradient[i] = fround(gradient[i] + part[i]);
    }
    for (let i = 0; i < gradient.length; i++) {
      this.weights[i] = fround(this.weights[i] - fround(this.#rate * gradient[i]));
    }
    this.steps += 1;
    return loss;
  }

  /** That of one batch. */
  #gradient(data: PlainData, samples: readonly number[]): Float32Array {
    const gradient = new Float32Array(this.weights.length);
    for (const sample of samples) {
      const index = data.indices[sample];
      const error = fround(this.weights[index] - fround(data.targets[sample]));
      gradient[index] = fround(gradient[index] + fround(2 * error));
    }
    return gradient;
  }

  /** Sum of squared errors, in float64. */
  loss({ indices, targets }: PlainData, samples: readonly number[] = indices.map((_, i) => i)): number {
    return samples.reduce((sum, i) => sum + (this.weights[indices[i]] - targets[i]) ** 2, 0);
  }

  /** One step of a pass: of the one that is under way over these data, or of a new one. */
  walk({ data, owner, batchSize, shuffle }: Walk): { loss: number; ended: number[] | undefined } {
    const count = data.indices.length;
    const size = batchSize * this.#accumulate;
    const fits = (one: Pass, whose: unknown) => one.owner === whose && one.order.length === count;
    let pass = this.#open.find((one) => fits(one, owner)) ?? this.#open.find((one) => fits(one, RESTORED));
    if (pass !== undefined) pass.owner = owner;
    else {
      this.#passes += 1;
      const order = shuffle && size < count ? this.#shuffled(count, this.#passes) : data.indices.map((_, i) => i);
      pass = { owner, order, row: 0, losses: [] };
      this.#open.push(pass);
    }
    const samples = pass.order.slice(pass.row, pass.row + size);
    const loss = this.step(data, samples, batchSize);
    pass.row += samples.length;
    pass.losses.push(loss);
    if (pass.row < count) return { loss, ended: undefined };
    this.#open = this.#open.filter((one) => one !== pass);
    this.epochs += 1;
    return { loss, ended: pass.losses };
  }

  /** Nobody will go on with these data's pass. */
  forget(owner: unknown): void {
    this.#open = this.#open.filter((one) => one.owner !== owner);
  }

  /** A checkpoint was restored: whoever comes first with as many samples goes on with a pass. */
  restored(): void {
    for (const pass of this.#open) pass.owner = RESTORED;
  }

  reset(): void {
    this.weights.fill(0);
    [this.steps, this.epochs, this.#passes, this.#open] = [0, 0, 0, []];
  }

  /** Fisher and Yates' method, inside out, with Philox' numbers: what assembly/kernels/shuffle.ts states. */
  #shuffled(count: number, stream: number): number[] {
    const order: number[] = [];
    for (let i = 0; i < count; i++) {
      const j = this.#boundedInt(i, stream);
      order[i] = order[j];
      order[j] = i;
    }
    return order;
  }

  /** A number from 0 to i: Lemire's method, with another block for each attempt. */
  #boundedInt(i: number, stream: number): number {
    const key = [this.#seed >>> 0, Math.floor(this.#seed / 2 ** 32) >>> 0] as const;
    const bound = BigInt(i + 1);
    for (let attempt = 0; ; attempt++) {
      const word = BigInt(philox([i >> 2, attempt, stream, 2], [...key])[i & 3]);
      const product = word * bound;
      if ((product & 0xffffffffn) >= 2n ** 32n % bound) return Number(product >> 32n);
    }
  }
}
