// From a graph to a program in linear memory, which is ready to run.
import type { Engine } from "../engine/engine.js";
import { type Instruction, type Pointer, type Recording, startRecording } from "../engine/instructions.js";
import { type Lease, leasing } from "../engine/lease.js";
import type { Recorder } from "../engine/recorder.js";
import { leavesBehind } from "./backward.js";
import { addressesIn, lower } from "./lower.js";
import { type Plan, planMemory } from "./plan.js";
import { bytesOf, type Tensor } from "./tensor.js";

export interface Program {
  readonly address: Pointer;
  readonly end: Pointer;
  /** The largest number of threads that an instruction can use. */
  readonly threads: number;
  /** Its instructions in order; the origin of those of a plan is their node. */
  readonly listing: readonly Instruction[];
}

/** Copies recorded instructions into the engine's memory. */
export function installProgram(engine: Engine, recording: Recording): Program {
  return installIn(engine, engine.allocator.allocate(recording.bytes()), recording);
}

function installIn(engine: Engine, address: Pointer, recording: Recording): Program {
  const words = recording.words();
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

/** What is computed. */
export interface GraphParts {
  readonly results: readonly Tensor[];
  /** Inputs that get a place of their own: see BuiltProgram.addressOf. */
  readonly inputs?: readonly Tensor[];
  /** Other leaves, and results that are written where they are needed, with their addresses. */
  readonly places?: ReadonlyMap<Tensor, Pointer>;
}

/** Records the instructions of a graph's results. Returns where each value is. */
export type Compute = () => (tensor: Tensor) => Pointer;

/** What a program is made of. */
export interface ProgramParts extends GraphParts {
  /** Where the values of parameters and buffers are, if they are not among `places`. */
  readonly values?: { addressOf(parameter: Tensor): Pointer };
  /** A second graph, computed after the first or instead of it: its values take the same memory. */
  readonly second?: GraphParts | undefined;
  /** Gives values between the operations their memory. Default: memory of the program's own. */
  arena?(bytes: number): Pointer;
  /** Records the instructions, with those of the results by `compute`. Default: these alone. */
  record?(recorder: Recorder, compute: Compute, computeSecond: Compute): void;
}

/** A program with the plan that it was made from. */
export interface BuiltProgram {
  readonly program: Program;
  readonly plan: Plan;
  /** End of the instructions that compute the results. */
  readonly planEnd: Pointer;
  /** Bytes of its own: inputs, constants, instructions, and the arena if it is not another's. */
  readonly bytes: number;
  addressOf(tensor: Tensor): Pointer;
  /** Gives its memory back. */
  dispose(): void;
}

/** Plans, records and installs a program. If it throws, no memory stays taken. */
export function buildProgram(engine: Engine, parts: ProgramParts): BuiltProgram {
  return leasing(engine, (lease) => {
    const { record = (_, compute) => compute() } = parts;
    const graphs = [parts, parts.second ?? { results: [] }].map((graph) => {
      const pinned = placeLeaves(engine, parts.values, graph, lease);
      return { pinned, plan: planMemory(graph.results, pinned) };
    });
    const [{ plan, pinned }] = graphs;
    const arenaBytes = Math.max(...graphs.map((graph) => graph.plan.arenaBytes));
    const arena = parts.arena?.(arenaBytes) ?? engine.allocator.mark("transient", lease.take(arenaBytes));
    const recording = startRecording();
    let planBytes = 0;
    const [compute, computeSecond] = graphs.map(
      (graph): Compute =>
        () => {
          const addressOf = lower(graph.plan, recording.record, arena, graph.pinned);
          planBytes = recording.bytes();
          return addressOf;
        },
    );
    record(recording.record, compute, computeSecond);
    const program = installIn(engine, lease.take(recording.bytes()), recording);
    return {
      program,
      plan,
      planEnd: program.address + planBytes,
      bytes: lease.bytes,
      addressOf: addressesIn(plan, arena, pinned),
      dispose: lease.release,
    };
  });
}

/** Where all leaves are: constants are written to memory of the program's own. */
function placeLeaves(
  engine: Engine,
  values: ProgramParts["values"],
  { results, inputs = [], places = new Map() }: GraphParts,
  lease: Lease,
): Map<Tensor, Pointer> {
  const pinned = new Map(places);
  for (const tensor of inputs) pinned.set(tensor, lease.takeZeros(bytesOf(tensor)));
  for (const tensor of leavesBehind(results)) {
    const { source } = tensor;
    if (pinned.has(tensor)) continue;
    if (source.kind === "parameter" && values !== undefined) pinned.set(tensor, values.addressOf(tensor));
    if (source.kind !== "constant") continue;
    const address = lease.take(bytesOf(tensor));
    pinned.set(tensor, address);
    engine.write(address, source.data, tensor.dtype);
  }
  return pinned;
}
