// A small classifier that learns bit by bit, and its checkpoints.
import {
  compile,
  createEngine,
  crossEntropy,
  DivergenceError,
  dense,
  type Engine,
  relu,
  sequential,
  sgd,
  type Trainer,
} from "steepest";
import { decodeCheckpoint, encodeCheckpoint } from "steepest/io";

/** Numbers in a sample, units of the hidden layer, classes. */
export const INPUTS = 4;
const HIDDEN = 16;
export const CLASSES = 3;

/** Tells checkpoints of this model from those of another that was deployed before it. */
export const MODEL_NAME = `${INPUTS}-${HIDDEN}-${CLASSES}`;

/** Most samples of one step. */
const BATCH = 16;

/** Samples and their classes, to be gone through `passes` times in their order. */
export interface Lesson {
  readonly x: readonly (readonly number[])[];
  readonly y: readonly number[];
  readonly passes: number;
}

/** Training steps that a lesson takes. */
export function stepsOf({ x, passes }: Pick<Lesson, "x" | "passes">): number {
  return passes * Math.ceil(x.length / BATCH);
}

/** A lesson that drove the loss or a parameter to infinity. */
export class UnlearnableError extends Error {
  override name = "UnlearnableError";

  constructor(what: string) {
    super(`these samples cannot be learned: ${what} became infinite`);
  }
}

export class OnlineModel {
  /** Samples seen, repeated ones too, since the model was new. */
  samples = 0;

  private constructor(
    private readonly engine: Engine,
    private readonly trainer: Trainer,
  ) {}

  static async create(): Promise<OnlineModel> {
    const engine = await createEngine();
    const trainer = await compile(sequential({ input: [INPUTS] }, dense(HIDDEN), relu(), dense(CLASSES)), {
      loss: crossEntropy(),
      optimizer: sgd({ learningRate: 0.05, momentum: 0.5 }),
      seed: 1,
      engine,
    });
    return new OnlineModel(engine, trainer);
  }

  /** Steps done since the model was new. */
  get steps(): number {
    return this.trainer.steps;
  }

  /** Does the steps from `begin` to before `end` of a lesson. Returns the sum of their losses, each before its step. */
  learn({ x, y }: Lesson, begin: number, end: number): number {
    const batches = Math.ceil(x.length / BATCH);
    let losses = 0;
    try {
      for (let step = begin; step < end; step++) {
        const first = (step % batches) * BATCH;
        const rows = x.slice(first, first + BATCH);
        losses += this.trainer.trainBatchSync({ x: rows, y: y.slice(first, first + BATCH) });
        this.samples += rows.length;
      }
    } catch (error) {
      if (error instanceof DivergenceError) throw new UnlearnableError("the loss");
      throw error;
    }
    // The loss is that before the step: the last step may have gone wrong unseen.
    for (const [name, { data }] of this.trainer.parameters()) {
      if (!data.every(Number.isFinite)) throw new UnlearnableError(`"${name}"`);
    }
    return losses;
  }

  /** The probability of each class, sample by sample. */
  predict(x: Lesson["x"]): number[][] {
    const flat = this.trainer.predictSync(x);
    return x.map((_, i) => Array.from(flat.subarray(i * CLASSES, (i + 1) * CLASSES)));
  }

  /** Everything that lasts, as a safetensors file: where the training stands, and the samples in its metadata. */
  checkpoint(): Uint8Array<ArrayBuffer> {
    return encodeCheckpoint(this.trainer.checkpoint(), { model: MODEL_NAME, samples: String(this.samples) });
  }

  restore(bytes: Uint8Array): void {
    const checkpoint = decodeCheckpoint(bytes, "checkpoint");
    this.trainer.restore(checkpoint);
    this.samples = Number(checkpoint.metadata.samples);
  }

  /** As it was when new. */
  reset(): void {
    this.trainer.reset();
    this.samples = 0;
  }

  describe() {
    return {
      model: MODEL_NAME,
      steps: this.steps,
      samples: this.samples,
      shapes: Object.fromEntries([...this.trainer.parameters()].map(([name, { shape }]) => [name, shape])),
      build: this.trainer.build,
      memoryBytes: this.engine.memoryBytes(),
    };
  }
}
