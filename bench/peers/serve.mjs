// The peers' side of the protocol that ../peer.ts describes.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

/** This peer cannot do the task, which is no failure. */
export class LeftOut extends Error {}

const NOT_MEASURED = {
  train: "no training",
  predict: "prediction not measured",
  product: "no product of its own",
  convolution: "convolution not measured",
  cnn: "convolution not measured",
  recurrent: "recurrence not measured",
  layer: "layers not measured",
  optimizer: "optimizers not measured alone",
  transformer: "transformers not measured",
  sample: "transformers not measured",
};

/**
 * Answers until the input ends. `kinds` makes a session of a task, by its kind:
 * { alike, note, results(), reset(), run(steps) }, any of them async.
 */
export async function serve(version, kinds) {
  const reply = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
  // Libraries that print would break the lines.
  console.log = console.info = console.error;
  let session;
  const commands = {
    async prepare({ task }) {
      const prepare = kinds[task.kind];
      if (prepare === undefined) throw new LeftOut(NOT_MEASURED[task.kind]);
      session = await prepare(task);
      const { alike = true, note } = session;
      const results = Array.from(await session.results());
      await session.reset();
      return { results, alike, note };
    },
    async reset() {
      await session.reset();
      return {};
    },
    async run({ steps }) {
      const start = performance.now();
      await session.run(steps);
      return { elapsedMs: performance.now() - start };
    },
  };
  reply({ version });
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      const message = JSON.parse(line, decode);
      reply(await commands[message.command](message));
    } catch (error) {
      reply(error instanceof LeftOut ? { leftOut: error.message } : { error: String(error?.message ?? error) });
    }
  }
  // Whatever a library still holds open.
  process.exit(0);
}

function decode(_, value) {
  const text = value?.float32 ?? value?.uint32;
  if (typeof text !== "string") return value;
  const bytes = Uint8Array.from(Buffer.from(text, "base64")).buffer;
  return value.float32 === undefined ? new Uint32Array(bytes) : new Float32Array(bytes);
}

/** Version of a package in node_modules beside this file. */
export function versionOf(name) {
  return JSON.parse(readFileSync(new URL(`./node_modules/${name}/package.json`, import.meta.url), "utf8")).version;
}

/** Some of the packages are CommonJS only. */
export const require = createRequire(import.meta.url);

/**
 * A session of training, batch after batch: `start` sets everything to its start, `step` trains on a batch, and
 * `stepWithLoss` also returns the loss before it.
 */
export function trainingSession(task, { start, step, stepWithLoss, ...others }) {
  let next = 0;
  const takeBatch = () => {
    const batch = next;
    next = (next + 1) % task.batches;
    return batch;
  };
  const reset = async () => {
    next = 0;
    await start();
  };
  return {
    ...others,
    reset,
    async results() {
      await reset();
      const losses = [];
      for (let i = 0; i < task.results; i++) losses.push(await stepWithLoss(takeBatch()));
      return losses;
    },
    run(steps) {
      for (let i = 0; i < steps; i++) step(takeBatch());
    },
  };
}

/** A session of the same call over and over. */
export function repeatingSession({ once, results, ...others }) {
  return {
    ...others,
    results,
    reset() {},
    async run(steps) {
      for (let i = 0; i < steps; i++) {
        const pending = once();
        if (pending instanceof Promise) await pending;
      }
    },
  };
}

/** The i-th of `batches` parts. */
export function partOf(values, batches, i) {
  const size = values.length / batches;
  return values.subarray(i * size, (i + 1) * size);
}

/** Class indices as rows of zeros with a one. */
export function oneHot(labels, classes) {
  const rows = new Float32Array(labels.length * classes);
  labels.forEach((label, i) => {
    rows[i * classes + label] = 1;
  });
  return rows;
}

export function softmax(logits) {
  const largest = Math.max(...logits);
  const exponentials = Array.from(logits, (value) => Math.exp(value - largest));
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return exponentials.map((value) => value / sum);
}

/** Shapes of a character model's parameters, in the order that ../javascript/transformer.ts describes. */
export function transformerShapes({ characters, time, width, hidden, blocks }) {
  const dense = (inputs, units) => [[inputs, units], [units]];
  const norm = [[width], [width]];
  const attention = [...norm, ...dense(width, 3 * width), ...dense(width, width)];
  const block = [...attention, ...norm, ...dense(width, hidden), ...dense(hidden, width)];
  const blockList = Array.from({ length: blocks }, () => block).flat();
  return [[characters, width], [time, width], ...blockList, ...norm, ...dense(width, characters)];
}

/** Its parameters: of words and positions, of each block, and of what comes last. */
export function transformerParts([words, positions, ...others], blocks) {
  const parts = Array.from({ length: blocks }, (_, i) => others.slice(12 * i, 12 * (i + 1)));
  return { words, positions, blocks: parts, last: others.slice(12 * blocks) };
}
