// What assembly/program.ts exports; the kernels are there too, by name.
import type { Pointer } from "./instructions.js";

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

/** An instance in a worker, without the loader. */
export function instantiateBare(module: WebAssembly.Module, memory: WebAssembly.Memory): Interpreter {
  const { exports } = new WebAssembly.Instance(module, { env: { memory, abort: () => {} } });
  return exports as unknown as Interpreter;
}
