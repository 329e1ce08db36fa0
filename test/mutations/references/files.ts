// The damaged files that independent readers were given (readers.py), and what this library makes of them.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
import { createEngineSync } from "../../../src/engine/engine.js";
import { readZip, writeZip } from "../../../src/io/zip.js";
import { compileSync } from "../../../src/platform/node.js";
import * as io from "../../../src/platform/nodeIo.js";
import { fromKeras } from "../../../src/platform/nodeKeras.js";
import { FORMATS } from "../formats.js";
import { mutations } from "../mutate.js";

/** Which of the independent readers reads it. */
type Kind = "safetensors" | "npy" | "npz" | "pt" | "h5" | "keras";

export interface DamagedFile {
  readonly name: string;
  readonly kind: Kind;
  readonly count: number;
  readonly sound: Uint8Array;
  /** A mutation by its number. What it gives holds until it is called again. */
  damaged(index: number): Uint8Array;
  /** What this library reads of it: a digest, as the independent reader has it. Throws what is wrong. */
  digest(bytes: Uint8Array): Promise<string>;
}

type Tensor = Pick<io.SafetensorsTensor, "dtype" | "shape" | "data">;

/** Whether a verdict is that a file is read. */
export const isDigest = (verdict: string): boolean => /^[0-9a-f]{10}$/.test(verdict);

/** Of names, dtypes, shapes and values; those of 16 bits as float32. As readers.py has it. */
function digestOf(tensors: Iterable<readonly [string, Tensor]>, notes: Readonly<Record<string, string>> = {}): string {
  const made = createHash("sha256");
  const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) =>
    Buffer.compare(Buffer.from(a), Buffer.from(b));
  for (const [name, { dtype, shape, data }] of [...tensors].sort(byName)) {
    made.update(`${JSON.stringify([name, dtype, shape])}\n`);
    made.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  for (const note of Object.entries(notes).sort(byName)) made.update(`${JSON.stringify(note)}\n`);
  return made.digest("hex").slice(0, 10);
}

const engine = createEngineSync();

type Library = NonNullable<Parameters<typeof fromKeras>[1]>["hdf5"];
let copies = 0;
let hdf5: Library;

/** A copy of h5wasm of its own: a damaged file may break the one that has read it. */
async function freshHdf5(): Promise<void> {
  hdf5 = await import(`${import.meta.resolve("h5wasm")}?copy=${copies++}`);
}

async function ofKeras(bytes: Uint8Array): Promise<string> {
  if (hdf5 === undefined) await freshHdf5();
  try {
    const { model } = await fromKeras(bytes, { hdf5: hdf5 as NonNullable<Library> });
    const trainer = compileSync(model, { engine });
    const tensors = [...trainer.parameters()].map(
      ([path, { shape, data }]) => [path, { dtype: "F32", shape, data } as unknown as Tensor] as const,
    );
    trainer.dispose();
    return digestOf(tensors);
  } catch (error) {
    if (((error as Error).cause as Error | undefined)?.name === "RuntimeError") await freshHdf5();
    throw error;
  }
}

const DIGESTS: Readonly<Record<Kind, DamagedFile["digest"]>> = {
  async safetensors(bytes) {
    const { tensors, metadata } = io.decodeSafetensors(bytes);
    return digestOf(tensors, metadata);
  },
  npy: async (bytes) => digestOf([["", io.decodeNpy(bytes)]]),
  npz: async (bytes) => digestOf(await io.decodeNpz(bytes)),
  pt: async (bytes) => digestOf(io.decodePyTorch(bytes)),
  h5: ofKeras,
  keras: ofKeras,
};

function fileOf(kind: Kind, name: string, count: number): DamagedFile {
  const found = FORMATS.find(({ of, file }) => `${of}, ${file}` === name);
  if (found === undefined) throw new Error(`no format is called ${name}`);
  const { bytes, whole = (part: Uint8Array) => part } = found;
  const mutate = mutations(bytes, name);
  const damaged = (index: number) => whole(mutate(index));
  return { name, kind, count, sound: whole(bytes), damaged, digest: DIGESTS[kind] };
}

/** A .keras whose weights are damaged: the checksum of the archive is right. */
function kerasWeights(count: number): DamagedFile {
  const { keras } = JSON.parse(readFileSync(new URL("../../golden/keras.json", import.meta.url), "utf8"));
  const archive = new Uint8Array(inflateSync(Buffer.from(keras.dense, "base64")));
  const entries = [...readZip("a file", archive)].map(([name, { packed }]) => [name, packed.slice()] as const);
  const WEIGHTS = "model.weights.h5";
  const mutate = mutations(new Map(entries).get(WEIGHTS) as Uint8Array, `Keras, ${WEIGHTS}`);
  const damaged = (index: number) =>
    writeZip(entries.map(([name, bytes]) => [name, name === WEIGHTS ? mutate(index) : bytes] as const));
  return { name: `Keras, ${WEIGHTS}`, kind: "keras", count, sound: archive, damaged, digest: ofKeras };
}

/** Of all damaged files, so that verdicts are about these. */
export function hashOf({ count, damaged }: DamagedFile): string {
  const made = createHash("sha256");
  for (let index = 0; index < count; index++) made.update(damaged(index));
  return made.digest("hex").slice(0, 16);
}

export const FILES: readonly DamagedFile[] = [
  fileOf("safetensors", "safetensors, bytes", 600),
  fileOf("safetensors", "safetensors, 16 bits", 300),
  fileOf("npy", "NumPy array, .npy", 600),
  fileOf("npy", "NumPy array, Fortran's order", 200),
  fileOf("npz", "NumPy archive, stored", 400),
  fileOf("npz", "NumPy archive, deflated", 400),
  fileOf("pt", "PyTorch, .pt", 400),
  fileOf("pt", "PyTorch, pickle", 600),
  fileOf("h5", "Keras, version 2, one layer", 200),
  fileOf("keras", "Keras, version 3", 200),
  kerasWeights(300),
];
