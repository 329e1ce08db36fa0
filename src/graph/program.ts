// A program in linear memory: instructions copied behind one another, ready to run.
import type { Engine } from "../engine/engine.js";
import { SteepestError } from "../engine/errors.js";
import { type Pointer, type Recording, startRecording } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import { nodesBehind } from "./backward.js";
import { lower } from "./lower.js";
import type { Plan } from "./plan.js";
import { bytesOf, type RandomKey, type Shape, sizeOf, type Tensor } from "./tensor.js";

export interface Program {
  readonly address: Pointer;
  readonly end: Pointer;
  /** The most threads that an instruction can use. */
  readonly threads: number;
  /** Name of each instruction's kernel, in order, with its units. */
  readonly listing: readonly { offset: number; kernel: string; units: number }[];
}

/** Copies recorded instructions into the engine's memory. */
export function installProgram(engine: Engine, recording: Recording): Program {
  const words = recording.words();
  const address = engine.allocator.allocate(words.byteLength);
  engine.write(address, words, "uint32");
  return { address, end: address + words.byteLength, threads: recording.threads(), listing: recording.listing() };
}

/** Runs what `record` records once, leaving nothing behind but what it writes. */
export function runOnce(engine: Engine, record: (recorder: Recorder) => void): void {
  const recording = startRecording();
  record(recording.record);
  const program = installProgram(engine, recording);
  try {
    engine.run(program.address, program.end, 1, program.threads);
  } finally {
    engine.allocator.free(program.address);
  }
}

/** Records a plan: instructions `before` it, its steps, instructions `after` `planEnd`; and installs the program. */
export function installPlan(
  engine: Engine,
  plan: Plan,
  arena: Pointer,
  pinned: ReadonlyMap<Tensor, Pointer>,
  before: (recorder: Recorder) => void = () => {},
  after: (recorder: Recorder, addressOf: (tensor: Tensor) => Pointer) => void = () => {},
): { program: Program; planEnd: Pointer; addressOf: (tensor: Tensor) => Pointer } {
  const recording = startRecording();
  before(recording.record);
  const addressOf = lower(plan, recording, arena, pinned);
  const planBytes = recording.words().byteLength;
  after(recording.record, addressOf);
  const program = installProgram(engine, recording);
  return { program, planEnd: program.address + planBytes, addressOf };
}

/** Parameters one after another in a block, each on a cache line; offsets in bytes. */
export interface BlockLayout {
  readonly bytes: number;
  readonly offsets: ReadonlyMap<Tensor, number>;
}

/** Where a tensor lies in a block. Throws SteepestError where it is not among the block's. */
export function offsetIn({ offsets }: BlockLayout, tensor: Tensor): number {
  const offset = offsets.get(tensor);
  if (offset !== undefined) return offset;
  throw new SteepestError(`memory: ${tensor.name} must lie in the block, got one that is of another: please report it`);
}

const LINE = 64;

export function layoutBlock(parameters: readonly Tensor[]): BlockLayout {
  const offsets = new Map<Tensor, number>();
  let bytes = 0;
  for (const tensor of parameters) {
    offsets.set(tensor, bytes);
    bytes += Math.ceil((sizeOf(tensor.shape) * 4) / LINE) * LINE;
  }
  return { bytes, offsets };
}

/**
 * Fills each parameter by its own initializer; stream `firstStream` + i is parameter i's, so that none depends on the
 * others.
 */
export function initializeParameters(
  engine: Engine,
  parameters: readonly Tensor[],
  addressOf: (tensor: Tensor) => Pointer,
  seed: RandomKey["seed"],
  firstStream = 1,
): void {
  runOnce(engine, (recorder) => recordFirstValues(recorder, parameters, addressOf, seed, firstStream));
}

/** Records what `initializeParameters` does. */
export function recordFirstValues(
  recorder: Recorder,
  parameters: readonly Tensor[],
  addressOf: (tensor: Tensor) => Pointer,
  seed: RandomKey["seed"],
  firstStream = 1,
): void {
  parameters.forEach((tensor, index) => {
    if (tensor.source.kind !== "parameter") return;
    const random = { seed, stream: firstStream + index };
    tensor.source.initializer.record(recorder, addressOf(tensor), tensor.shape as Shape, random);
  });
}

/**
 * Writes the constants that the results depend on into memory, and pins them. Returns where they are, to be freed; if
 * there is not room for all of them, none stays.
 */
export function placeConstants(engine: Engine, results: readonly Tensor[], pinned: Map<Tensor, Pointer>): Pointer[] {
  const placed: Pointer[] = [];
  const leaves = [...results, ...nodesBehind(results).flatMap((node) => node.inputs)];
  try {
    for (const tensor of new Set(leaves)) {
      if (tensor.source.kind !== "constant") continue;
      const address = engine.allocator.allocate(bytesOf(tensor));
      placed.push(address);
      pinned.set(tensor, address);
      engine.write(address, tensor.source.data, tensor.dtype);
    }
  } catch (error) {
    for (const address of placed) engine.allocator.free(address);
    throw error;
  }
  return placed;
}
