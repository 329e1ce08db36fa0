// Runs an ONNX file by ONNX Runtime, which is no part of this library: what it gives is what others will get. There are two builds,
// with kernels of their own: WebAssembly, and the machine's code. `npm install --ignore-scripts --prefix test/onnx` installs both.
// Without them these tests are skipped, but in CI.
import { createRequire } from "node:module";
import type { AnyModel } from "../../src/nn/model.js";

/** Values as a file takes them. */
export interface Feed {
  readonly type: "float32" | "int64";
  readonly data: Float32Array | BigInt64Array;
  readonly dims: readonly number[];
}

/** Values as it gives them. */
export interface Found {
  readonly data: ArrayLike<number | bigint>;
  readonly dims: readonly number[];
}

interface Session {
  run(feeds: Readonly<Record<string, unknown>>): Promise<Record<string, Found>>;
  release(): Promise<void>;
}

/** What of a package is used here. */
interface Runtime {
  readonly InferenceSession: { create(bytes: Uint8Array, options: object): Promise<Session> };
  readonly Tensor: new (type: Feed["type"], data: Feed["data"], dims: readonly number[]) => unknown;
}

const NAMES = ["onnxruntime-web", "onnxruntime-node"] as const;

export const hasRuntimes = process.env.CI !== undefined || NAMES.every(isThere);

function isThere(name: string): boolean {
  try {
    return createRequire(import.meta.url).resolve(name) !== "";
  } catch {
    return false;
  }
}

/** A file that one of the runtimes has read. */
export interface Opened {
  readonly runtime: (typeof NAMES)[number];
  /** The outputs by name, for inputs by name. */
  run(feeds: Readonly<Record<string, Feed>>): Promise<Map<string, Found>>;
}

/** Each runtime's reading of a file, one after the other, for as long as `use` takes. */
export async function eachRuntime(
  bytes: Uint8Array,
  use: (opened: Opened) => Promise<void>,
  names: readonly Opened["runtime"][] = NAMES,
): Promise<void> {
  for (const runtime of names) {
    const { InferenceSession, Tensor }: Runtime = await import(runtime);
    const session = await InferenceSession.create(bytes, { logSeverityLevel: 3, intraOpNumThreads: 1 });
    const run: Opened["run"] = async (feeds) => {
      const tensors = Object.entries(feeds).map(([name, { type, data, dims }]) => [name, new Tensor(type, data, dims)]);
      return new Map(Object.entries(await session.run(Object.fromEntries(tensors))));
    };
    try {
      await use({ runtime, run });
    } finally {
      await session.release();
    }
  }
}

/** Values of a model's input as the runtimes take them. */
export function feedOf(values: ArrayLike<number>, dims: readonly number[], dtype: "float32" | "uint32"): Feed {
  if (dtype === "float32") return { type: "float32", data: Float32Array.from(values), dims };
  return { type: "int64", data: BigInt64Array.from(Array.from(values, BigInt)), dims };
}

/** Random inputs of a model: numbers around 0, and words that choose. */
export function randomInputs(model: AnyModel, batch: number, random: () => number): Record<string, number[]> {
  const entries = model.inputs.map(({ key = "x", shape, dtype, bound }) => {
    const size = batch * shape.reduce((a, b) => a * b, 1);
    const most = typeof bound === "number" ? bound : ((bound as { most?: number } | undefined)?.most ?? 4);
    const one = () => (dtype === "float32" ? 4 * random() - 2 : 1 + Math.floor(random() * (most - 1)));
    return [key, Array.from({ length: size }, one)] as const;
  });
  return Object.fromEntries(entries);
}
