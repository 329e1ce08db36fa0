// A character model: its training steps, and sampling from it one character a call.
import {
  adam,
  compile,
  crossEntropy,
  dense,
  embedding,
  type Layer,
  layerNorm,
  learnedPositions,
  type Model,
  sequential,
  type Trainer,
  transformerEncoder,
} from "../../src/index.js";
import { type BatchedData, createRandom, uniformValues } from "../data.js";
import { engineOf } from "../engines.js";
import { softmax } from "../javascript/losses.js";
import { createTransformer, type TransformerOptions, transformerShapes } from "../javascript/transformer.js";
import { type Contestant, type Implementation, LeftOut, type Variant, variantOf, type Workload } from "../workload.js";
import { type Learner, networkLearner, trainerLearner } from "./learner.js";
import { checkedTraining } from "./training.js";
import { checkValues } from "./values.js";

export interface TransformerTask extends TransformerOptions {
  readonly data: BatchedData;
  readonly initial: readonly Float32Array[];
}

const OPTIONS: TransformerOptions = {
  ...{ batch: 16, time: 64, characters: 65, width: 64, heads: 4, blocks: 2, hidden: 256 },
  optimizer: "adam",
  learningRate: 1e-3,
};

export function transformerTask(options: TransformerOptions, batches = 8): TransformerTask {
  const random = createRandom(1);
  const paths = pathsOf(options);
  const initial = transformerShapes(options).map((shape, index) => {
    const length = shape.reduce((product, size) => product * size, 1);
    if (index < 2) return uniformValues(random, length, 0.05);
    if (shape.length === 2) return uniformValues(random, length, Math.sqrt(6 / (shape[0] + shape[1])));
    // Of the vectors, normalizations multiply with those that are called weights.
    return new Float32Array(length).fill(paths[index].endsWith(".weight") ? 1 : 0);
  });
  return { ...options, data: textData(options, batches), initial };
}

/** Characters of which each mostly follows from the one before: the next in a round, or any. */
function textData({ batch, time, characters }: TransformerOptions, batches: number): BatchedData {
  const random = createRandom(5);
  const x = new Uint32Array(batches * batch * time);
  const y = new Uint32Array(x.length);
  for (let sample = 0; sample < batches * batch; sample++) {
    let character = Math.floor(random() * characters);
    for (let t = 0; t < time; t++) {
      x[sample * time + t] = character;
      character = random() < 0.2 ? Math.floor(random() * characters) : (character * 7 + 3) % characters;
      y[sample * time + t] = character;
    }
  }
  return { x: x as unknown as Float32Array, y, batch, batches };
}

export function transformerWorkload(): Workload {
  return checkedTraining(
    "transformer",
    "train a character transformer of 2 layers, width 64, 4 heads, context 64, vocabulary 65 (Adam), batch 16",
    () => transformerTask(OPTIONS),
    {
      reference: ({ data, initial, ...options }) => networkLearner(createTransformer(options), data, initial),
      create: createTransformerLearner,
      forPeers: ({ data, optimizer: _, ...task }, results) => ({
        kind: "transformer",
        ...task,
        ...data,
        x: data.x as unknown as Uint32Array,
        results,
      }),
    },
    { compared: 4, falling: 32 },
  );
}

function modelOf({ time, characters, width, heads, blocks, hidden }: TransformerOptions): Model {
  const rules = { causal: true, norm: "pre", hidden, cache: time } as const;
  const layers = Array.from({ length: blocks }, () => transformerEncoder(heads, rules) as Layer);
  return sequential(
    { input: [time], dtype: "uint32" },
    embedding(characters, width),
    learnedPositions(time, { stateful: true }) as Layer,
    ...layers,
    layerNorm({ epsilon: 1e-5 }),
    dense(characters) as Layer,
  );
}

/** Paths of the model's parameters in the order of `transformerShapes`. */
function pathsOf({ blocks }: TransformerOptions): string[] {
  const both = (name: string) => [`${name}.weight`, `${name}.bias`];
  const parts = Array.from({ length: blocks }, (_, index) => {
    const of = `${index + 2}`;
    return [
      ...both(`${of}.norm1`),
      ...both(`${of}.attention`),
      `${of}.attention.outputWeight`,
      `${of}.attention.outputBias`,
      ...both(`${of}.norm2`),
      ...both(`${of}.hidden`),
      ...both(`${of}.output`),
    ];
  }).flat();
  return ["0.weight", "1.weight", ...parts, ...both(`${blocks + 2}`), ...both(`${blocks + 3}`)];
}

async function compileTransformer(
  variant: Variant,
  { initial, ...options }: Omit<TransformerTask, "data">,
): Promise<{ trainer: Trainer; parameters: Readonly<Record<string, Float32Array>> }> {
  const parameters = Object.fromEntries(pathsOf(options).map((path, index) => [path, initial[index]]));
  const optimizer = adam({ learningRate: options.learningRate });
  const trainer = await compile(modelOf(options), { loss: crossEntropy(), optimizer, engine: await engineOf(variant) });
  trainer.setParameters(parameters);
  return { trainer, parameters };
}

export async function createTransformerLearner(
  implementation: Implementation,
  task: TransformerTask,
): Promise<Learner> {
  const { data, initial, ...options } = task;
  const variant = variantOf(implementation);
  if (variant === undefined) return networkLearner(createTransformer(options), data, initial);
  const { trainer, parameters } = await compileTransformer(variant, { initial, ...options });
  return trainerLearner(trainer, parameters, data, "steps");
}

const TOLERANCE = 1e-5;

/** A step is one character: the whole context again and again, each by one call with the cache of what came before. */
export function sampleWorkload(): Workload {
  const task = transformerTask({ ...OPTIONS, batch: 1 }, 1);
  const { data, initial, ...options } = task;
  const text = data.x as unknown as Uint32Array;
  const check = (probabilities: ArrayLike<number>): void => {
    const model = createTransformer(options);
    model.reset(initial);
    const expected = model.logits(text).slice();
    softmax(expected, options.time);
    checkValues("probabilities", probabilities, expected, () => TOLERANCE);
  };
  return {
    name: "sample",
    description: "sample a character from the character transformer, one call each, with a cache of keys and values",
    metric: "step-ms",
    work: 1,
    async prepare(implementation) {
      const sampler = await createSampler(implementation, task, text);
      check(sampler.probabilities());
      return sampler;
    },
    forPeers: () => ({
      task: { kind: "sample", ...options, x: text, initial },
      check,
    }),
  };
}

async function createSampler(
  implementation: Implementation,
  { data: _, ...task }: TransformerTask,
  text: Uint32Array,
): Promise<Contestant & { probabilities(): number[] }> {
  const variant = variantOf(implementation);
  if (variant === undefined) throw new LeftOut("it has no cache");
  const { trainer } = await compileTransformer(variant, task);
  const characters = Array.from(text, (character) => Uint32Array.of(character));
  const one = { inputShape: [1] };
  let position = 0;
  const reset = (): void => {
    trainer.resetState();
    position = 0;
  };
  const step = (): Float32Array => {
    if (position === characters.length) reset();
    return trainer.predictSync(characters[position++], one);
  };
  return {
    reset,
    run(steps) {
      for (let i = 0; i < steps; i++) step();
    },
    probabilities() {
      reset();
      return characters.flatMap(() => [...step()]);
    },
    dispose: trainer.dispose,
  };
}
