// Provides the kernels on edge runtimes, which compile nothing while they run: modules that the platform compiled when
// the program was deployed. They are for plain memory: there are no threads.
import fast from "../../dist/edge/fast.wasm";
import strict from "../../dist/edge/strict.wasm";
import { SteepestError } from "../engine/errors.js";
import { type Build, type CompiledKernels, provideKernels } from "../engine/module.js";

const modules: Partial<Record<Build, unknown>> = { strict, fast };

function moduleOf(build: Build): CompiledKernels {
  const module = modules[build];
  if (module !== undefined) return module as CompiledKernels;
  throw new SteepestError('engine: build "debug" is there under Node only: use "strict" or "fast"');
}

provideKernels({ plainMemory: true, load: async (build) => moduleOf(build), loadSync: moduleOf });
