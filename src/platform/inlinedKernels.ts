// The kernels as a part of the bundle, each build loaded when it is asked for: no file to find, none to copy.
import type { Build } from "../engine/module.js";

export async function loadInlined(build: Build): Promise<Uint8Array<ArrayBuffer>> {
  const { default: bytes } = await (build === "strict"
    ? import("../../dist/strict.wasm")
    : import("../../dist/fast.wasm"));
  return bytes;
}
