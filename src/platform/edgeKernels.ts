// Provides the kernels on edge runtimes, which compile nothing while they run: modules that the platform compiled when
// the program was deployed. They are for plain memory: there are no threads.
import fast from "../../dist/edge/fast.wasm";
import strict from "../../dist/edge/strict.wasm";
import type { CompiledKernels } from "../engine/interpreter.js";
import { type Build, provideKernels } from "../engine/module.js";

const moduleOf = (build: Build): CompiledKernels => (build === "fast" ? fast : strict) as unknown as CompiledKernels;

provideKernels({
  plainMemory: true,
  load: async (build) => moduleOf(build),
  loadSync: moduleOf,
  wide: "edge runtimes have no kernels for it",
});
