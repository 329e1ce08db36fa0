// What is inside an engine: its memory, the kernels over it, and the back end that runs programs there.
import { instantiateSync } from "@assemblyscript/loader";
import { type Allocator, createAllocator } from "./allocator.js";
import type { Backend } from "./backend.js";
import { CONTROL_BYTES, THREAD_SCRATCH_BYTES } from "./constants.js";
import { SteepestError } from "./errors.js";
import { inlineBackend } from "./inline.js";
import type { Pointer } from "./instructions.js";
import { type CompiledKernels, type Interpreter, type KernelMemory, PAGE_BYTES } from "./interpreter.js";
import { growMemory, type Heap, type LinearMemory, viewMemory } from "./memory.js";

interface Opened {
  readonly memory: KernelMemory;
  readonly interpreter: Interpreter;
  heap: Heap;
}

interface CoreState {
  /** Undefined once the engine is closed, so that its memory can be collected even if the engine itself is still held. */
  opened: Opened | undefined;
  /** Undefined as soon as `opened` is. */
  backend: Backend | undefined;
  /** Whether a call is running in the background. */
  busy: boolean;
  /** Why the engine is closed, once it is. */
  closedBy: string;
}

export interface Core extends CoreState {
  readonly allocator: Allocator;
  /** The control block: see control.ts. */
  readonly control: Pointer;
  /** Scratch of thread 0; that of thread i is i · THREAD_SCRATCH_BYTES further. */
  readonly scratch: Pointer;
}

/** Starts with the inline back end. `threads` is the number of threads that get scratch memory. */
export function openCore({ memory, maxPages }: LinearMemory, module: CompiledKernels, threads: number): Core {
  // The functions themselves: the loader's own exports take their arguments as a list, which costs a tenth of a small step.
  const { instance } = instantiateSync(module as WebAssembly.Module, { env: { memory: memory as WebAssembly.Memory } });
  const interpreter = instance.exports as unknown as Interpreter;
  const opened = { memory, interpreter, heap: viewMemory(memory) };
  const state: CoreState = { opened, backend: undefined, busy: false, closedBy: "it has been disposed of" };
  const allocator = createAllocator(
    Math.max(PAGE_BYTES, interpreter.heapBase()),
    maxPages * PAGE_BYTES,
    (end) => {
      const current = openedOf(state);
      if (growMemory(current.memory, end)) current.heap = viewMemory(current.memory);
    },
    (region) => state.backend?.copies?.freed(region),
  );
  const control = allocator.allocate(CONTROL_BYTES);
  const scratch = allocator.allocate(THREAD_SCRATCH_BYTES * threads);
  state.backend = inlineBackend(interpreter, control, scratch);
  return Object.assign(state, { allocator, control, scratch });
}

/** Throws SteepestError if the engine is closed. */
export function openedOf(core: CoreState): Opened {
  if (core.opened === undefined) throw closedError(core);
  return core.opened;
}

/** Throws SteepestError if the engine is closed. */
export function backendOf(core: CoreState): Backend {
  if (core.backend === undefined) throw closedError(core);
  return core.backend;
}

function closedError({ closedBy }: CoreState, cause?: unknown): SteepestError {
  const options = cause === undefined ? undefined : { cause };
  return new SteepestError(`engine: ${closedBy}: compile the model again`, options);
}

/** Ends the workers and lets go of the memory. */
export function closeCore(core: CoreState): void {
  core.backend?.stop();
  core.backend = undefined;
  core.opened = undefined;
}

/** Called after a call has failed. Returns the error to throw. */
export function recoverCore(core: CoreState, error: unknown): Error {
  if (core.backend === undefined) return closedError(core);
  const { successor } = core.backend;
  if (successor !== undefined) {
    core.backend.stop();
    core.backend = successor;
  }
  if (error instanceof SteepestError) return error;
  // A trap leaves half-written values behind, so nothing may go on from them.
  closeCore(core);
  core.closedBy = `a kernel failed (${(error as Error).message}), which closed it`;
  return closedError(core, error);
}

/** Makes a call in the background. Until it ends the engine is busy, and the calling thread must leave its memory alone. */
export async function callInBackground<T>(core: CoreState, call: () => Promise<T>): Promise<T> {
  backendOf(core);
  core.busy = true;
  try {
    const result = await call();
    backendOf(core);
    return result;
  } catch (error) {
    throw recoverCore(core, error);
  } finally {
    core.busy = false;
  }
}
