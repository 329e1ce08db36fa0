// The calling thread's link to the worker that has a copy of its memory: one round of messages after the other.
import { startTimer } from "./host.js";
import type { Pointer } from "./instructions.js";
import type { CompiledKernels, KernelMemory } from "./interpreter.js";
import { pack, type ReplicaAnswer, type Round, TRANSFER_BYTES, unpack } from "./rounds.js";
import { SILENT_MS, START_MS, startWorker, ThreadError, warnOfSilence } from "./threads.js";

export interface ReplicaLink {
  /** Why the worker is lost, once it is. */
  failure(): string | undefined;
  /** The error that says so, for a call to throw. `then`: what follows from it. */
  report(then: string, failedAt?: Pointer): ThreadError;
  /** Whether a call has said so: only then may others do without the worker. */
  isReported(): boolean;
  /** Makes a round. Resolves to the number of steps that its call did. Rejects with ThreadError if the worker is lost. */
  round(memory: KernelMemory, round: Partial<Pick<Round, "writes" | "call" | "reads">>): Promise<number>;
  /** Ends the current call after the step it is at. */
  interrupt(): void;
  stop(): void;
}

/** Starts the worker. Rejects with ThreadError, which says why it did not start. */
export async function startReplicaLink(module: CompiledKernels): Promise<ReplicaLink> {
  let transferBuffer = new ArrayBuffer(TRANSFER_BYTES);
  let failure: string | undefined;
  let settle: ((answer: ReplicaAnswer) => void) | undefined;
  const failed = (reason: string): void => {
    failure ??= reason;
    settle?.({ trap: "" });
  };
  const port = startWorker({ replica: true, module }, failed, (answer) => settle?.(answer as ReplicaAnswer));
  const ask = (request: Round): Promise<ReplicaAnswer> =>
    new Promise((resolve) => {
      settle = (answer) => {
        settle = undefined;
        resolve(answer);
      };
      port.send(request, [transferBuffer]);
    });
  // A first, empty round shows that the worker is ready.
  const heard = startTimer(() => warnOfSilence(1), SILENT_MS);
  const started = startTimer(() => failed(`did not start within ${START_MS / 1000} s`), START_MS);
  const ready = await ask({ transferBuffer, memoryBytes: 0, writes: [], call: undefined, reads: [] });
  heard();
  started();
  const reason = failure ?? ("trap" in ready ? `failed: ${ready.trap}` : undefined);
  if (reason !== undefined || "trap" in ready) {
    port.close();
    throw new ThreadError(`threads: the worker ${reason}: use background: false`);
  }
  transferBuffer = ready.transferBuffer;
  let reported = false;
  const report = (then: string, failedAt?: Pointer): ThreadError => {
    reported = true;
    return new ThreadError(`threads: the worker ${failure}${then}`, 0, failedAt);
  };
  return {
    failure: () => failure,
    report,
    isReported: () => reported,
    async round(memory, { writes = [], call, reads = [] }) {
      const lost = (): ThreadError => report(": the engine goes on here");
      if (failure !== undefined) throw lost();
      pack(transferBuffer, memory, writes);
      const answer = await ask({ transferBuffer, memoryBytes: memory.buffer.byteLength, writes, call, reads });
      if ("trap" in answer) throw failure === undefined ? new Error(answer.trap) : lost();
      transferBuffer = answer.transferBuffer;
      unpack(transferBuffer, memory, reads);
      return answer.done;
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
