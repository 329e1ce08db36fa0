// What goes on around the steps of an epoch: metrics, data that arrive batch by batch, the way back from a divergence. Each
// next to the same epoch without it.
import type { Engine } from "../../src/engine/engine.js";
import { adam, balancedAccuracy, compile, crossEntropy, dense, f1, relu, sequential } from "../../src/index.js";
import { classificationData } from "../data.js";
import { engineOf } from "../engines.js";
import { LeftOut, type RemoteContestant, variantOf, type Workload } from "../workload.js";
import { checkValues } from "./values.js";

const BATCH = 32;
// Samples that arrive together.
const CHUNK = 512;
const METRICS = ["accuracy", f1(), balancedAccuracy()] as const;
type Metrics = typeof METRICS | readonly [];

interface Way {
  readonly metrics?: Metrics;
  /** Whether the data arrive in parts. Otherwise they are in memory before the epoch begins. */
  readonly streamed?: boolean;
  /** Whether there is a copy to go back to. Default false. */
  readonly tripwire?: boolean;
}

/** What is measured, how, and what it is compared with. */
interface Comparison {
  readonly name: string;
  readonly what: string;
  readonly way: Way;
  readonly yardstick: string;
  readonly other: Way;
  /** Whether both must end with the same parameters. */
  readonly sameBits?: boolean;
}

const COMPARISONS: readonly Comparison[] = [
  {
    name: "metrics-mnist",
    what: "with accuracy, F1 and balanced accuracy",
    way: { metrics: METRICS },
    yardstick: "without",
    other: {},
    sameBits: true,
  },
  {
    name: "stream-mnist",
    what: `of bytes that arrive in parts of ${CHUNK} samples`,
    way: { streamed: true },
    yardstick: "resident",
    other: {},
    sameBits: true,
  },
  {
    name: "tripwire-mnist",
    what: "with the way back from a divergence",
    way: { tripwire: true },
    yardstick: "without",
    other: {},
    sameBits: true,
  },
];

/** `uniqueBatches` come twice: see ../data.ts. */
export function epochWorkloads(uniqueBatches = 64): Workload[] {
  const data = classificationData(BATCH, 784, 10, 5, uniqueBatches);
  const y = data.y as Uint32Array;
  // As MNIST's images are stored: a byte a pixel.
  const bytes = { x: Uint8Array.from(data.x, (value) => Math.min(255, Math.abs(value) * 255)), y, scale: 1 / 255 };
  return COMPARISONS.map((comparison) =>
    workloadOf(comparison, comparison.way.streamed ? bytes : { x: data.x, y }, uniqueBatches),
  );
}

interface Given {
  readonly x: Float32Array | Uint8Array;
  readonly y: Uint32Array;
  readonly scale?: number;
}

function workloadOf(
  { name, what, way, yardstick, other, sameBits }: Comparison,
  samples: Given,
  uniqueBatches: number,
): Workload {
  return {
    name,
    description: `an epoch of 784-128-10 (ReLU, Adam), ${2 * uniqueBatches} batches of ${BATCH}, ${what}`,
    metric: "step-ms",
    work: 1,
    async prepare(implementation) {
      const variant = variantOf(implementation);
      if (variant === undefined) throw new LeftOut(`it has no ${name.split("-")[0]}`);
      const engine = await engineOf(variant);
      if (sameBits) await checkSame(engine, samples, way, other);
      if (way.metrics !== undefined) await checkAccuracy(engine, samples);
      return contestantOf(engine, samples, way);
    },
    yardstick: {
      name: yardstick,
      prepare: async (variant) => contestantOf(await engineOf(variant), samples, other),
    },
  };
}

async function trainerOf(engine: Engine, { metrics = [], tripwire = false }: Way) {
  const model = sequential({ input: [784] }, dense(128), relu(), dense(10));
  const options = tripwire ? {} : ({ tripwire: false } as const);
  return compile(model, { loss: crossEntropy(), optimizer: adam(), metrics, seed: 1, engine, ...options });
}

/** All samples in their order, some at a time. */
function* parts({ x, y, ...rest }: Given) {
  for (let row = 0; row < y.length; row += CHUNK) {
    yield { x: x.subarray(784 * row, 784 * (row + CHUNK)), y: y.subarray(row, row + CHUNK), ...rest };
  }
}

async function contestantOf(engine: Engine, samples: Given, way: Way): Promise<RemoteContestant> {
  const trainer = await trainerOf(engine, way);
  const resident = way.streamed ? undefined : trainer.load(samples);
  return {
    remote: true,
    async reset() {},
    async run(epochs) {
      const start = performance.now();
      await trainer.fit(resident ?? (() => parts(samples)), { epochs, batchSize: BATCH, shuffle: false });
      return { elapsedMs: performance.now() - start };
    },
    dispose: () => trainer.dispose(),
  };
}

/** Both ways must train alike. */
async function checkSame(engine: Engine, samples: Given, one: Way, other: Way): Promise<void> {
  const ends: number[][] = [];
  for (const way of [one, other]) {
    const trainer = await trainerOf(engine, way);
    await trainer.fit(way.streamed ? () => parts(samples) : samples, { batchSize: BATCH, shuffle: false });
    ends.push([...trainer.parameters().values()].flatMap(({ data }) => [...data]));
    trainer.dispose();
  }
  checkValues("parameters", ends[0], ends[1], () => 0);
}

/** The accuracy is that of the predictions. */
async function checkAccuracy(engine: Engine, { x, y }: Given): Promise<void> {
  const trainer = await trainerOf(engine, { metrics: METRICS });
  const { accuracy } = (await trainer.evaluate({ x, y })) as { accuracy: number };
  const probabilities = await trainer.predict(x);
  const right = y.filter((label, i) => {
    const row = probabilities.subarray(10 * i, 10 * i + 10);
    return row.indexOf(Math.max(...row)) === label;
  });
  checkValues("accuracy", [accuracy], [right.length / y.length], () => 1e-9);
  trainer.dispose();
}
