// The entry "steepest/inline": everything in JavaScript, the kernels' bytes too; also for the synchronous form. One
// thread. For places where nothing else works: a service worker, an extension page, a bundler that loses files.
import fast from "../../dist/fast.wasm";
import strict from "../../dist/strict.wasm";
import { SteepestError } from "../engine/errors.js";
import { type Build, provideKernels } from "../engine/module.js";

function bytesOf(build: Build): Uint8Array<ArrayBuffer> {
  if (build === "strict") return strict;
  if (build === "fast") return fast;
  throw new SteepestError('engine: build "debug" is there under Node only: use "strict" or "fast"');
}

provideKernels({ load: async (build) => bytesOf(build), loadSync: bytesOf });

export * from "../index.js";
