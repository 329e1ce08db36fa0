// A copy of the engine's memory in a worker, for pages that cannot share memory. Calls run over the copy; before each
// the regions that were changed here are copied there, and after it the regions that are to be read here come back.

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

/** A call over the copy; with no steps: only the regions to read. */
export interface ReplicaRequest {
  readonly program: Pointer;
  readonly end: Pointer;
  readonly steps: number;
  readonly control: Pointer;
  readonly scratch: Pointer;
  /** The memory's length here. */
  readonly memoryBytes: number;
  readonly writes: readonly { readonly address: Pointer; readonly content: ArrayBuffer }[];
  readonly reads: readonly Region[];
}

export type ReplicaAnswer = { readonly contents: readonly ArrayBuffer[] } | { readonly trap: string };

const PAGE_BYTES = 65536;

/** The worker's part: answers each request. */
export function serveReplica(
  { module }: ReplicaData,
  answer: (answer: ReplicaAnswer, transfer: ArrayBuffer[]) => void,
): (request: ReplicaRequest) => void {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: PAGE_BYTES });
  const { run } = instantiateBare(module, memory);
  return ({ program, end, steps, control, scratch, memoryBytes, writes, reads }) => {
    try {
      const missing = (memoryBytes - memory.buffer.byteLength) / PAGE_BYTES;
      if (missing > 0) memory.grow(missing);
      for (const { address, content } of writes) new Uint8Array(memory.buffer).set(new Uint8Array(content), address);
      run(program, end, steps, 0, 1, control, scratch);
      const contents = reads.map(({ address, bytes }) => memory.buffer.slice(address, address + bytes));
      answer({ contents }, contents);
    } catch (error) {
      answer({ trap: (error as Error).message }, []);
    }
  };
}

/** The page's part. */
export interface Replica {
  /** Notes that a region was written here. */
  changed(region: Region): void;
  /** Notes that anything up to `end` may have been written here. */
  changedAll(end: Pointer): void;
  /** Runs a call over the copy, and brings `reads` back. Rejects with ThreadError where the worker is lost. */
  run(memory: WebAssembly.Memory, call: Omit<ReplicaRequest, "memoryBytes" | "writes">): Promise<void>;
  stop(): void;
}

const START_MS = 20_000;

/** Starts the worker. Rejects with ThreadError, naming the reason. */
export async function startReplica(module: WebAssembly.Module): Promise<Replica> {
  let dirty: Region[] = [];
  let failure: string | undefined;
  let settle: ((answer: ReplicaAnswer | "up") => void) | undefined;
  const failed = (reason: string): void => {
    failure ??= reason;
    settle?.({ trap: "" });
  };
  const port: WorkerPort = startWorker({ replica: true, module }, failed, (answer) =>
    settle?.(answer as ReplicaAnswer),
  );
  const ask = (request: ReplicaRequest, transfer: ArrayBuffer[]): Promise<ReplicaAnswer> =>
    new Promise((resolve) => {
      settle = (answer) => {
        settle = undefined;
        resolve(answer as ReplicaAnswer);
      };
      port.send(request, transfer);
    });
  const lost = (): ThreadError =>
    new ThreadError(`threads: the worker ${failure}: the engine goes on here`, 0, 2 ** 32);
  const replica: Replica = {
    changed(region) {
      // The same few regions change before every call: each is copied once.
      const known = dirty.findIndex(({ address, bytes }) => address === region.address && bytes >= region.bytes);
      if (known < 0) dirty.push(region);
    },
    changedAll(end) {
      dirty = [{ address: 0, bytes: end }];
    },
    async run(memory, call) {
      if (failure !== undefined) throw lost();
      const { buffer } = memory;
      const writes = dirty.map(({ address, bytes }) => ({
        address,
        content: buffer.slice(address, address + bytes) as ArrayBuffer,
      }));
      dirty = [];
      const request = { ...call, memoryBytes: buffer.byteLength, writes };
      const answer = await ask(
        request,
        writes.map(({ content }) => content),
      );
      if (failure !== undefined) throw lost();
      if ("trap" in answer) throw new Error(answer.trap);
      answer.contents.forEach((content, i) => {
        new Uint8Array(memory.buffer).set(new Uint8Array(content), call.reads[i].address);
      });
    },
    stop() {
      failure ??= "was stopped";
      settle?.({ trap: "" });
      port.close();
    },
  };
  // A first request without steps shows that the worker has come up.
  const nothing = { program: 0, end: 0, steps: 0, control: 0, scratch: 0, memoryBytes: 0, writes: [], reads: [] };
  const timer = setTimeout(() => failed(`did not start within ${START_MS / 1000} s`), START_MS);
  await ask(nothing, []);
  clearTimeout(timer);
  if (failure !== undefined) throw new ThreadError(`threads: the worker ${failure}: use background: false`);
  return replica;
}
