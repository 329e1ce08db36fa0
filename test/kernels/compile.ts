// Compiles one AssemblyScript file of this folder, as the build compiles the kernels, and instantiates it.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import asc from "assemblyscript/asc";

export type Build = "strict" | "fast";

/** Node 20 has relaxed SIMD only behind this flag; later versions do not know the flag and need none. */
function allowRelaxedSimd(): void {
  if (process.versions.node.startsWith("20.")) setFlagsFromString("--experimental-wasm-relaxed-simd");
}

/** `f32x4.relaxed_madd` on parameters: valid where the runtime has relaxed SIMD. */
const RELAXED_SIMD = new Uint8Array([
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0],
  ...[10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2, 0xfd, 0x85, 0x02, 11],
]);

/** The builds that this runtime can run. */
export function runnableBuilds(): Build[] {
  allowRelaxedSimd();
  return WebAssembly.validate(RELAXED_SIMD) ? ["strict", "fast"] : ["strict"];
}

/** The bytes of `file` (a name in this folder), compiled with imports resolved from the repository's root. */
export async function compile(file: string, build: Build): Promise<Uint8Array<ArrayBuffer>> {
  const root = join(import.meta.dirname, "../..");
  let bytes: Uint8Array<ArrayBuffer> | undefined;
  const flags = "-O3 --converge --runtime stub --noAssert --use abort= --initialMemory 16 --outFile out.wasm".split(
    " ",
  );
  const features = build === "fast" ? "simd,relaxed-simd" : "simd";
  const { error, stderr } = await asc.main([`test/kernels/${file}`, ...flags, "--enable", features], {
    readFile: (name) => (name.endsWith("asconfig.json") ? null : read(join(root, name))),
    listFiles: (folder) => readdirSync(join(root, folder)).filter((name) => name.endsWith(".ts")),
    writeFile: (_name, contents) => {
      bytes = new Uint8Array(contents as Uint8Array);
    },
  });
  if (error !== null || bytes === undefined) throw new Error(`${file}: ${error?.message}\n${stderr}`);
  return bytes;
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/** Instantiates a module that imports nothing; `Exports` is what its source exports. */
export function instantiate<Exports>(bytes: BufferSource): Exports & { memory: WebAssembly.Memory } {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  return exports as unknown as Exports & { memory: WebAssembly.Memory };
}

/** The ids of a module's sections (6: globals, 11: data). */
export function sectionIds(bytes: Uint8Array): number[] {
  const ids: number[] = [];
  for (let at = 8; at < bytes.length; ) {
    ids.push(bytes[at++] as number);
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] as number;
      size |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    at += size;
  }
  return ids;
}
