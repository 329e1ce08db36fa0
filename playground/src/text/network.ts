// Models of text, character by character: a small GPT, an LSTM, a GRU; and the one that writes with what was learned.
import {
  adam,
  clipByGlobalNorm,
  compile,
  crossEntropy,
  dense,
  embedding,
  gru,
  layerNorm,
  learnedPositions,
  lstm,
  normal,
  type Predictor,
  sequential,
  tiedDense,
  transformerEncoder,
} from "steepest";
import { tokenSampler } from "steepest/text";
import type { Random } from "../random.js";
import type { TextSettings } from "./settings.js";

export type Sizes = Pick<TextSettings, "model" | "width" | "context"> & {
  /** Of the alphabet. */
  readonly size: number;
};

const HEADS = 4;
const BLOCKS = 2;
const EMBEDDED = 32;

/** From ids [batch, context] to logits [batch, context, size] of what follows each. `stateful`: predictions go on from call to call. */
export function createModel({ model, width, context, size }: Sizes, { stateful }: { stateful: boolean }) {
  const input = { input: [context], dtype: "uint32" } as const;
  if (model === "gpt") {
    const weightInitializer = normal({ standardDeviation: 0.1 });
    const tokens = embedding(size, width, { name: "tokens", weightInitializer });
    const block = (name: string) =>
      transformerEncoder(HEADS, {
        name,
        causal: true,
        norm: "pre",
        activation: "gelu",
        ...(stateful ? { cache: context } : {}),
      });
    return sequential(
      input,
      tokens,
      learnedPositions(context, { name: "positions", stateful, weightInitializer }),
      ...Array.from({ length: BLOCKS }, (_, index) => block(`block${index}`)),
      layerNorm({ name: "norm" }),
      tiedDense(tokens, { name: "logits" }),
    );
  }
  const cell = model === "lstm" ? lstm : gru;
  return sequential(
    input,
    embedding(size, EMBEDDED, { name: "tokens", weightInitializer: normal({ standardDeviation: 1 }) }),
    cell(width, { name: "memory", returnSequences: true, stateful }),
    dense(size, { name: "logits" }),
  );
}

export function openTrainer(
  sizes: Sizes,
  { seed, threads }: { seed: number; threads: number },
  learningRate: () => number,
) {
  return compile(createModel(sizes, { stateful: false }), {
    loss: crossEntropy(),
    // It rises over the first steps, while the estimates of Adam are rough.
    optimizer: clipByGlobalNorm(1, adam({ learningRate: (step) => learningRate() * Math.min(1, step / 50) })),
    seed,
    threads,
  });
}

export type TextTrainer = Awaited<ReturnType<typeof openTrainer>>;

/** Windows from anywhere in the text: x [count, length], and y, for each id the one that follows it. */
export function drawWindows(ids: Uint32Array, length: number, count: number, { uniform }: Random) {
  const [x, y] = [new Uint32Array(count * length), new Uint32Array(count * length)];
  for (let window = 0; window < count; window++) {
    const from = Math.floor(uniform() * (ids.length - length));
    x.set(ids.subarray(from, from + length), window * length);
    y.set(ids.subarray(from + 1, from + 1 + length), window * length);
  }
  return { x, y };
}

/** Writes on this thread, so little a call that a frame has time for some: a model of its own, with the parameters that it is given. */
export async function openWriter(sizes: Sizes) {
  const model: Predictor = await compile(createModel(sizes, { stateful: true }), { background: false });
  let [written, unread]: [number[], number[]] = [[], []];
  let read = 0;
  let draw = tokenSampler({ temperature: 1 });
  return {
    /** Begins anew, with these parameters and after this start. */
    begin(
      parameters: ReturnType<TextTrainer["parameters"]>,
      start: readonly number[],
      temperature: number,
      seed: number,
    ): void {
      model.setParameters(parameters);
      model.resetState();
      written = [...start];
      unread = [...start];
      read = 0;
      draw = tokenSampler({ temperature, seed });
    },
    /** Reads an id that was not read yet; after the last of them, draws the one that comes next. */
    next(): number | undefined {
      // A GPT sees no more than its context: beyond, it begins anew with the second half of it.
      if (sizes.model === "gpt" && read + unread.length > sizes.context) {
        model.resetState();
        unread = written.slice(-Math.ceil(sizes.context / 2));
        read = 0;
      }
      const [first = 0, ...others] = unread;
      const logits = model.predictSync(Uint32Array.of(first), { inputShape: [1], output: "raw" });
      unread = others;
      read++;
      if (unread.length > 0) return undefined;
      const id = draw(logits);
      written.push(id);
      unread = [id];
      return id;
    },
    dispose: () => model.dispose(),
  };
}

export type Writer = Awaited<ReturnType<typeof openWriter>>;
