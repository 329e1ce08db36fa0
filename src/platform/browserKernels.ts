// Provides the kernels in browsers: fetched from beside the bundle.
import { SteepestError } from "../engine/errors.js";
import { type Build, provideKernels } from "../engine/module.js";

// Written out, each as a whole: bundlers look for exactly this, and take the file along.
const files: Record<Build, () => URL> = {
  strict: () => new URL("../strict.wasm", import.meta.url),
  fast: () => new URL("../fast.wasm", import.meta.url),
  debug: () => new URL("../debug.wasm", import.meta.url),
};

async function load(build: Build): Promise<ArrayBuffer> {
  const url = files[build]();
  const response = await fetch(url);
  if (!response.ok) {
    throw new SteepestError(
      `engine: the kernels could not be fetched from ${url.href} (${response.status}): serve the package's dist folder with them`,
    );
  }
  return response.arrayBuffer();
}

provideKernels({ load });
