// Where the time of a training step goes: every instruction of its program, run by itself over the memory of a trainer that
// is made for this.
import { CLOCK_NEXT_ROW, CLOCK_POSITION, CLOCK_ROUND, CLOCK_ROW } from "../engine/constants.js";
import { createEngine, type Engine } from "../engine/engine.js";
import { ModelError, showValue } from "../engine/errors.js";
import { performance } from "../engine/host.js";
import { elements, type Pointer, repeatAt, startRecording } from "../engine/instructions.js";
import { kindOf } from "../engine/kind.js";
import { integer, number, type OptionsOf, readOptions } from "../engine/options.js";
import { buildProgram, installProgram, type Program } from "../graph/program.js";
import { bytesOf, input, type Node, type Shape, type Tensor } from "../graph/tensor.js";
import { checkModel, type Model } from "../nn/model.js";
import type { Ports } from "../nn/ports.js";
import { matmul } from "../ops/matmul.js";
import { type AnyOptions, configure } from "../train/config.js";
import type { Samples } from "../train/data.js";
import { atOnce, runSync } from "../train/job.js";
import type { Losses } from "../train/outputs.js";
import { load } from "../train/samples.js";
import { checkTrains, closeState, createState, initializeState, type State } from "../train/state.js";
import { readyStep } from "../train/steps.js";
import type { CompileOptions } from "../train/trainer.js";
import { flopsOf, parameterWork } from "./flops.js";
import { type Profile, profileOf, type Timed } from "./profileReport.js";

/** What `compile` takes besides: for whom the step is made. */
export type ProfileOptions<O extends Ports = Shape, L = Losses<O>> = Omit<
  CompileOptions<never, O, L>,
  "engine" | "background"
> & {
  /** Samples a step. Default 32. */
  batchSize?: number;
  /** How long each instruction is run for. Default 5. */
  millisecondsEach?: number;
};

const OPTIONS = {
  batchSize: integer(32, { min: 1 }),
  millisecondsEach: number(5, { min: 0.01, max: 1000 }),
} satisfies OptionsOf<Pick<ProfileOptions, "batchSize" | "millisecondsEach">>;

/**
 * Measures a training step instruction by instruction: each is run many times by itself, in the order of the program, on the
 * memory of a trainer that is made for this, with the model's initial values. What products and copies reach on this machine is
 * measured on the spot, and is what instructions are compared with.
 *
 * An instruction by itself finds its inputs in the cache, so the sum is most often below a whole step's time; it is above it if
 * instructions are so short that calling them counts.
 *
 * @param data At least as many samples as a batch.
 * @param options Those of `compile`, and how much is measured.
 * @throws {ModelError} For wrong options. @throws {DataError} If the data do not fit.
 * @example
 * const result = await profile(model, { x, y }, { loss: crossEntropy(), optimizer: adam(), batchSize: 64 });
 * console.log(result.text());
 */
export async function profile<I extends Ports, O extends Ports, const L extends Losses<O> = Losses<O>>(
  model: Model<I, O>,
  data: Samples<I, O>,
  options: ProfileOptions<NoInfer<O>, L>,
): Promise<Profile> {
  checkModel("profile", model);
  if (kindOf(options) !== "Object") {
    throw new ModelError(
      `profile: options must be an object such as { loss: …, optimizer: … }, got ${showValue(options)}`,
    );
  }
  const { batchSize, millisecondsEach, ...rest } = options;
  const plan = readOptions("profile", { batchSize, millisecondsEach }, OPTIONS);
  const config = atOnce(configure(model, { ...(rest as unknown as AnyOptions), tripwire: false }));
  const { build, threads, convolution } = rest;
  const engine = await createEngine({ build, threads, convolution, background: false });
  let state: State | undefined;
  try {
    state = createState(engine, config);
    checkTrains(state, "profile");
    runSync(engine, initializeState(state));
    const resident = load(state, data as never);
    const batches = { data: resident, batchSize: Math.min(plan.batchSize, resident.count), shuffle: false };
    const { program } = readyStep(state, batches);
    const whole = program.program;
    const { clock } = state;
    // Instructions count steps and rows, which must stay within the data.
    const rewind = (): void => {
      const { words } = engine.heap;
      words[(clock + CLOCK_POSITION) / 4] = 0;
      words[(clock + CLOCK_ROW) / 4] = 0;
      words[(clock + CLOCK_NEXT_ROW) / 4] = 0;
      words[(clock + CLOCK_ROUND) / 4] = 0;
    };
    const stepMs = timeOf(engine, whole, plan.millisecondsEach, rewind);
    const timed = unitsOf(engine, whole, program.writtenBy, { ms: plan.millisecondsEach, rewind });
    const limits = measureLimits(engine, plan.millisecondsEach);
    return profileOf({
      build: engine.build,
      threads: engine.threads,
      batchSize: batches.batchSize,
      stepMs,
      limits,
      timed,
    });
  } finally {
    if (state !== undefined) await closeState(state);
    engine.dispose();
  }
}

/** Milliseconds of a run: the least of five series. */
function timeOf(
  engine: Engine,
  { address, end, threads }: Pick<Program, "address" | "end" | "threads">,
  ms: number,
  rewind = () => {},
): number {
  const run = (times: number): number => {
    const start = performance.now();
    for (let i = 0; i < times; i++) {
      rewind();
      engine.run(address, end, 1, threads);
    }
    return performance.now() - start;
  };
  const once = Math.max(run(1), run(1), 1e-4);
  const times = Math.max(1, Math.min(1000, Math.floor(ms / 5 / once)));
  return Math.min(...Array.from({ length: 5 }, () => run(times) / times));
}

type WrittenBy = (node: Node) => readonly { readonly tensor: Tensor; readonly address: Pointer }[];

/**
 * Each instruction; those of a loop in the model as one. Bytes and operations of a node of several are divided among them by their
 * time, so that all are as far from the limit as the node is.
 */
function unitsOf(engine: Engine, program: Program, writtenBy: WrittenBy, how: { ms: number; rewind(): void }): Timed[] {
  const { listing, address, end } = program;
  const at = (index: number): Pointer => (index < listing.length ? address + listing[index].offset * 4 : end);
  const timed: Timed[] = [];
  const nodes: (Node | undefined)[] = [];
  const nodeMs = new Map<Node, number>();
  for (let index = 0, next = 0; index < listing.length; index = next) {
    const { kernel, origin, times, units } = listing[index];
    const node = origin as Node | undefined;
    next = index + 1;
    const repeat = repeatAt(engine.heap.words, at(index) / 4);
    if (repeat !== undefined) {
      // The batches of a step: their instructions come next, each with how often it runs.
      if (node === undefined) continue;
      while (next < listing.length && at(next) < repeat.end * 4) next++;
    }
    const onceMs = timeOf(engine, { address: at(index), end: at(next), threads: program.threads }, how.ms, how.rewind);
    const ms = onceMs * times;
    nodes.push(node);
    if (node !== undefined) nodeMs.set(node, (nodeMs.get(node) ?? 0) + ms);
    timed.push({ kernel, times, ms, ...(node === undefined ? ofNone(kernel, units) : describe(node, writtenBy)) });
  }
  return timed.map((one, index) => {
    const all = nodeMs.get(nodes[index] as Node);
    const share = all === undefined || all === 0 ? 1 : one.ms / all;
    return { ...one, bytes: one.bytes * share, flops: one.flops * share };
  });
}

type About = Pick<Timed, "layer" | "operation" | "inputs" | "outputs" | "bytes" | "flops">;

/** What belongs to no operation of the model: the optimizer, and what keeps count. */
function ofNone(kernel: string, units: number): About {
  return {
    layer: "",
    operation: "",
    inputs: [],
    outputs: [],
    ...(parameterWork(kernel, units) ?? { bytes: 0, flops: 0 }),
  };
}

function describe(node: Node, writtenBy: WrittenBy): About {
  const outputs = writtenBy(node).map(({ tensor }) => tensor);
  const all = [...new Set(node.inputs), ...outputs];
  return {
    layer: node.scope,
    operation: node.operation.name,
    inputs: node.inputs.map(({ shape }) => shape),
    outputs: outputs.map(({ shape }) => shape),
    bytes: all.reduce((sum, tensor) => sum + bytesOf(tensor), 0),
    flops: flopsOf(node),
  };
}

interface Limits {
  /** Of a product of two matrices of 256 × 256. */
  readonly gigaflops: number;
  /** Bytes read and written while 8 MB are copied, in gigabytes a second. */
  readonly gigabytes: number;
}

function measureLimits(engine: Engine, ms: number): Limits {
  const size = 256;
  const [a, b] = [input([size, size]), input([size, size])];
  const product = buildProgram(engine, { results: [matmul(a, b)], inputs: [a, b] });
  const length = 2 ** 21;
  const from = engine.allocateZeros(length * 8);
  const recording = startRecording();
  recording.record.copy(elements(length), from + length * 4, from, length);
  const copy = installProgram(engine, recording);
  try {
    return {
      gigaflops: (2 * size ** 3) / timeOf(engine, product.program, ms) / 1e6,
      gigabytes: (length * 8) / timeOf(engine, copy, ms) / 1e6,
    };
  } finally {
    product.dispose();
    engine.allocator.free(copy.address);
    engine.allocator.free(from);
  }
}
