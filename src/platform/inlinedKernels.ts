// The kernels as a part of the bundle, each build loaded when it is asked for: no file to find, none to copy. They are
// gzipped: text of base64 that a server compresses is a third larger than what it stands for, unless that is compressed.
import { SteepestError } from "../engine/errors.js";
import type { Build } from "../engine/module.js";

const parts = {
  strict: () => import("../../dist/strict.wasm?gzip"),
  fast: () => import("../../dist/fast.wasm?gzip"),
  wide: () => import("../../dist/wide.wasm?gzip"),
} satisfies Record<Build, unknown>;

export async function loadInlined(build: Build): Promise<Uint8Array<ArrayBuffer>> {
  const { default: gzipped } = await parts[build]();
  return unzip(gzipped);
}

/** Throws SteepestError if the runtime cannot unzip. */
export async function unzip(gzipped: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  if (typeof DecompressionStream === "undefined") {
    throw new SteepestError(
      'engine: this runtime has no DecompressionStream: use Chrome 91, Firefox 113, Safari 16.4 or newer, or import from "steepest/inline"',
    );
  }
  const { readable, writable } = new DecompressionStream("gzip");
  const writer = writable.getWriter();
  // What fails here fails in what is read, too.
  writer.write(gzipped).catch(() => {});
  writer.close().catch(() => {});
  return new Uint8Array(await new Response(readable).arrayBuffer());
}
