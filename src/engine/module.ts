// Loads and compiles the kernels: of which build, from where, for which kind of memory.
import { SteepestError } from "./errors.js";
import type { CompiledKernels } from "./interpreter.js";

/**
 * `strict`: the same bits on every machine. `fast`: with fused multiply-add, if the runtime has it. `wide`, which is
 * experimental: the bits of `strict`, for runtimes that join two operations of 128 bits into one of 256.
 */
export type Build = "strict" | "fast" | "wide";

/** A `.wasm` file's bytes. */
export type KernelBytes = Uint8Array<ArrayBuffer>;

/** How a platform loads the `.wasm` files: as bytes, or as a module if the platform has compiled it. */
export interface KernelSource {
  /** Set if the platform has compiled the modules, for memory that is not shared. */
  readonly plainMemory?: boolean;
  load(build: Build): Promise<KernelBytes | CompiledKernels>;
  /** Absent if the platform cannot read files synchronously. */
  loadSync?(build: Build): KernelBytes | CompiledKernels;
  /** What the build `wide` needs, or why the platform has no kernels for it. */
  readonly wide?: WidePlatform | string;
}

/** How a platform has V8 join operations, for the build `wide`. */
export interface WidePlatform {
  /** Why none are joined, whatever is set; `undefined` if they may be. */
  lacks(): string | undefined;
  /** Has those joined that are compiled from now on, if the platform can set that. */
  enable(): void;
  disable(): void;
  /** What may be missing if `wide` is not faster. */
  readonly hint: string;
}

let source: KernelSource | undefined;
const compiled = new Map<string, CompiledKernels>();

/** Called once by the platform's entry: see src/platform/. */
export function provideKernels(from: KernelSource): void {
  source = from;
  compiled.clear();
}

/** Whether the kernels can run over shared memory. */
export function kernelsShareMemory(): boolean {
  return source?.plainMemory !== true;
}

/** What the build `wide` needs here, or why there is none. */
export function widePlatform(): WidePlatform | string {
  return provided().wide ?? "there are no kernels for it here";
}

export async function loadModule(build: Build, shared: boolean): Promise<CompiledKernels> {
  const key = `${build} ${shared}`;
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const loaded = await provided().load(build);
  const module = isBytes(loaded) ? await WebAssembly.compile(forMemory(loaded, shared)) : loaded;
  compiled.set(key, module);
  return module;
}

/** The bytes of a build for plain memory. Throws SteepestError where the platform has compiled them already. */
export async function loadBytes(build: Build): Promise<KernelBytes> {
  const loaded = await provided().load(build);
  if (isBytes(loaded)) return forMemory(loaded, false);
  throw new SteepestError("engine: the kernels have been compiled already, so no part of them can be taken: use Node");
}

export function loadModuleSync(build: Build, shared: boolean): CompiledKernels {
  const key = `${build} ${shared}`;
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const { loadSync } = provided();
  if (loadSync === undefined) {
    throw new SteepestError("engine: kernels cannot be loaded synchronously here: use the asynchronous form");
  }
  const loaded = loadSync(build);
  const module = isBytes(loaded) ? new WebAssembly.Module(forMemory(loaded, shared)) : loaded;
  compiled.set(key, module);
  return module;
}

function isBytes(loaded: KernelBytes | CompiledKernels): loaded is KernelBytes {
  return ArrayBuffer.isView(loaded);
}

function provided(): KernelSource {
  if (source === undefined)
    throw new SteepestError('engine: no platform has provided the kernels: import from "steepest"');
  return source;
}

const IMPORT_SECTION = 2;
const MEMORY_SHARED_WITH_MAXIMUM = 3;
const MEMORY_WITH_MAXIMUM = 1;

/**
 * The module's bytes for shared or plain memory. They differ in one byte, the flags of the imported memory's limits
 * (1: has a maximum; 2: shared), so that one file serves runtimes with and without shared memory.
 */
export function forMemory(bytes: KernelBytes, shared: boolean): KernelBytes {
  if (shared) return bytes;
  const copy = Uint8Array.from(bytes);
  let at = 8;
  const readSize = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = copy[at++];
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < copy.length) {
    const section = copy[at++];
    const size = readSize();
    if (section !== IMPORT_SECTION) {
      at += size;
      continue;
    }
    // The only import (except abort, in builds with assertions) is env.memory: its entry ends in the kind, 2, and the flags.
    const end = at + size;
    for (; at < end - 1; at++) {
      if (copy[at] === 2 && copy[at + 1] === MEMORY_SHARED_WITH_MAXIMUM) {
        copy[at + 1] = MEMORY_WITH_MAXIMUM;
        return copy;
      }
    }
  }
  throw new SteepestError("engine: the kernels import no shared memory: rebuild them");
}
