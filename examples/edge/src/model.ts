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
import { decodeSafetensors, decodeWeights, encodeSafetensors } from "steepest/io";

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
  /** Steps done and samples seen, repeated ones too, since the model was new. */
  steps = 0;
  samples = 0;

  private constructor(
    private readonly engine: Engine,
    private readonly trainer: Trainer,
  ) {}

  static async create(): Promise<OnlineModel> {
    const engine = await createEngine();
    // Plain sgd keeps nothing but the parameters, and steps take their samples in the order of the request: so a
    // checkpoint of the parameters is all there is, and a model read back goes on with the same bits.
    const trainer = await compile(sequential({ input: [INPUTS] }, dense(HIDDEN), relu(), dense(CLASSES)), {
      loss: crossEntropy(),
      optimizer: sgd({ learningRate: 0.05 }),
      seed: 1,
      engine,
    });
    return new OnlineModel(engine, trainer);
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
        this.steps += 1;
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

  /** Everything that lasts, as a safetensors file: the parameters, and the counts in its metadata. */
  checkpoint(): Uint8Array<ArrayBuffer> {
    return encodeSafetensors(Object.fromEntries(this.trainer.parameters()), {
      format: "steepest",
      model: MODEL_NAME,
      steps: String(this.steps),
      samples: String(this.samples),
    });
  }

  restore(checkpoint: Uint8Array): void {
    decodeWeights(this.trainer, checkpoint, "checkpoint");
    const { steps, samples } = decodeSafetensors(checkpoint).metadata;
    this.steps = Number(steps);
    this.samples = Number(samples);
  }

  /** As it was when new. */
  reset(): void {
    this.trainer.reset();
    this.steps = 0;
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
