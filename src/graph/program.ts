// Builds a program in linear memory from a graph.
import type { Engine } from "../engine/engine.js";
import { type Instruction, type Pointer, type Recording, startRecording } from "../engine/instructions.js";
import { createLease, type Lease } from "../engine/lease.js";
import type { Recorder } from "../engine/recorder.js";
import { leavesBehind } from "./backward.js";
import { addressesIn, lower } from "./lower.js";
import { type Plan, planMemory } from "./plan.js";
import { bytesOf, isEmpty, type Node, type Tensor } from "./tensor.js";

export interface Program {
  readonly address: Pointer;
  readonly end: Pointer;
  /** The largest number of threads that an instruction can use. */
  readonly threads: number;
  /** Its instructions in order. The origin of an instruction of a plan is its node. */
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

/** Records instructions and runs them once. Their memory is freed afterwards. */
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

/** The results that are computed. */
export interface GraphParts {
  readonly results: readonly Tensor[];
  /** Inputs that get their own memory: see BuiltProgram.addressOf. */
  readonly inputs?: readonly Tensor[];
  /** Addresses of other leaves, and of results that are written directly to where they are needed. */
  readonly places?: ReadonlyMap<Tensor, Pointer>;
}

/**
 * Records the instructions of a graph's results. Returns the addresses of the values. `replaced`: leaves that are read at
 * other addresses.
 */
export type Compute = (replaced?: ReadonlyMap<Tensor, Pointer>) => (tensor: Tensor) => Pointer;

/** The parts of a program. */
export interface ProgramParts extends GraphParts {
  /** The values of parameters and buffers that are not in `places`. */
  readonly values?: { addressOf(parameter: Tensor): Pointer };
  /** A second graph, computed after the first or instead of it. Its values use the same memory. */
  readonly second?: GraphParts | undefined;
  /** Bytes that `record` needs besides. Default 0. */
  readonly scratchBytes?: number;
  /** Returns memory for the values between operations. Default: the program has its own. */
  arena?(bytes: number): Pointer;
  /** Records the instructions. `compute` records those of the results. Default: only these. */
  record?(recorder: Recorder, compute: Compute, computeSecond: Compute, scratch: Pointer): void;
}

/** A tensor that is computed, and its address. */
export interface Written {
  readonly tensor: Tensor;
  readonly address: Pointer;
}

/** A program with the plan that it was made from. */
export interface BuiltProgram {
  readonly program: Program;
  readonly plan: Plan;
  /** End of the instructions that compute the results. */
  readonly planEnd: Pointer;
  /** Bytes of its inputs, constants, instructions, and its arena if it has its own. */
  readonly bytes: number;
  addressOf(tensor: Tensor): Pointer;
  /** What the instructions of a node write, and where: none for a node that is not in the program. */
  writtenBy(node: Node): readonly Written[];
  /** Frees its memory. */
  dispose(): void;
}

/** Plans, records and installs a program. If it throws, no memory stays in use. */
export function buildProgram(engine: Engine, parts: ProgramParts): BuiltProgram {
  const making = buildInParts(engine, parts);
  let next = making.next();
  while (!next.done) next = making.next();
  return next.value;
}

/**
 * The same in parts, between which others may use the engine. The arena is asked for in the last part. If it is left
 * early, no memory stays in use either.
 */
export function* buildInParts(engine: Engine, parts: ProgramParts): Generator<undefined, BuiltProgram> {
  const lease = createLease(engine);
  let isBuilt = false;
  try {
    const graphs: PlannedGraph[] = [];
    for (const graph of [parts, parts.second ?? { results: [] }]) {
      const pinned = placeLeaves(engine, parts.values, graph, lease);
      graphs.push({ pinned, plan: planMemory(graph.results, pinned, engine) });
      yield;
    }
    const built = recordGraphs(engine, parts, graphs, lease);
    isBuilt = true;
    return built;
  } finally {
    if (!isBuilt) lease.release();
  }
}

interface PlannedGraph {
  readonly pinned: Map<Tensor, Pointer>;
  readonly plan: Plan;
}

function recordGraphs(
  engine: Engine,
  parts: ProgramParts,
  graphs: readonly PlannedGraph[],
  lease: Lease,
): BuiltProgram {
  const { record = (_, compute) => compute() } = parts;
  const [{ plan, pinned }] = graphs;
  const arenaBytes = Math.max(...graphs.map((graph) => graph.plan.arenaBytes));
  const arena = parts.arena?.(arenaBytes) ?? engine.allocator.mark("transient", lease.take(arenaBytes));
  const recording = startRecording();
  let planBytes = 0;
  const [compute, computeSecond] = graphs.map(
    (graph): Compute =>
      (replaced) => {
        const pinned = replaced === undefined ? graph.pinned : new Map([...graph.pinned, ...replaced]);
        const addressOf = lower(graph.plan, recording.record, arena, pinned);
        planBytes = recording.bytes();
        return addressOf;
      },
  );
  const { scratchBytes = 0 } = parts;
  const scratch = scratchBytes === 0 ? 0 : lease.take(scratchBytes);
  record(recording.record, compute, computeSecond, scratch);
  const program = installIn(engine, lease.take(recording.bytes()), recording);
  return {
    program,
    plan,
    planEnd: program.address + planBytes,
    bytes: lease.bytes,
    addressOf: addressesIn(plan, arena, pinned),
    writtenBy: (node) =>
      graphs.flatMap((graph) => writtenIn(graph.plan, addressesIn(graph.plan, arena, graph.pinned), node)),
    dispose: lease.release,
  };
}

function writtenIn({ steps }: Plan, addressOf: (tensor: Tensor) => Pointer, node: Node): Written[] {
  const step = steps.find((one) => one.node === node);
  const computed = step?.outputs.filter((tensor, index) => step.wanted[index] && !isEmpty(tensor)) ?? [];
  return computed.map((tensor) => ({ tensor, address: addressOf(tensor) }));
}

/** The addresses of all leaves. Constants are written to the program's own memory. */
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
