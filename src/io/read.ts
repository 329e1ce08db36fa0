// Tensors, weights and models from what is read once, from its beginning to its end: each tensor's bytes go to where they stay.
import { fn, type OptionsOf, optional, readOptions, unchecked } from "../engine/options.js";
import type { Shape } from "../graph/shape.js";
import type { AnyModel } from "../nn/model.js";
import type { Ports } from "../nn/ports.js";
import type { CustomParts } from "./architecture.js";
import { placeOf } from "./bytes.js";
import { checkIsCheckpoint, checkpointOf, hasDigest, isCheckpoint, type SavedCheckpoint } from "./checkpoint.js";
import { checkChecksum, followDigest } from "./checksum.js";
import { FormatError } from "./formatError.js";
import type { Entry } from "./layout.js";
import { type Metadata, notesOf } from "./metadata.js";
import { LOAD_MODEL, type LoadedModel, type LoadModelOptions, loadedModel, modelOf } from "./model.js";
import type { SafetensorsFile, SafetensorsTensor } from "./safetensors.js";
import { type OpenShard, readShards } from "./shards.js";
import { type FileSource, openSource, type SequentialReader } from "./sources.js";
import { readFileOf, type TensorTaker } from "./tensorStream.js";
import {
  checkKind,
  checkNames,
  checkNotQuantized,
  checkTrainer,
  floatsOf,
  type LoadedWeights,
  PARAMETERS,
  remedyFor,
  type WeightHolder,
} from "./weights.js";

/** How a source is read. */
export interface ReadOptions {
  /**
   * Opens a part by its name. It is given when the source is an index, `model.safetensors.index.json`:
   * `(name) => fetch(new URL(name, folder))`. Parts are opened one after another. Default: the source is one file.
   */
  shards?: (name: string) => FileSource | Promise<FileSource>;
  /** The file's name, for error messages only. Default: none is said. */
  name?: string;
}

export interface ReadModelOptions extends ReadOptions, LoadModelOptions {}

const READ = {
  shards: optional(fn<(name: string) => FileSource | Promise<FileSource>>()),
  name: unchecked<string | undefined>(),
} satisfies OptionsOf<ReadOptions>;

const READ_MODEL = { ...READ, ...LOAD_MODEL } satisfies OptionsOf<ReadModelOptions>;

/** Where the bytes come from, opened only when they are read. */
export interface Opening {
  readonly name: string | undefined;
  open(): Promise<SequentialReader>;
  /** For an index. */
  readonly openShard: OpenShard | undefined;
}

/**
 * Reads the tensors of a safetensors file from a Blob, a Response, a stream or an open file, without holding the file beside them: the bytes
 * of each tensor are read into the memory where they stay. If the length of a stream is not known, no more is allocated than comes; a
 * single tensor of more than 4 MiB is then there twice for a moment.
 *
 * The checks are those of `decodeSafetensors`. If a file is in parts, the source is its index: every part must have exactly the tensors
 * that the index has for it, and all together the bytes of its `total_size`. Notes are those of the index.
 *
 * @param source Under Node, Deno and Bun also a path: an index there is a path that ends in `.json`.
 * @throws {FormatError} If the file breaks a rule of the format, or there is nothing to read from. @throws {SteepestError} If reading fails.
 * @example
 * const { tensors } = await readSafetensors(new Blob([encodeSafetensors({ w: { shape: [1], data: Float32Array.of(2) } })]));
 */
export async function readSafetensors(source: FileSource, options: ReadOptions = {}): Promise<SafetensorsFile> {
  return await tensorsOf(openingOf("readSafetensors", source, readOptions("readSafetensors", options, READ)));
}

/**
 * Sets a trainer's parameters from a safetensors file as `decodeWeights` does, but reads it from a Blob, a Response, a stream or an open
 * file: see `readSafetensors`. Nothing is changed before everything has been read and checked.
 *
 * @returns The file's notes, and what was converted.
 * @throws {FormatError} If the file is not valid, or does not fit the model. @throws {SteepestError} If reading fails.
 * @example
 * await readWeights(trainer, new Blob([encodeWeights(trainer)]));
 */
export async function readWeights(
  trainer: WeightHolder,
  source: FileSource,
  options: ReadOptions = {},
): Promise<LoadedWeights> {
  checkTrainer("readWeights", trainer, ["setParameters"]);
  return await weightsOf(trainer, openingOf("readWeights", source, readOptions("readWeights", options, READ)));
}

/**
 * Makes a model of a file as `decodeModel` does, but reads it from a Blob, a Response, a stream or an open file: see
 * `readSafetensors`. What is read is what the model begins with, without a copy.
 *
 * @throws {FormatError} If it is no file of a model, or a custom layer is missing. @throws {SteepestError} If reading fails.
 * @example
 * const { model } = await readModel(new Blob([encodeModel(trainer)]));
 */
export async function readModel<I extends Ports = Shape, O extends Ports = Shape>(
  source: FileSource,
  options: ReadModelOptions = {},
): Promise<LoadedModel<I, O>> {
  const { custom, ...reading } = readOptions("readModel", options, READ_MODEL);
  return await modelFrom<I, O>(openingOf("readModel", source, reading), custom);
}

function openingOf(
  where: string,
  source: FileSource,
  { shards, name }: { readonly shards: ReadOptions["shards"] | undefined; readonly name: string | undefined },
): Opening {
  return {
    name,
    open: () => openSource(`${where}: the source`, source),
    openShard: shards && (async (part) => openSource(`${where}: ${placeOf("part", part)}`, await shards(part))),
  };
}

/** Reads all there is, and closes it. */
async function readInto({ name, open, openShard }: Opening, taker: TensorTaker): Promise<void> {
  const kind = "safetensors file";
  const reader = await open();
  try {
    if (openShard === undefined) await readFileOf(placeOf(kind, name), reader, taker);
    else await readShards(kind, name, reader, openShard, taker);
  } finally {
    await reader.close();
  }
}

export async function tensorsOf(opening: Opening): Promise<SafetensorsFile> {
  const tensors = new Map<string, SafetensorsTensor>();
  let metadata: Metadata = {};
  await readInto(opening, {
    begin(notes) {
      metadata = notes;
    },
    wants: () => true,
    take: (name, tensor) => void tensors.set(name, tensor),
  });
  return { tensors, metadata };
}

export async function weightsOf(trainer: WeightHolder, opening: Opening): Promise<LoadedWeights> {
  const { parameters } = trainer.model;
  const where = placeOf("weights", opening.name);
  const { metadata, values, converted } = await valuesOf(where, opening, (notes) => {
    checkNotQuantized(where, notes);
    return parameters;
  });
  // All were checked. One by one, because what is set is copied first.
  for (const [path, one] of values) trainer.setParameters({ [path]: one });
  return { metadata: notesOf(metadata), converted };
}

export async function modelFrom<I extends Ports, O extends Ports>(
  opening: Opening,
  custom: CustomParts,
): Promise<LoadedModel<I, O>> {
  const where = placeOf("model", opening.name);
  let model: AnyModel | undefined;
  const { metadata, ...read } = await valuesOf(where, opening, (notes) => {
    model = modelOf(where, notes, custom);
    return model.parameters;
  });
  return loadedModel<I, O>(where, model as AnyModel, read, metadata);
}

/** A checkpoint, with its digest followed as its bytes come. Other files are refused before their tensors are read. */
export async function checkpointFrom(opening: Opening): Promise<SavedCheckpoint> {
  const where = placeOf("checkpoint", opening.name);
  const tensors = new Map<string, SafetensorsTensor>();
  let metadata: Metadata = {};
  let digest: ReturnType<typeof followDigest> | undefined;
  await readInto(opening, {
    begin(notes) {
      checkIsCheckpoint(where, notes);
      metadata = notes;
    },
    wants: () => true,
    take: (name, tensor) => void tensors.set(name, tensor),
    head(bytes) {
      if (hasDigest(metadata)) digest = followDigest(bytes);
    },
    see: (bytes) => digest?.see(bytes),
  });
  if (digest === undefined) checkChecksum(where, { tensors, metadata });
  else digest.check(where, metadata.digest);
  return checkpointOf(where, { tensors, metadata });
}

type Wanted = ReadonlyMap<string, { readonly shape: Shape }>;

/** The values of all wanted parameters, which must be what the file has: it is checked as a whole too. */
async function valuesOf(where: string, opening: Opening, wantedBy: (metadata: Metadata) => Wanted) {
  const values = new Map<string, { readonly shape: Shape; readonly data: Float32Array }>();
  const read = new Map<string, SafetensorsTensor>();
  const said = new Map<string, string[]>();
  let metadata: Metadata = {};
  let wanted: Wanted = new Map();
  let digest: ReturnType<typeof followDigest> | undefined;
  /** What a parameter's name is in the file; of a checkpoint, the others are passed over. */
  const pathOf = (name: string) => {
    if (!isCheckpoint(metadata)) return name;
    return name.startsWith(PARAMETERS) ? name.slice(PARAMETERS.length) : undefined;
  };
  await readInto(opening, {
    begin(notes, names) {
      metadata = notes;
      wanted = wantedBy(notes);
      checkNames(
        where,
        names.map(pathOf).filter((path) => path !== undefined),
        wanted,
        remedyFor(notes),
      );
    },
    wants({ name, dtype, shape }: Entry) {
      const path = pathOf(name);
      if (path === undefined) return false;
      checkKind(where, path, { dtype, shape }, (wanted.get(path) as { shape: Shape }).shape, remedyFor(metadata));
      return true;
    },
    take(name, tensor) {
      const path = pathOf(name) as string;
      const lines: string[] = [];
      values.set(path, { shape: tensor.shape, data: floatsOf(where, path, tensor, lines) });
      said.set(path, lines);
      read.set(name, tensor);
    },
    head(bytes) {
      if (isCheckpoint(metadata) && metadata.digest !== undefined) digest = followDigest(bytes);
    },
    see: (bytes) => digest?.see(bytes),
  });
  if (isCheckpoint(metadata)) checkCheckpoint(where, metadata, digest);
  else checkChecksum(where, { tensors: read, metadata });
  // In the order of the model, whatever that of the file is.
  return { metadata, values, converted: [...wanted.keys()].flatMap((path) => said.get(path) ?? []) };
}

/** A checkpoint that has no digest has a checksum of all that is in it, for which all of it must be held. */
function checkCheckpoint(where: string, { digest }: Metadata, followed: ReturnType<typeof followDigest> | undefined) {
  if (followed !== undefined) followed.check(where, digest);
  else {
    throw new FormatError(
      `${where}: a checkpoint that is read must be one file with a digest, got none: hand its bytes to decodeWeights()`,
    );
  }
}
