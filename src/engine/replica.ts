// A copy of the engine's memory in a worker, for pages that cannot share memory. Calls run over the copy; before each
// what it works on and is newer here is copied there, and after it the regions that are to be read here come back.
//
//   page                                          worker
//   newer regions ────► ┌──────────┐ ──────────►  into the copy
//                       │ shuttle  │              the call, in parts: an interrupt is looked for between them
//   into the memory ◄── └──────────┘ ◄──────────  regions to read
//
// The contents travel in one buffer that goes to and fro; what does not fit takes more rounds. So no message keeps the
// page for long, however large the data, and there is no garbage: the page would free dropped buffers all at once.

import { SteepestError } from "./errors.js";
import { breathe, performance, startTimer } from "./host.js";
import type { Pointer } from "./instructions.js";
import { type CompiledKernels, instantiateBare, type KernelMemory } from "./interpreter.js";
import { createRanges, type Region } from "./ranges.js";
import { startWorker, ThreadError, type WorkerPort } from "./threads.js";
import type { Touched } from "./touched.js";

export type { Region } from "./ranges.js";

/** What a worker needs to hold a copy. */
export interface ReplicaData {
  readonly replica: true;
  readonly module: CompiledKernels;
}

/** A call over the copy. */
export interface ReplicaCall {
  readonly program: Pointer;
  readonly end: Pointer;
  readonly steps: number;
  readonly control: Pointer;
  readonly scratch: Pointer;
}

/** One round: the shuttle's contents are written, the call is made where there is one, what is to be read is laid in. */
interface Round {
  readonly shuttle: ArrayBuffer;
  /** The memory's length here. */
  readonly memoryBytes: number;
  readonly writes: readonly Region[];
  readonly call: ReplicaCall | undefined;
  readonly reads: readonly Region[];
}

/** An interrupt ends the call that is under way after the step it is at; where none is, it is nothing. */
export type ReplicaRequest = Round | { readonly interrupt: true };

export type ReplicaAnswer = { readonly shuttle: ArrayBuffer; readonly done: number } | { readonly trap: string };

const PAGE_BYTES = 65536;
// Copied in some tenths of a millisecond.
const SHUTTLE_BYTES = 1 << 20;
/** Where a call ended whose results are lost: behind all instructions. */
const TORN = 2 ** 32;
// A step that takes longer is a part of its own.
const PART_MS = 1;

/** The worker's part: answers each request. */
export function serveReplica(
  { module }: ReplicaData,
  answer: (answer: ReplicaAnswer, transfer: ArrayBuffer[]) => void,
): (request: ReplicaRequest) => void {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: PAGE_BYTES });
  const { run } = instantiateBare(module, memory);
  let interrupted = false;

  /** Makes the call in parts, and lets messages in between. The clock of the steps lies in memory: parts change nothing. */
  const runParts = async ({ program, end, steps, control, scratch }: ReplicaCall): Promise<number> => {
    interrupted = false;
    let most = 1;
    let done = 0;
    for (let breath = performance.now(); ; ) {
      const start = performance.now();
      const some = Math.min(most, steps - done);
      run(program, end, some, 0, 1, control, scratch);
      done += some;
      if (done === steps) return done;
      const now = performance.now();
      if (now - start < PART_MS / 2) most *= 2;
      if (now - breath < PART_MS) continue;
      await breathe();
      if (interrupted) return done;
      breath = performance.now();
    }
  };

  const serve = async ({ shuttle, memoryBytes, writes, call, reads }: Round): Promise<void> => {
    try {
      const missing = (memoryBytes - memory.buffer.byteLength) / PAGE_BYTES;
      if (missing > 0) memory.grow(missing);
      unload(shuttle, memory, writes);
      const done = call === undefined ? 0 : await runParts(call);
      load(shuttle, memory, reads);
      answer({ shuttle, done }, [shuttle]);
    } catch (error) {
      answer({ trap: (error as Error).message }, []);
    }
  };
  return (request) => {
    if ("interrupt" in request) interrupted = true;
    else serve(request);
  };
}

function load(shuttle: ArrayBuffer, { buffer }: KernelMemory, regions: readonly Region[]): void {
  const to = new Uint8Array(shuttle);
  let at = 0;
  for (const { address, bytes } of regions) {
    to.set(new Uint8Array(buffer, address, bytes), at);
    at += bytes;
  }
}

function unload(shuttle: ArrayBuffer, { buffer }: KernelMemory, regions: readonly Region[]): void {
  const to = new Uint8Array(buffer);
  let at = 0;
  for (const { address, bytes } of regions) {
    to.set(new Uint8Array(shuttle, at, bytes), address);
    at += bytes;
  }
}

/** Shares regions out to rounds, as much to each as the shuttle holds; at least one round. */
function intoRounds(regions: readonly Region[]): Region[][] {
  const rounds: Region[][] = [[]];
  let room = SHUTTLE_BYTES;
  for (let { address, bytes } of regions) {
    while (bytes > 0) {
      if (room === 0) {
        rounds.push([]);
        room = SHUTTLE_BYTES;
      }
      const part = Math.min(bytes, room);
      rounds[rounds.length - 1].push({ address, bytes: part });
      address += part;
      bytes -= part;
      room -= part;
    }
  }
  return rounds;
}

/** The page's part. It knows of each byte whether it is newer here or there; what both have is in neither set. */
export interface Replica {
  /** Whether the worker is there. Without it what was newer there is lost. */
  readonly alive: boolean;
  /** Notes that a region was written here. */
  written(region: Region): void;
  /** Notes that a region was given back: nobody wants what it held. */
  freed(region: Region): void;
  /** Refuses a call here that works on what is newer there. */
  checkHere(touched: Touched): void;
  /** Whether none of the regions is newer there. */
  isCurrent(regions: readonly Region[]): boolean;
  /**
   * Makes a call over the copy, and brings `reads` back. Resolves to the steps done: fewer than asked for, but at least
   * one, after an interrupt. Rejects with ThreadError where the worker is lost.
   */
  run(memory: KernelMemory, call: ReplicaCall, touched: Touched, reads: readonly Region[]): Promise<number>;
  /** Brings what of these regions is newer there. */
  fetch(memory: KernelMemory, regions: readonly Region[]): Promise<void>;
  /** Ends the call that is under way after the step it is at. */
  interrupt(): void;
  stop(): void;
}

const START_MS = 20_000;

/** The worker as whoever asks it sees it. */
interface Courier {
  /** Why it is lost, once it is. */
  failure(): string | undefined;
  round(memory: KernelMemory, round: Partial<Pick<Round, "writes" | "call" | "reads">>): Promise<number>;
  interrupt(): void;
  stop(): void;
}

/** Starts the worker. Rejects with ThreadError, naming the reason. */
async function startCourier(module: CompiledKernels): Promise<Courier> {
  let shuttle = new ArrayBuffer(SHUTTLE_BYTES);
  let failure: string | undefined;
  let settle: ((answer: ReplicaAnswer) => void) | undefined;
  const failed = (reason: string): void => {
    failure ??= reason;
    settle?.({ trap: "" });
  };
  const port: WorkerPort = startWorker({ replica: true, module }, failed, (answer) =>
    settle?.(answer as ReplicaAnswer),
  );
  const ask = (request: Round): Promise<ReplicaAnswer> =>
    new Promise((resolve) => {
      settle = (answer) => {
        settle = undefined;
        resolve(answer);
      };
      port.send(request, [shuttle]);
    });
  // A first round with nothing in it shows that the worker has come up.
  const started = startTimer(() => failed(`did not start within ${START_MS / 1000} s`), START_MS);
  const up = await ask({ shuttle, memoryBytes: 0, writes: [], call: undefined, reads: [] });
  started();
  const reason = failure ?? ("trap" in up ? `failed: ${up.trap}` : undefined);
  if (reason !== undefined || "trap" in up) {
    port.close();
    throw new ThreadError(`threads: the worker ${reason}: use background: false`);
  }
  shuttle = up.shuttle;
  return {
    failure: () => failure,
    async round(memory, { writes = [], call, reads = [] }) {
      const lost = (): ThreadError => new ThreadError(`threads: the worker ${failure}: the engine goes on here`);
      if (failure !== undefined) throw lost();
      load(shuttle, memory, writes);
      const answer = await ask({ shuttle, memoryBytes: memory.buffer.byteLength, writes, call, reads });
      if ("shuttle" in answer) {
        shuttle = answer.shuttle;
        unload(shuttle, memory, reads);
        return answer.done;
      }
      throw failure === undefined ? new Error(answer.trap) : lost();
    },
    interrupt() {
      if (settle !== undefined) port.send({ interrupt: true });
    },
    stop() {
      failed("was stopped");
      port.close();
    },
  };
}

/** Starts the worker and its copy. Rejects with ThreadError, naming the reason. */
export async function startReplica(module: CompiledKernels): Promise<Replica> {
  const courier = await startCourier(module);
  const newerHere = createRanges();
  const newerThere = createRanges();
  let interrupted = false;
  const overlaps = ({ writes, reads }: Touched): boolean => [...writes, ...reads].some(newerThere.overlaps);
  const arrived = (region: Region): void => newerThere.remove(region);
  const written = (region: Region): void => {
    newerHere.add(region);
    newerThere.remove(region);
  };
  /** Takes what is to go there. */
  const sending = (regions: readonly Region[]): Region[][] => {
    const parts = regions.flatMap(newerHere.within);
    parts.forEach(newerHere.remove);
    return intoRounds(parts);
  };
  return {
    get alive() {
      return courier.failure() === undefined;
    },
    written,
    freed(region) {
      newerHere.remove(region);
      newerThere.remove(region);
    },
    checkHere(touched) {
      if (!overlaps(touched)) return;
      const failure = courier.failure();
      if (failure !== undefined) {
        throw new ThreadError(`threads: the worker ${failure}, and what it had computed is lost with it`, 0, TORN);
      }
      throw new SteepestError(
        "engine: the background, which has a copy of the memory, has newer values of what this call works on: do it in onProgress, between epochs, or when the other call has come to its end",
      );
    },
    isCurrent: (regions) => !regions.some(newerThere.overlaps),
    async run(memory, call, touched, reads) {
      interrupted = false;
      const { program, end } = call;
      const blocks = [
        ...touched.writes,
        ...touched.reads,
        ...touched.transient,
        { address: program, bytes: end - program },
      ];
      // What was computed there before, or is now, has not come here: a loss takes it along.
      let torn = overlaps(touched);
      try {
        const writing = sending(blocks);
        const [read, ...reading] = intoRounds(reads);
        const last = writing.length - 1;
        for (const writes of writing.slice(0, last)) await courier.round(memory, { writes });
        // The worker knows of no interrupt that came before the call.
        const asked = interrupted ? { ...call, steps: 1 } : call;
        const done = await courier.round(memory, { writes: writing[last], call: asked, reads: read });
        torn = true;
        touched.writes.forEach(newerThere.add);
        read.forEach(arrived);
        for (const reads of reading) {
          await courier.round(memory, { reads });
          reads.forEach(arrived);
        }
        return done;
      } catch (error) {
        if (torn && error instanceof ThreadError) throw new ThreadError(error.message, 0, TORN);
        throw error;
      }
    },
    async fetch(memory, regions) {
      const parts = regions.flatMap(newerThere.within);
      if (parts.length === 0) return;
      for (const reads of intoRounds(parts)) {
        await courier.round(memory, { reads });
        reads.forEach(arrived);
      }
    },
    interrupt() {
      interrupted = true;
      courier.interrupt();
    },
    stop: courier.stop,
  };
}
