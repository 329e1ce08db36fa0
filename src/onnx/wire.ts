// The library that reads and writes fields of protocol buffers. It is loaded when it is needed.
import { SteepestError } from "../engine/errors.js";

export type WireLibrary = typeof import("pbf");
export type Reader = import("pbf").PbfReader;
export type Writer = import("pbf").PbfWriter;

// Asking for a module that is loaded takes as long as reading a small file, and far longer if its loader has hooks.
let loaded: WireLibrary | undefined;

/** Loads it at the first call. Throws SteepestError if it is not installed. */
export async function wireLibrary(where: string): Promise<WireLibrary> {
  loaded ??= await import(/* webpackIgnore: true */ "pbf").catch((cause: unknown) => {
    throw new SteepestError(`${where}: needs the package pbf, which is not there: npm install pbf`, { cause });
  });
  return loaded as WireLibrary;
}

/** How a field's value is stored. */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;
