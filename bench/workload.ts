// What is measured, and who does it.
import type { PeerName } from "./peerList.js";
import type { Schedule } from "./timing.js";

export const IMPLEMENTATIONS = [
  "steepest-strict-1",
  "steepest-fast-1",
  "steepest-wide-1",
  "steepest-strict-2",
  "steepest-fast-2",
  "steepest-wide-2",
  "javascript",
] as const;
/** The number is that of the threads. */
export type Implementation = (typeof IMPLEMENTATIONS)[number];
/** The same at another revision of the source (`--against`), by its commit. */
export type Predecessor = `${Implementation}@${string}`;
/** What an implementation is put in relation to, within one workload: "steepest-strict-1/copy". */
export type Yardstick = `${Implementation}/${string}`;
/** Whatever a line of the table can be about. */
export type Competitor = Implementation | Yardstick | Predecessor | PeerName;

/** How steepest runs. */
export interface Variant {
  readonly build: "strict" | "fast" | "wide";
  readonly threads: number;
}

/** The variant of steepest that a name stands for; undefined for anybody else. */
export function variantOf(name: Competitor): Variant | undefined {
  const [, build, threads] = /^steepest-(strict|fast|wide)-(\d+)(?:[@/].*)?$/.exec(name) ?? [];
  return build === undefined ? undefined : { build: build as Variant["build"], threads: Number(threads) };
}

/** `step-ms`: time of a step, less is better. The others are rates, more is better. */
export type Metric = "step-ms" | "gflops" | "gelements-s" | "gbytes-s";

export const UNITS: Record<Metric, string> = {
  "step-ms": "ms",
  gflops: "GFLOP/s",
  "gelements-s": "Gelement/s",
  "gbytes-s": "GB/s",
};

/** One implementation of a workload, ready to be timed. */
export interface Contestant {
  /** Back to the start; not timed. */
  reset(): void;
  /** Does the workload's step this many times. */
  run(steps: number): void;
  dispose(): void;
}

/** A contestant in a process of its own, which takes the time itself: talking to it is not timed. */
export interface RemoteContestant {
  readonly remote: true;
  reset(): Promise<void>;
  /** Returns the milliseconds that the steps took. */
  run(steps: number): Promise<{ readonly elapsedMs: number }>;
  dispose(): void;
}

export interface Workload {
  readonly name: string;
  readonly description: string;
  readonly metric: Metric;
  /** Floating-point operations (gflops), elements (gelements-s) or bytes (gbytes-s) of a step; 1 for step-ms. */
  readonly work: number;
  /** How long to measure, where there are too many of its family to be as thorough as with the others. */
  readonly schedule?: Schedule;
  /**
   * Makes a contestant whose results have been checked. Throws CheckError where they are wrong, LeftOut where the
   * implementation has no part in this.
   */
  prepare(implementation: Implementation): Contestant | Promise<Contestant | RemoteContestant>;
  /** What each variant of steepest is put in relation to: timed in the same turns, and run by the same engine. */
  readonly yardstick?: {
    readonly name: string;
    prepare(variant: Variant): Promise<Contestant | RemoteContestant>;
  };
  /** The same for programs that share no memory with this one; absent where there is nothing to compare. */
  forPeers?(): PeerWork | Promise<PeerWork>;
}

/** Work for a peer: what it is told, and what it must answer. */
export interface PeerWork {
  readonly task: PeerTask;
  /**
   * Throws CheckError where the results are wrong. A peer that cannot do the very same (`alike` false: another loss,
   * its own initial weights) is held to less.
   */
  check(results: readonly number[], alike: boolean): void;
}

interface CharacterModel {
  readonly batch: number;
  readonly time: number;
  readonly characters: number;
  readonly width: number;
  readonly heads: number;
  readonly blocks: number;
  readonly hidden: number;
  readonly learningRate: number;
  readonly x: Uint32Array;
  readonly initial: readonly Float32Array[];
}

/** Weights are [inputs, units], in the order of the layers, each followed by its bias. */
export type PeerTask =
  | {
      readonly kind: "train";
      readonly sizes: readonly number[];
      readonly hidden: string;
      readonly loss: string;
      readonly optimizer: string;
      readonly learningRate: number;
      readonly batch: number;
      readonly batches: number;
      readonly x: Float32Array;
      readonly y: Float32Array | Uint32Array;
      readonly initial: readonly Float32Array[];
      /** The results asked for: the loss before each of so many steps. */
      readonly results: number;
    }
  /**
   * Images of one channel, size × size: convolution 3×3, ReLU, max pooling 2×2, twice, and a dense layer; cross-entropy,
   * Adam. Weights have the channels last; the dense layer's inputs are [height, width, channels]. Results as for train.
   */
  | {
      readonly kind: "cnn";
      readonly size: number;
      readonly filters: readonly [number, number];
      readonly classes: number;
      readonly learningRate: number;
      readonly batch: number;
      readonly batches: number;
      readonly x: Float32Array;
      readonly y: Float32Array | Uint32Array;
      readonly initial: readonly Float32Array[];
      readonly results: number;
    }
  /**
   * Sequences [time, inputs] to an LSTM or a GRU, whose last state goes to a dense layer; cross-entropy, Adam. Weights are
   * [inputs, gates · units] and [units, gates · units], then a bias (a GRU: two), then the dense layer's. Gates are i, f, g, o
   * and r, z, n; the reset comes after the product. Results as for train.
   */
  | {
      readonly kind: "recurrent";
      readonly cell: "lstm" | "gru";
      readonly time: number;
      readonly inputs: number;
      readonly units: number;
      readonly classes: number;
      readonly learningRate: number;
      readonly batch: number;
      readonly batches: number;
      readonly x: Float32Array;
      readonly y: Float32Array | Uint32Array;
      readonly initial: readonly Float32Array[];
      readonly results: number;
    }
  /**
   * Characters [time] to those that follow: embeddings of characters and positions, blocks of causal attention and two dense
   * layers (ReLU), each behind a normalization (epsilon 1e-5), a last one, and a dense layer; cross-entropy, Adam. Parameters as
   * in javascript/transformer.ts. Results as for train.
   */
  | (CharacterModel & {
      readonly kind: "transformer";
      readonly batches: number;
      readonly y: Float32Array | Uint32Array;
      readonly results: number;
    })
  /** One character of that model a step, from position 0 to the last and again; results: the probabilities at each position. */
  | (CharacterModel & { readonly kind: "sample" })
  /** One sample; ReLU inside; the results are the probabilities. */
  | {
      readonly kind: "predict";
      readonly sizes: readonly number[];
      readonly x: Float32Array;
      readonly initial: readonly Float32Array[];
    }
  /** The results are the elements of a [n, n] · b [n, n]. */
  | { readonly kind: "product"; readonly n: number; readonly a: Float32Array; readonly b: Float32Array }
  /**
   * Channels last, a square window, stride 1: y = x * weight, and from dy = upstream dx and dW. The results are the
   * elements of y, dx and dW, in turn, at `places`.
   */
  | {
      readonly kind: "convolution";
      readonly batch: number;
      readonly height: number;
      readonly width: number;
      readonly channels: number;
      readonly filters: number;
      readonly window: number;
      readonly padding: number;
      readonly x: Float32Array;
      readonly weight: Float32Array;
      readonly upstream: Float32Array;
      readonly places: readonly (readonly number[])[];
    }
  /**
   * A layer as in workloads/layerCases.ts, channels last: from x, parameters and upstream, y, the gradient of x (unless it is of
   * indices) and those of the parameters. The results are the elements of these at `places`; of a `random` layer, the mean of
   * the squares of each.
   */
  | {
      readonly kind: "layer";
      readonly name: string;
      readonly x: ShapedValues;
      readonly parameters: readonly ShapedValues[];
      readonly upstream: ShapedValues;
      readonly random: boolean;
      readonly places: readonly (readonly number[])[];
    }
  /**
   * Steps of an optimizer over `tensors` tensors of `length` values each, along gradients that stay the same; they and the
   * parameters are as in javascript/optimizers.ts. With a `bound`, the gradients are first scaled to that global norm. The
   * results are the parameters at `places`, counted through all tensors, after `steps` steps.
   */
  | {
      readonly kind: "optimizer";
      readonly name: string;
      readonly learningRate: number;
      readonly tensors: number;
      readonly length: number;
      readonly gradients: GradientKind;
      readonly bound?: number | undefined;
      readonly steps: number;
      readonly places: readonly number[];
    };

/** How an optimizer's gradients are: as in a training, or so small that its moments would be denormal. */
export type GradientKind = "usual" | "tiny";

interface ShapedValues {
  readonly shape: readonly number[];
  readonly values: Float32Array | Uint32Array;
}

/** Makes an implementation of the workload, or its yardstick, ready. */
export async function prepareIn(
  workload: Workload,
  name: Implementation | Yardstick,
): Promise<Contestant | RemoteContestant> {
  const [, yardstick] = name.split("/");
  if (yardstick === undefined) return workload.prepare(name as Implementation);
  const variant = variantOf(name);
  if (workload.yardstick?.name !== yardstick || variant === undefined) {
    throw new Error(`${workload.name} has no "${name}"`);
  }
  return workload.yardstick.prepare(variant);
}

/** A result differs from the reference: the implementation is not timed. */
export class CheckError extends Error {
  override name = "CheckError";
}

/** An implementation or a peer cannot do this workload, and says why. That is no failure. */
export class LeftOut extends Error {
  override name = "LeftOut";
}

/** A step's time in the workload's metric. */
export function inMetric({ metric, work }: Workload, stepMs: number): number {
  return metric === "step-ms" ? stepMs : work / stepMs / 1e6;
}
