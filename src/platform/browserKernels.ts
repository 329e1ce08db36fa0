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
    hint: "it is for Chromium and Electron on x64 with AVX2, started with --js-flags=--experimental-wasm-revectorize",
  },
});
