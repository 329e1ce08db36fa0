// What assembly/program.ts exports. The kernels are exported too, by name.
import type { Pointer } from "./instructions.js";

// The public types refer to these declarations instead of `WebAssembly`, which TypeScript declares in its types for
// pages: a user's program may be checked without them.

/** Compiled kernels: a `WebAssembly.Module`. */
export type CompiledKernels = object;

export const PAGE_BYTES = 65536;
/** 4 GiB, which is as far as 32-bit addresses reach. */
export const MAX_PAGES = 65536;

/** A `WebAssembly.Memory`. */
export interface KernelMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

export interface Interpreter extends Record<string, unknown> {
  heapBase(): Pointer;
  run(
    program: Pointer,
    end: Pointer,
    steps: number,
    thread: number,
    threads: number,
    control: Pointer,
    scratch: Pointer,
  ): number;
  lead(control: Pointer, program: Pointer, end: Pointer, steps: number, threads: number, scratch: Pointer): number;
  work(control: Pointer, worker: number, scratch: Pointer): void;
  runRange(instruction: Pointer, begin: number, end: number, scratch: Pointer): void;
}

/** Makes an instance in a worker, without the loader. */
export function instantiateBare(module: CompiledKernels, memory: KernelMemory): Interpreter {
  const { exports } = new WebAssembly.Instance(module, {
    env: { memory: memory as WebAssembly.Memory, abort: () => {} },
  });
  return exports as unknown as Interpreter;
}
