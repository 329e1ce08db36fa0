// The kernels as a part of the bundle, each build loaded when it is asked for: no file to find, none to copy.
import { SteepestError } from "../engine/errors.js";
import type { Build } from "../engine/module.js";

export async function loadInlined(build: Build): Promise<Uint8Array<ArrayBuffer>> {
  if (build === "strict") return (await import("../../dist/strict.wasm")).default;
  if (build === "fast") return (await import("../../dist/fast.wasm")).default;
  throw new SteepestError('engine: build "debug" is there under Node only, unbundled: use "strict" or "fast"');
}
