// What the build `wide` needs under Node, Deno and Electron: V8's flag, which can be set while the process runs.
import { setFlagsFromString } from "node:v8";
import type { WidePlatform } from "../engine/module.js";

const [MAJOR, MINOR] = process.versions.v8.split(".").map(Number);
const FLAG = MAJOR > 15 || (MAJOR === 15 && MINOR >= 6) ? "wasm-revectorize" : "experimental-wasm-revectorize";
/** The first V8 (Node 24) whose revectorizer joins what the kernels are made of. */
const FIRST_V8 = 13;

export const wide: WidePlatform = {
  lacks() {
    const { bun, v8 } = process.versions;
    if (bun !== undefined) return "Bun's engine does not join operations: use Node 24 or newer";
    // Before the flag is set: V8 writes to the console if it does not know a flag.
    if (Number.parseInt(v8, 10) < FIRST_V8) return `V8 ${v8} does not join operations: use Node 24 or newer`;
    return process.arch === "x64" ? undefined : `V8 joins operations on x64 alone, and this is ${process.arch}`;
  },
  enable: () => setFlagsFromString(`--${FLAG}`),
  disable: () => setFlagsFromString(`--no-${FLAG}`),
  hint:
    "Deno" in globalThis
      ? "Deno's V8 checks the bounds of each access by code, which keeps it from joining operations"
      : "the processor may have no AVX2",
};
