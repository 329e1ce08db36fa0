// A file in parts, as Hugging Face has it: `model.safetensors.index.json` says which part has which tensor.
import { showNames, showValue } from "../engine/errors.js";
import { integer, type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { placeOf } from "./bytes.js";
import { FormatError } from "./formatError.js";
import { MAX_HEADER_BYTES, parseHeader } from "./header.js";
import { isObject, isText } from "./layout.js";
import { checkMetadata, type Metadata } from "./metadata.js";
import { checkArray, checkTensors, elementBytes, encodeSafetensors, type SafetensorsInput } from "./safetensors.js";
import { type SequentialReader, takeAll } from "./sources.js";
import { readHead, readTensors, type TensorTaker } from "./tensorStream.js";

/** Opens a part by its name. */
export type OpenShard = (name: string) => Promise<SequentialReader>;

export interface ShardOptions {
  /** How many bytes the tensors of a part may have. One tensor that has more is a part of its own. Default 2^31. */
  maxShardBytes?: number;
  /** What the names of all files begin with. Default `"model"`. */
  name?: string;
  /** Notes to keep in each file, text to text. Default none. */
  metadata?: Metadata;
}

const WHERE = "encodeShards";

const OPTIONS = {
  maxShardBytes: integer(2 ** 31, { min: 1, max: 2 ** 32 - 1 - MAX_HEADER_BYTES }),
  name: (where, _name, value = "model") => checkFileName(where, value),
  metadata: unchecked<Metadata | undefined>(),
} satisfies OptionsOf<ShardOptions>;

/**
 * Writes tensors as several safetensors files and their index, as Hugging Face's libraries do and read it:
 * `model-00001-of-00002.safetensors`, `model-00002-of-00002.safetensors`, and at last `model.safetensors.index.json`. What fits into one
 * file is `model.safetensors`, without an index. Each file is made when it is asked for.
 *
 * @param tensors Name to tensor, as `encodeSafetensors` takes them. They are in the files in this order.
 * @throws {FormatError} What `encodeSafetensors` throws.
 * @example
 * const tensors = { a: { shape: [1], data: Float32Array.of(1) }, b: { shape: [1], data: Float32Array.of(2) } };
 * for (const [name, bytes] of encodeShards(tensors, { maxShardBytes: 4 })) console.log(name, bytes.length);
 */
export function encodeShards(
  tensors: Readonly<Record<string, SafetensorsInput>>,
  options: ShardOptions = {},
): IterableIterator<[name: string, bytes: Uint8Array<ArrayBuffer>]> {
  checkTensors(WHERE, tensors);
  const { maxShardBytes, name, metadata = {} } = readOptions(WHERE, options, OPTIONS);
  checkMetadata(WHERE, metadata);
  const sizes = Object.entries(tensors).map(([path, tensor]) => {
    const dtype = checkArray(`${WHERE}: tensor ${showValue(path)}`, tensor);
    return [path, elementBytes(dtype) * tensor.data.length] as const;
  });
  return filesOf(tensors, partsOf(sizes, maxShardBytes), name, metadata);
}

interface Part {
  readonly paths: string[];
  sizeBytes: number;
}

/** Tensors in their order, as many in a part as fit. */
function partsOf(sizes: readonly (readonly [path: string, sizeBytes: number])[], maxShardBytes: number): Part[] {
  const parts: Part[] = [];
  for (const [path, sizeBytes] of sizes) {
    const last = parts.at(-1);
    if (last !== undefined && last.sizeBytes + sizeBytes <= maxShardBytes) {
      last.paths.push(path);
      last.sizeBytes += sizeBytes;
    } else parts.push({ paths: [path], sizeBytes });
  }
  return parts;
}

function* filesOf(
  tensors: Readonly<Record<string, SafetensorsInput>>,
  parts: readonly Part[],
  name: string,
  metadata: Metadata,
): Generator<[name: string, bytes: Uint8Array<ArrayBuffer>], void> {
  if (parts.length <= 1) {
    yield [`${name}.safetensors`, encodeSafetensors(tensors, metadata)];
    return;
  }
  const number = (index: number) => String(index).padStart(5, "0");
  const places: [path: string, file: string][] = [];
  for (const [index, { paths }] of parts.entries()) {
    const file = `${name}-${number(index + 1)}-of-${number(parts.length)}.safetensors`;
    for (const path of paths) places.push([path, file]);
    yield [file, encodeSafetensors(Object.fromEntries(paths.map((path) => [path, tensors[path]])), metadata)];
  }
  places.sort(([a], [b]) => (a < b ? -1 : 1));
  const totalBytes = parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const index = { metadata: { ...metadata, total_size: totalBytes }, weight_map: Object.fromEntries(places) };
  yield [`${name}.safetensors.index.json`, new TextEncoder().encode(`${JSON.stringify(index, undefined, 2)}\n`)];
}

/** What an index says. */
interface ShardIndex {
  readonly metadata: Metadata;
  readonly totalBytes: number | undefined;
  /** The names of tensors by file. */
  readonly files: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Reads the parts that an index names, one after another. Each is opened when the one before has been read. */
export async function readShards(
  kind: string,
  name: string | undefined,
  reader: SequentialReader,
  open: OpenShard,
  taker: TensorTaker,
): Promise<void> {
  const where = placeOf(`index of ${kind}s`, name);
  const { metadata, totalBytes, files } = indexOf(where, await takeAll(reader, where, MAX_HEADER_BYTES));
  taker.begin(
    metadata,
    [...files.values()].flatMap((names) => [...names]),
  );
  let foundBytes = 0;
  for (const [file, names] of files) {
    const at = placeOf(kind, file);
    const shard = await open(file);
    try {
      const opened = await readHead(at, shard);
      checkTensorsOf(
        at,
        opened.entries.map((entry) => entry.name),
        names,
      );
      foundBytes += opened.entries.at(-1)?.end ?? 0;
      await readTensors(at, shard, opened, taker);
    } finally {
      await shard.close();
    }
  }
  if (totalBytes === undefined || totalBytes === foundBytes) return;
  throw new FormatError(
    `${where}: all tensors must have the ${totalBytes} bytes of "total_size", got ${foundBytes}: take the index of these files`,
  );
}

/** Exactly the tensors that the index has for a file. A tensor that is in two files is too many in one of them. */
function checkTensorsOf(where: string, found: readonly string[], wanted: ReadonlySet<string>): void {
  const names = new Set(found);
  const extra = found.filter((name) => !wanted.has(name));
  const missing = [...wanted].filter((name) => !names.has(name));
  if (extra.length === 0 && missing.length === 0) return;
  const got = extra.length > 0 ? `${showNames(extra)} too` : `none of ${showNames(missing)}`;
  throw new FormatError(
    `${where}: must have the tensors that the index has for it, got ${got}: take the index of these files`,
  );
}

function indexOf(where: string, bytes: Uint8Array): ShardIndex {
  const { metadata = {}, weight_map: map } = parseHeader(bytes, where);
  if (!isObject(map)) {
    throw new FormatError(
      `${where}: "weight_map" must be an object of files by tensor, got ${showValue(map)}: take the index that came with the files`,
    );
  }
  const files = new Map<string, Set<string>>();
  for (const [tensor, file] of Object.entries(map)) {
    checkFileName(`${where}, tensor ${showValue(tensor)}`, file);
    const names = files.get(file as string) ?? new Set();
    files.set(file as string, names.add(tensor));
  }
  if (!isObject(metadata)) {
    throw new FormatError(`${where}: "metadata" must be an object, got ${showValue(metadata)}: leave it out`);
  }
  const { total_size: total } = metadata;
  if (total !== undefined && !(Number.isSafeInteger(total) && (total as number) >= 0)) {
    throw new FormatError(
      `${where}: "total_size" must be a count of bytes, got ${showValue(total)}: take it out of the index`,
    );
  }
  // Others have numbers there; notes are text.
  const notes = Object.entries(metadata).filter(([key, value]) => isText(key) && isText(value));
  const own: Record<string, string> = Object.create(null);
  for (const [key, value] of notes) own[key] = value as string;
  return { metadata: own, totalBytes: total as number | undefined, files };
}

/** A part is beside its index, and nowhere else. */
function checkFileName(where: string, name: unknown): string {
  if (isText(name) && /^[^/\\:\0]{1,255}$/.test(name) && !/^\.{1,2}$/.test(name)) return name;
  throw new FormatError(
    `${where}: its file must be named without a folder, got ${showValue(name)}: all files must be in one folder`,
  );
}
