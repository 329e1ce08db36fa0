// What shards and rounds leave in a store, as bytes: safetensors files with a digest. Each is read as a stranger's file is.
import { showNames, showValue } from "../engine/errors.js";
import { indexOfNotFinite } from "../engine/finite.js";
import { kindOf } from "../engine/kind.js";
import type { Shape } from "../graph/tensor.js";
import { sameShape, showShape, sizeOf } from "../graph/tensor.js";
import { decodeCheckpoint, encodeCheckpoint } from "../io/checkpoint.js";
import { checkDigest, NO_DIGEST, setDigest } from "../io/checksum.js";
import { FormatError } from "../io/formatError.js";
import { bfloat16ToFloat32 } from "../io/halves.js";
import { decodeSafetensors, encodeSafetensors, type SafetensorsInput } from "../io/safetensors.js";
import type { Checkpoint, ValuesByPath } from "../train/checkpoint.js";

/** What a shard computed in a round: parameters or gradients, or differences in bfloat16, and buffers. */
export interface ShardUpdate {
  readonly values: ValuesByPath;
  /** By path, in place of values. */
  readonly halves?: ReadonlyMap<string, Uint16Array>;
}

export function encodeUpdate({ values, halves = new Map() }: ShardUpdate): Uint8Array<ArrayBuffer> {
  const tensors = new Map<string, SafetensorsInput>(values);
  for (const [path, data] of halves) tensors.set(path, { shape: [data.length], data });
  const file = encodeSafetensors(Object.fromEntries(tensors), { format: "steepest", digest: NO_DIGEST });
  setDigest(file);
  return file;
}

/** What an update must have, by path. */
export interface WantedUpdate {
  readonly shapes: ReadonlyMap<string, Shape>;
  /** The paths that come in bfloat16. */
  readonly halved: ReadonlySet<string>;
}

/** @throws {FormatError} If the bytes are damaged, or are no such update. */
export function decodeUpdate(bytes: Uint8Array, name: string, { shapes, halved }: WantedUpdate): ValuesByPath {
  const where = `update "${name}"`;
  const { tensors, metadata } = decodeSafetensors(bytes, name);
  checkDigest(where, bytes, metadata.digest);
  const refuse = (got: string): FormatError =>
    new FormatError(
      `${where}: must have ${showNames(shapes.keys())} of this model, got ${got}: let it be computed again`,
    );
  if (tensors.size !== shapes.size) throw refuse(`${tensors.size} tensors`);
  return new Map(
    [...shapes].map(([path, shape]) => {
      const tensor = tensors.get(path);
      if (tensor === undefined) throw refuse(`none called ${showValue(path)}`);
      const isHalf = halved.has(path);
      if (tensor.dtype !== (isHalf ? "U16" : "F32")) throw refuse(`${showValue(path)} of ${tensor.dtype}`);
      if (!sameShape(tensor.shape, isHalf ? [sizeOf(shape)] : shape))
        throw refuse(`${showValue(path)} ${showShape(tensor.shape)}`);
      const data = isHalf ? bfloat16ToFloat32(tensor.data as Uint16Array) : (tensor.data as Float32Array);
      if (indexOfNotFinite(data) >= 0) throw refuse(`${showValue(path)} with values that are not finite`);
      return [path, { shape, data }] as const;
    }),
  );
}

export function encodeState(state: Checkpoint): Uint8Array<ArrayBuffer> {
  return encodeCheckpoint(state);
}

/** Whether it fits the model is seen when it is restored. */
export function decodeState(bytes: Uint8Array, name: string): Checkpoint {
  const { metadata: _, ...checkpoint } = decodeCheckpoint(bytes, name);
  return checkpoint;
}

/** SHA-256 in hexadecimal digits. Values have it in their names. */
export async function digestOf(bytes: Uint8Array): Promise<string> {
  // WebCrypto refuses shared memory.
  const own = kindOf(bytes.buffer) === "ArrayBuffer" ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", own));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
