// What every operation must hold, run over its sample cases: the forward result against a float64
// reference, gradients against central differences of that reference, the same bits however the units are
// split, in place or not, run once or twice, and not a word changed outside the planned buffers.
import { describe, test } from "vitest";
import { createEngineSync, type Engine } from "../../src/engine/engine.js";
import { hasRelaxedSimd } from "../../src/engine/features.js";
import { operandsOf, type Pointer, repeatAt, startRecording } from "../../src/engine/instructions.js";
import { kernelNames } from "../../src/engine/recorder.js";
import { nodesBehind } from "../../src/graph/backward.js";
import { lower } from "../../src/graph/lower.js";
import { type Plan, planMemory } from "../../src/graph/plan.js";
import { installProgram, type Program } from "../../src/graph/program.js";
import { initializeParameters } from "../../src/graph/store.js";
import { bytesOf, input, showShape, sizeOf, type Tensor } from "../../src/graph/tensor.js";
import { copyOf, mul } from "../../src/ops/elementwise.js";
import { gradient } from "../../src/ops/gradient.js";
import { sum } from "../../src/ops/reduce.js";
import "../../src/platform/nodeKernels.js";
import {
  type Case,
  checkForward,
  compare,
  createRandom,
  type Data,
  differentiable,
  drawInputs,
  type Random,
  type Sample,
  TOLERANCE,
} from "./cases.js";

const GRADIENT_FACTOR = 8;
// More elements than this are not all perturbed, fewer where the result is large: the ends are, and a random choice.
const MAX_PERTURBED = 96;
const FEWEST_PERTURBED = 32;
const PERTURBED_RESULTS = 40_000;

// Where the runtime has no relaxed SIMD (Node 20 has it behind a flag, which test/setup.ts sets) there is no fast build.
const builds = hasRelaxedSimd() ? (["strict", "fast"] as const) : (["strict"] as const);
const engines = new Map<string, Engine>();

/** One engine a build, shared by all tests of a file. */
export function engineOf(build: "strict" | "fast"): Engine {
  const engine = engines.get(build) ?? createEngineSync({ build });
  engines.set(build, engine);
  return engine;
}

/** Registers the tests of one operation: every case in every build. */
export function battery(name: string, sample: Sample): void {
  describe(name, () => {
    for (const build of builds) {
      sample.cases.forEach((one, index) => {
        test(`${build}: ${one.name ?? one.inputs.map(({ shape }) => showShape(shape)).join(" ")}`, () => {
          checkCase(engineOf(build), one, index + 1);
        });
      });
    }
  });
}

/** How many derivatives of an input are compared. */
interface Derivatives {
  /** By one element. Default: up to 96, fewer where the result is large. */
  readonly places?: number;
  /** Along random directions, to which all elements contribute alike. Default 0. */
  readonly directions?: number;
}

/** Puts one case through everything; throws an Error that says what does not hold. */
export function checkCase(engine: Engine, one: Case, seed = 1, derivatives: Derivatives = {}): void {
  const random = createRandom(seed);
  const values = drawInputs(one, random);
  const forward = runForward(engine, one, values, random);
  checkInPlace(engine, one, values, forward);
  if (differentiable(one).some(Boolean)) checkGradients(engine, one, values, { seed, random, ...derivatives });
}

type Run = typeof runChecked;

/** The result of a case and the gradients of sum(result · r), r random, each program run once. */
export const plainResults = (engine: Engine, one: Case, seed: number): Data[] => resultsBy(runOnce, engine, one, seed);

/** The same, with every instruction watched. */
export const watchedResults = (engine: Engine, one: Case, seed: number): Data[] =>
  resultsBy(runChecked, engine, one, seed);

function resultsBy(run: Run, engine: Engine, one: Case, seed: number): Data[] {
  const random = createRandom(seed);
  const values = drawInputs(one, random);
  const inputs = makeInputs(one);
  const output = one.apply(...inputs);
  const weights = Float32Array.from({ length: sizeOf(output.shape) }, random.normal);
  const results = run(engine, inputs, [output], values, random);
  const checked = inputs.filter((_, index) => differentiable(one)[index]);
  if (checked.length === 0) return results;
  const weight = input(output.shape, { name: "weight" });
  const gradients = gradient(sum(mul(output, weight)), checked);
  return [...results, ...run(engine, [...inputs, weight], gradients, [...values, weights], random)];
}

function makeInputs(one: Case): Tensor[] {
  return one.inputs.map(({ shape, domain }, index) =>
    input(shape, { name: `input ${index}`, dtype: typeof domain === "object" ? "uint32" : "float32" }),
  );
}

/** Against the reference, with every instruction watched. */
function runForward(engine: Engine, one: Case, values: readonly Data[], random: Random): Data {
  const inputs = makeInputs(one);
  const output = one.apply(...inputs);
  const expected = one.reference(...values.map((data) => Float64Array.from(data)));
  if (expected.length !== sizeOf(output.shape)) {
    throw new Error(`the reference has ${expected.length} values, the result ${showShape(output.shape)}`);
  }
  const [result] = runChecked(engine, inputs, [output], values, random);
  checkForward(one, output.dtype === "uint32", result, expected);
  return result;
}

/** Inputs that die in the operation, so that it may work in their place: the bits must not change. */
function checkInPlace(engine: Engine, one: Case, values: readonly Data[], expected: Data): void {
  const inputs = makeInputs(one);
  const output = one.apply(...inputs.map((tensor) => copyOf(tensor)));
  const compiled = compile(engine, inputs, [output]);
  try {
    const [result] = runWhole(compiled, values, PATTERNS[0]);
    checkSameBits("in place", result, expected);
  } finally {
    compiled.dispose();
  }
}

/**
 * Gradients of sum(result · r), r random, against central differences of fourth order of the float64 reference:
 * |g - expected| ≤ 8 · tolerance · the largest expected gradient of that input.
 */
function checkGradients(
  engine: Engine,
  one: Case,
  values: readonly Data[],
  { seed, random, ...derivatives }: Derivatives & { readonly seed: number; readonly random: Random },
): void {
  const inputs = makeInputs(one);
  const output = one.apply(...inputs);
  const weight = input(output.shape, { name: "weight" });
  const { weights, slopes } = slopesOf(one, values, sizeOf(output.shape), { seed, ...derivatives });
  const gradients = gradient(
    sum(mul(output, weight)),
    slopes.map(({ index }) => inputs[index]),
  );
  const results = runChecked(engine, [...inputs, weight], gradients, [...values, weights], random);
  slopes.forEach(({ index, places, expected, directions }, at) => {
    const scale = Math.max(1e-3, ...expected.map(Math.abs));
    const tolerance = GRADIENT_FACTOR * (one.tolerance ?? TOLERANCE);
    places.forEach((place, i) => {
      compare(`gradient of input ${index}, element ${place}`, results[at][place], expected[i], tolerance, scale);
    });
    directions.forEach(({ signs, along }, i) => {
      const found = signs.reduce((sum, sign, place) => sum + sign * results[at][place], 0);
      compare(`gradient of input ${index}, along direction ${i}`, found, along, tolerance, scale);
    });
  });
}

/** By central differences: the reference's derivatives, by some elements of one input, and along some directions. */
interface Slopes {
  readonly index: number;
  readonly places: readonly number[];
  readonly expected: readonly number[];
  readonly directions: readonly { readonly signs: readonly number[]; readonly along: number }[];
}

interface Sloped {
  readonly seed: number;
  readonly weights: Float32Array;
  readonly slopes: readonly Slopes[];
}

// They take most of the time of a case, and are the same for all builds.
const known = new WeakMap<Case, Sloped>();

function slopesOf(
  one: Case,
  values: readonly Data[],
  resultLength: number,
  { seed, places: most = placesFor(resultLength), directions: along = 0 }: Derivatives & { readonly seed: number },
): Sloped {
  const before = known.get(one);
  if (before?.seed === seed) return before;
  const random = createRandom(seed + 1000);
  const weights = Float32Array.from({ length: resultLength }, random.normal);
  const doubles = values.map((data) => Float64Array.from(data));
  const slopes = differentiable(one).flatMap((wanted, index): Slopes[] => {
    if (!wanted) return [];
    const { length } = doubles[index];
    const places = perturbed(length, most, random);
    const expected = places.map((place) => slope(one, doubles, weights, index, [place]));
    const all = Array.from({ length }, (_, place) => place);
    const directions = Array.from({ length: along }, () => {
      const signs = all.map(() => (random.uniform() < 0.5 ? -1 : 1) / Math.sqrt(length));
      return { signs, along: slope(one, doubles, weights, index, all, signs) };
    });
    return [{ index, places, expected, directions }];
  });
  known.set(one, { seed, weights, slopes });
  return { seed, weights, slopes };
}

/**
 * The derivative of sum(reference · weights) by one element, or along a direction of length 1: truncation error O(h^4), about
 * 1e-11 in all.
 */
function slope(
  one: Case,
  inputs: Float64Array[],
  weights: Data,
  index: number,
  places: readonly number[],
  direction: readonly number[] = [1],
): number {
  const center = inputs[index];
  const h = 2e-4 * Math.max(1, ...places.map((place) => Math.abs(center[place])));
  const total = (offset: number): number => {
    const moved = inputs.map((data) => data.slice());
    places.forEach((place, i) => {
      moved[index][place] = center[place] + offset * direction[i];
    });
    const result = one.reference(...moved);
    let value = 0;
    for (let i = 0; i < weights.length; i++) value += result[i] * weights[i];
    return value;
  };
  return (8 * (total(h) - total(-h)) - (total(2 * h) - total(-2 * h))) / (12 * h);
}

function placesFor(resultLength: number): number {
  return Math.max(FEWEST_PERTURBED, Math.min(MAX_PERTURBED, Math.floor(PERTURBED_RESULTS / resultLength)));
}

/** The first few, the last ones, and others at random; all if there are no more. */
function perturbed(length: number, count: number, random: Random): number[] {
  const all = Array.from({ length }, (_, index) => index);
  if (length <= count) return all;
  const ends = [...all.slice(0, Math.min(5, count >> 2)), ...all.slice(-Math.min(17, count >> 1))];
  return [...ends, ...Array.from({ length: count - ends.length }, () => random.below(length))];
}

// ——— Running a program under watch ———

interface WatchedStep {
  readonly name: string;
  /** Where its instructions are. */
  readonly begin: Pointer;
  readonly end: Pointer;
  /** Where the step may write: byte ranges of its outputs and scratch. */
  readonly writable: readonly (readonly [Pointer, Pointer])[];
}

//   sandbox   │ guard │ input │ guard │ constant │ guard │ … │ arena │ guard │
interface Compiled {
  readonly engine: Engine;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly program: Program;
  readonly steps: readonly WatchedStep[];
  readonly leaves: readonly Tensor[];
  readonly sandbox: Pointer;
  readonly sandboxBytes: number;
  addressOf(tensor: Tensor): Pointer;
  dispose(): void;
}

const GUARD_BYTES = 256;
// What unwritten memory holds: a NaN, then in the second run a number. Whoever reads it is found out.
const PATTERNS = [0x7fc0beef, 0xc2f6e979] as const;

function compile(engine: Engine, inputs: readonly Tensor[], outputs: readonly Tensor[]): Compiled {
  const seen = [...inputs, ...outputs, ...nodesBehind(outputs).flatMap((node) => node.inputs)];
  const leaves = [...new Set(seen)].filter((tensor) => tensor.source.kind !== "result");
  const offsets = new Map<Tensor, number>();
  let bytes = GUARD_BYTES;
  for (const tensor of leaves) {
    offsets.set(tensor, bytes);
    bytes = Math.ceil((bytes + bytesOf(tensor)) / GUARD_BYTES + 1) * GUARD_BYTES;
  }
  const plan = planMemory(
    outputs,
    new Map(leaves.map((tensor) => [tensor, 0])), // where they lie does not change the plan
    engine,
  );
  const sandboxBytes = bytes + plan.arenaBytes + GUARD_BYTES;
  const sandbox = engine.allocator.allocate(sandboxBytes);
  const pinned = new Map(leaves.map((tensor) => [tensor, sandbox + (offsets.get(tensor) as number)]));
  const { program, steps, addressOf } = record(engine, plan, sandbox + bytes, pinned);
  return {
    engine,
    inputs,
    outputs,
    program,
    steps,
    leaves,
    sandbox,
    sandboxBytes,
    addressOf,
    dispose() {
      engine.allocator.free(sandbox);
      engine.allocator.free(program.address);
    },
  };
}

/** Lowers the plan step by step, to know which instructions and which writable bytes belong to each. */
function record(engine: Engine, plan: Plan, arena: Pointer, pinned: ReadonlyMap<Tensor, Pointer>) {
  const recording = startRecording();
  let addressOf = lower({ ...plan, steps: [] }, recording.record, arena, pinned);
  const ends = plan.steps.map((step) => {
    addressOf = lower({ ...plan, steps: [step] }, recording.record, arena, pinned);
    return recording.bytes();
  });
  const program = installProgram(engine, recording);
  const steps = plan.steps.map((step, index): WatchedStep => {
    const scratch = arena + plan.scratchOffsetOf(step);
    return {
      name: step.node.operation.name,
      begin: program.address + (index === 0 ? 0 : ends[index - 1]),
      end: program.address + ends[index],
      writable: [
        ...step.outputs
          .filter((_, i) => step.wanted[i])
          .map((tensor) => [addressOf(tensor), addressOf(tensor) + bytesOf(tensor)] as const),
        [scratch, scratch + plan.scratchBytesOf(step)],
      ],
    };
  });
  return { program, steps, addressOf };
}

/** Fills the sandbox with `pattern` and the leaves with their values. */
function prepare(compiled: Compiled, values: readonly Data[], pattern: number): void {
  const { engine, leaves, inputs, sandbox, sandboxBytes, addressOf } = compiled;
  // Every word differs from the others, so that one copied past an end does not go unseen.
  const memory = engine.words(sandbox, sandboxBytes / 4);
  for (let i = 0; i < memory.length; i++) memory[i] = pattern ^ (i & 0xffff);
  initializeParameters(
    engine,
    leaves.filter(({ source }) => source.kind === "parameter"),
    addressOf,
    [0, 0],
  );
  for (const tensor of leaves) {
    if (tensor.source.kind === "constant") write(engine, addressOf(tensor), tensor.source.data);
  }
  inputs.forEach((tensor, index) => {
    write(engine, addressOf(tensor), values[index]);
  });
}

function write(engine: Engine, address: Pointer, data: Data): void {
  engine.words(address, data.length).set(new Uint32Array(data.buffer, data.byteOffset, data.length));
}

function read({ engine, outputs, addressOf }: Compiled): Data[] {
  return outputs.map((tensor) => {
    const length = sizeOf(tensor.shape);
    const view = tensor.dtype === "uint32" ? engine.words : engine.floats;
    return view(addressOf(tensor), length).slice();
  });
}

/** The program as a user runs it. */
function runWhole(compiled: Compiled, values: readonly Data[], pattern: number): Data[] {
  prepare(compiled, values, pattern);
  compiled.engine.run(compiled.program.address, compiled.program.end, 1);
  return read(compiled);
}

/** Runs a program once. */
function runOnce(
  engine: Engine,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  values: readonly Data[],
): Data[] {
  const compiled = compile(engine, inputs, outputs);
  try {
    return runWhole(compiled, values, PATTERNS[0]);
  } finally {
    compiled.dispose();
  }
}

/** Runs step by step with every instruction split at random and every written word watched, then whole, twice. */
function runChecked(
  engine: Engine,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  values: readonly Data[],
  random: Random,
): Data[] {
  const compiled = compile(engine, inputs, outputs);
  try {
    prepare(compiled, values, PATTERNS[0]);
    for (const step of compiled.steps) runStep(compiled, step, random);
    const results = read(compiled);
    for (const pattern of PATTERNS) {
      runWhole(compiled, values, pattern).forEach((again, index) => {
        checkSameBits(
          `run again over memory full of 0x${pattern.toString(16)}, output ${index}`,
          again,
          results[index],
        );
      });
    }
    return results;
  } finally {
    compiled.dispose();
  }
}

/** The instructions of kernels in the order in which they run; writes the counters of repeats meanwhile. */
function* inOrder(engine: Engine, begin: Pointer, end: Pointer): Generator<Pointer> {
  for (let at = begin; at < end; at += engine.words(at, 2)[1]) {
    const repeat = repeatAt(engine.heap.words, at / 4);
    if (repeat === undefined) yield at;
    for (let round = 0; repeat !== undefined && round < repeat.count; round++) {
      engine.words(repeat.counter, 1)[0] = round;
      yield* inOrder(engine, repeat.body * 4, repeat.end * 4);
    }
  }
}

function runStep({ engine, sandbox, sandboxBytes }: Compiled, step: WatchedStep, random: Random): void {
  const memory = () => engine.words(sandbox, sandboxBytes / 4);
  const start = memory().slice();
  for (const address of inOrder(engine, step.begin, step.end)) {
    const [opcode, , units] = engine.words(address, 4);
    const kernel = kernelNames[opcode];
    const before = memory().slice();
    engine.runRange(address, 0, units);
    const after = memory().slice();
    checkOutputs(`${step.name}: ${kernel}`, engine, address, { first: sandbox, before, after });
    for (const cuts of splits(units, random)) {
      memory().set(before);
      for (const [begin, end] of cuts) engine.runRange(address, begin, end);
      checkSameBits(`${step.name}: ${kernel} in parts ${JSON.stringify(cuts.slice(0, 8))}`, memory().slice(), after);
    }
    memory().set(after);
  }
  memory().forEach((word, index) => {
    if (word === start[index]) return;
    const address = sandbox + index * 4;
    if (step.writable.some(([from, to]) => from <= address && address < to)) return;
    const near = step.writable.map(([from, to]) => `[${from - sandbox}, ${to - sandbox})`).join(" ");
    throw new Error(`guard: ${step.name} wrote at ${index * 4}, outside its buffers ${near}`);
  });
}

/** What an instruction says that it writes is where it wrote: the operand that lies before each word that has changed. */
function checkOutputs(
  where: string,
  { heap: { words } }: Engine,
  address: Pointer,
  { first, before, after }: { first: Pointer; before: Uint32Array; after: Uint32Array },
): void {
  const { outputs, inputs } = operandsOf(words, address, address + words[address / 4 + 1]);
  const operands = [...new Set([...outputs, ...inputs])].sort((a, b) => b - a);
  after.forEach((word, index) => {
    if (word === before[index]) return;
    const operand = operands.find((operand) => operand <= first + index * 4);
    if (operand !== undefined && outputs.has(operand)) return;
    throw new Error(`${where} wrote where it says that it only reads: see the outputs in scripts/generate.mjs`);
  });
}

/** Ways to share out `units`: a few at random in any order, and each unit by itself when there are few. */
function splits(units: number, random: Random): (readonly [number, number])[][] {
  if (units < 2) return [];
  const cutAt = (places: readonly number[]) => {
    const cuts = [0, ...[...new Set(places)].sort((a, b) => a - b), units];
    const parts = cuts.slice(1).map((end, index) => [cuts[index], end] as const);
    return parts.filter(([begin, end]) => begin < end).sort(() => random.uniform() - 0.5);
  };
  const some = [1, 2, 3].map((count) => cutAt(Array.from({ length: count }, () => random.below(units))));
  return units <= 32 ? [...some, cutAt(Array.from({ length: units }, (_, index) => index))] : some;
}

/** Equal words; NaN equals NaN, whose payload WebAssembly leaves open. */
export function checkSameBits(where: string, actual: Data, expected: Data): void {
  const bits = (data: Data) => new Uint32Array(data.buffer, data.byteOffset, data.length);
  const [a, b] = [bits(actual), bits(expected)];
  if (Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength)))
    return;
  const isNaNBits = (word: number) => (word & 0x7fffffff) > 0x7f800000;
  const index = a.findIndex((word, i) => word !== b[i] && !(isNaNBits(word) && isNaNBits(b[i])));
  if (index < 0) return;
  throw new Error(`${where}: other bits in word ${index}: 0x${a[index].toString(16)}, not 0x${b[index].toString(16)}`);
}
