// The worker that holds a copy of the engine's memory, and makes calls over it.
import { breathe, performance } from "./host.js";
import { instantiateBare, MAX_PAGES, PAGE_BYTES } from "./interpreter.js";
import {
  pack,
  type ReplicaAnswer,
  type ReplicaCall,
  type ReplicaData,
  type ReplicaRequest,
  type Round,
  unpack,
} from "./rounds.js";

/** A call is made in parts of about this long. A step that takes longer is a part of its own. */
const PART_MS = 1;

/** Returns what is to be called with each request; `answer` sends the result. */
export function serveReplica(
  { module }: ReplicaData,
  answer: (answer: ReplicaAnswer, transfer: ArrayBuffer[]) => void,
): (request: ReplicaRequest) => void {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES });
  const { run } = instantiateBare(module, memory);
  let interrupted = false;

  /** Lets messages in between the parts. The result is the same for any parts, as the clock of the steps is in memory. */
  const runParts = async ({ program, end, steps, control, scratch }: ReplicaCall): Promise<number> => {
    interrupted = false;
    let maxSteps = 1;
    let done = 0;
    for (let breath = performance.now(); ; ) {
      const start = performance.now();
      const part = Math.min(maxSteps, steps - done);
      run(program, end, part, 0, 1, control, scratch);
      done += part;
      if (done === steps) return done;
      const now = performance.now();
      if (now - start < PART_MS / 2) maxSteps *= 2;
      if (now - breath < PART_MS) continue;
      await breathe();
      if (interrupted) return done;
      breath = performance.now();
    }
  };

  const serve = async ({ transferBuffer, memoryBytes, writes, call, reads }: Round): Promise<void> => {
    try {
      const missing = (memoryBytes - memory.buffer.byteLength) / PAGE_BYTES;
      if (missing > 0) memory.grow(missing);
      unpack(transferBuffer, memory, writes);
      const done = call === undefined ? 0 : await runParts(call);
      pack(transferBuffer, memory, reads);
      answer({ transferBuffer, done }, [transferBuffer]);
    } catch (error) {
      answer({ trap: (error as Error).message }, []);
    }
  };
  return (request) => {
    if ("interrupt" in request) interrupted = true;
    else serve(request);
  };
}
