// Provides the kernels in browsers: parts of the bundle.
import { SteepestError } from "../engine/errors.js";
import { type Build, provideKernels } from "../engine/module.js";
import { loadInlined } from "./inlinedKernels.js";

async function load(build: Build): Promise<Uint8Array<ArrayBuffer>> {
  // The specification forbids import() there.
  if ("ServiceWorkerGlobalScope" in globalThis) {
    throw new SteepestError('engine: a service worker cannot load the kernels later: import from "steepest/inline"');
  }
  return loadInlined(build);
}

provideKernels({
  load,
  // A page cannot set V8's flag: whoever starts the browser does.
  wide: {
    lacks: () => undefined,
    enable() {},
    disable() {},
    hint: "it needs x64 with AVX2, and Chromium started with --js-flags=--wasm-revectorize (older: --experimental-wasm-revectorize)",
  },
});
