// A copy of the engine's memory in a worker, for pages that cannot share memory. Calls run over the copy; before each
// the regions that were changed here are copied there, and after it the regions that are to be read here come back.
//
//   page                                          worker
//   changed regions ──► ┌──────────┐ ──────────►  into the copy
//                       │ shuttle  │              the call, in parts: an interrupt is looked for between them
//   into the memory ◄── └──────────┘ ◄──────────  regions to read
//
// The contents travel in one buffer that goes to and fro; what does not fit takes more rounds. So no message keeps the
// page for long, however large the data, and there is no garbage: the page would free dropped buffers all at once.

import { breathe, performance, startTimer } from "./host.js";
import type { Pointer } from "./instructions.js";
import { instantiateBare } from "./interpreter.js";
import { startWorker, ThreadError, type WorkerPort } from "./threads.js";

export interface Region {
  readonly address: Pointer;
  readonly bytes: number;
}

/** What a worker needs to hold a copy. */
export interface ReplicaData {
  readonly replica: true;
  readonly module: WebAssembly.Module;
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

function load(shuttle: ArrayBuffer, { buffer }: WebAssembly.Memory, regions: readonly Region[]): void {
  const to = new Uint8Array(shuttle);
  let at = 0;
  for (const { address, bytes } of regions) {
    to.set(new Uint8Array(buffer, address, bytes), at);
    at += bytes;
  }
}

function unload(shuttle: ArrayBuffer, { buffer }: WebAssembly.Memory, regions: readonly Region[]): void {
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

/** The page's part. */
export interface Replica {
  /** Notes that a region was written here. */
  changed(region: Region): void;
  /** Notes that anything up to `end` may have been written here. */
  changedAll(end: Pointer): void;
  /**
   * Makes a call, if any, over the copy, and brings `reads` back. Resolves to the steps done: fewer than asked for, but at
   * least one, after an interrupt. Rejects with ThreadError where the worker is lost.
   */
  run(memory: WebAssembly.Memory, call: ReplicaCall | undefined, reads: readonly Region[]): Promise<number>;
  /** Ends the call that is under way after the step it is at. */
  interrupt(): void;
  stop(): void;
}

const START_MS = 20_000;

/** Starts the worker. Rejects with ThreadError, naming the reason. */
export async function startReplica(module: WebAssembly.Module): Promise<Replica> {
  let dirty: Region[] = [];
  let shuttle = new ArrayBuffer(SHUTTLE_BYTES);
  let interrupted = false;
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
  const round = async (
    memory: WebAssembly.Memory,
    { writes = [], call, reads = [] }: Partial<Pick<Round, "writes" | "call" | "reads">>,
  ): Promise<number> => {
    const lost = (): ThreadError =>
      new ThreadError(`threads: the worker ${failure}: the engine goes on here`, 0, 2 ** 32);
    if (failure !== undefined) throw lost();
    load(shuttle, memory, writes);
    const answer = await ask({ shuttle, memoryBytes: memory.buffer.byteLength, writes, call, reads });
    if (failure !== undefined) throw lost();
    if ("trap" in answer) throw new Error(answer.trap);
    shuttle = answer.shuttle;
    unload(shuttle, memory, reads);
    return answer.done;
  };
  const replica: Replica = {
    changed(region) {
      // The same few regions change before every call: each is copied once.
      const known = dirty.findIndex(({ address, bytes }) => address === region.address && bytes >= region.bytes);
      if (known < 0) dirty.push(region);
    },
    changedAll(end) {
      dirty = [{ address: 0, bytes: end }];
    },
    async run(memory, call, reads) {
      interrupted = false;
      const writing = intoRounds(dirty);
      const [read, ...reading] = intoRounds(reads);
      dirty = [];
      const last = writing.length - 1;
      for (const writes of writing.slice(0, last)) await round(memory, { writes });
      // The worker knows of no interrupt that came before the call.
      const asked = call !== undefined && interrupted ? { ...call, steps: 1 } : call;
      const done = await round(memory, { writes: writing[last], call: asked, reads: read });
      for (const reads of reading) await round(memory, { reads });
      return done;
    },
    interrupt() {
      interrupted = true;
      if (settle !== undefined) port.send({ interrupt: true });
    },
    stop() {
      failure ??= "was stopped";
      settle?.({ trap: "" });
      port.close();
    },
  };
  // A first round with nothing in it shows that the worker has come up.
  const started = startTimer(() => failed(`did not start within ${START_MS / 1000} s`), START_MS);
  const up = await ask({ shuttle, memoryBytes: 0, writes: [], call: undefined, reads: [] });
  started();
  if (failure !== undefined) throw new ThreadError(`threads: the worker ${failure}: use background: false`);
  if ("trap" in up) throw new ThreadError(`threads: the worker failed: ${up.trap}: use background: false`);
  shuttle = up.shuttle;
  return replica;
}
