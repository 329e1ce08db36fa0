// What the module exports: the interpreter, and every kernel by its name (for tests and one-off calls).
export { heapBase, lead, run, runRange, work } from "./program";
export * from "./dispatch";
