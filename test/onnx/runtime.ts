// Runs an ONNX file by ONNX Runtime, which is no part of this library: what it gives is what others will get.
// `npm install --ignore-scripts --prefix test/onnx` installs it. Without it these tests are skipped, but in CI.
import type { AnyModel } from "../../src/nn/model.js";

/** Values as it takes and gives them. */
export interface RuntimeTensor {
  readonly data: ArrayLike<number | bigint>;
  readonly dims: readonly number[];
}

interface Session {
  run(feeds: Readonly<Record<string, RuntimeTensor>>): Promise<Record<string, RuntimeTensor>>;
  release(): Promise<void>;
}

/** What of the package is used here. */
interface Runtime {
  readonly InferenceSession: { create(bytes: Uint8Array, options: object): Promise<Session> };
  readonly Tensor: new (
    type: "float32" | "int64",
    data: Float32Array | BigInt64Array,
    dims: readonly number[],
  ) => RuntimeTensor;
}

/** The package is chosen by STEEPEST_ONNX_RUNTIME: by default the one that is WebAssembly. */
const NAME = process.env.STEEPEST_ONNX_RUNTIME ?? "onnxruntime-web";
const runtime: Runtime | undefined = await import(NAME).catch((error: unknown) => {
  if (process.env.CI) throw error;
  return undefined;
});
export const hasRuntime = runtime !== undefined;

/** The outputs of a file by name, for inputs by name. */
export async function runOnnx(
  bytes: Uint8Array,
  feeds: Readonly<Record<string, RuntimeTensor>>,
): Promise<Map<string, RuntimeTensor>> {
  const session = await (runtime as Runtime).InferenceSession.create(bytes, { logSeverityLevel: 3 });
  try {
    return new Map(Object.entries(await session.run(feeds)));
  } finally {
    await session.release();
  }
}

/** Values of a model's input as ONNX Runtime takes them. */
export function tensorOf(
  values: ArrayLike<number>,
  dims: readonly number[],
  dtype: "float32" | "uint32",
): RuntimeTensor {
  const { Tensor } = runtime as Runtime;
  if (dtype === "float32") return new Tensor("float32", Float32Array.from(values), dims);
  return new Tensor("int64", BigInt64Array.from(Array.from(values, BigInt)), dims);
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
