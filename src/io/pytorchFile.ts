// PyTorch's own files, as `torch.save` writes them since version 1.6: a zip archive with a pickle that says what is where, and
// the bytes of each tensor's storage.
import { showValue } from "../engine/errors.js";
import { notThisFile } from "./anyFile.js";
import { bytesOf, type FileBytes, placeOf, rowMajor } from "./bytes.js";
import { FormatError } from "./formatError.js";
import { elementCount, type SafetensorsDtype } from "./layout.js";
import { isMap, type PickledGlobal, type PickledStorage, readPickle } from "./pickle.js";
import { elementBytes, type SafetensorsTensor, tensorOf } from "./safetensors.js";
import { readZip, storedBytes, type ZipEntry } from "./zip.js";

const STORAGES: Readonly<Record<string, SafetensorsDtype>> = {
  ...{ "torch.FloatStorage": "F32", "torch.DoubleStorage": "F64", "torch.HalfStorage": "F16" },
  ...{ "torch.BFloat16Storage": "BF16", "torch.LongStorage": "I64", "torch.IntStorage": "I32" },
  ...{ "torch.ShortStorage": "I16", "torch.CharStorage": "I8", "torch.ByteStorage": "U8", "torch.BoolStorage": "BOOL" },
};

const DICT = "collections.OrderedDict";
const TENSOR = "torch._utils._rebuild_tensor_v2";
const PARAMETER = "torch._utils._rebuild_parameter";

/** A tensor in the pickle. */
interface Pickled {
  readonly tensor: readonly unknown[];
}

/**
 * Reads the tensors of a file that `torch.save` wrote, by name; of dicts within dicts "model.0.weight". Numbers and text between
 * them are left out. No code of the file is run: what names anything but dicts and tensors is refused by name, so save a
 * `state_dict()`, not a module.
 *
 * @param name The file's name, for error messages only.
 * @throws {FormatError} If the bytes are no such file, or one that would run code.
 * @example
 * const read = async (trainer, path) => fromPyTorch(trainer, decodePyTorch(await readFileBytes(path), path));
 */
export function decodePyTorch(bytes: FileBytes, name?: string): Map<string, SafetensorsTensor> {
  const where = placeOf("PyTorch file", name);
  const file = bytesOf(where, bytes);
  const entries = readZip(where, file);
  const pickle = [...entries.values()].find((entry) => /^[^/]*\/data\.pkl$/.test(entry.name));
  if (pickle === undefined) {
    const remedy = "save it with torch.save() of version 1.6 or later";
    throw notThisFile(where, "an archive with a data.pkl", file, remedy);
  }
  const folder = pickle.name.slice(0, -"data.pkl".length);
  checkVersion(where, storedBytes(where, entryOf(where, entries, `${folder}version`)));
  const order = entries.get(`${folder}byteorder`);
  if (order !== undefined && new TextDecoder().decode(new Uint8Array(storedBytes(where, order))) !== "little") {
    throw new FormatError(`${where}: numbers must be little-endian, got others: save the file on another machine`);
  }
  const root = readPickle(where, storedBytes(where, pickle), {
    knows: (global) => [DICT, TENSOR, PARAMETER].includes(global) || Object.hasOwn(STORAGES, global),
    call(global, args): unknown {
      if (global === DICT && args.length === 0) return new Map();
      if (global === TENSOR) return { tensor: args } satisfies Pickled;
      if (global === PARAMETER) return args[0];
      throw new FormatError(
        `${where}: a pickle must make nothing but dicts and tensors, got ${global}: save a state_dict`,
      );
    },
  });
  const tensors = new Map<string, SafetensorsTensor>();
  const storages = new Map<string, Uint8Array>();
  const bytesFor = (key: string): Uint8Array => {
    const known = storages.get(key) ?? storedBytes(where, entryOf(where, entries, `${folder}data/${key}`));
    storages.set(key, known);
    return known;
  };
  collect(where, root, "", tensors, bytesFor);
  return tensors;
}

/** A number of PyTorch's format of archives: it has been from 1 to 10, and is written in the first of the lines. */
function checkVersion(where: string, bytes: Uint8Array): void {
  const text = new TextDecoder().decode(new Uint8Array(bytes));
  if (/^(?:[1-9]|10)\n?$/.test(text)) return;
  throw new FormatError(
    `${where}: its version must be a number from 1 to 10, got ${showValue(text)}: it is damaged, or of a later PyTorch`,
  );
}

function entryOf(where: string, entries: ReadonlyMap<string, ZipEntry>, name: string): ZipEntry {
  const entry = entries.get(name);
  if (entry !== undefined) return entry;
  throw new FormatError(`${where}: the archive must have ${showValue(name)}, got none: the file is damaged`);
}

// Deeper than any state_dict, so that one in itself ends.
const MAX_DEPTH = 32;

function collect(
  where: string,
  value: unknown,
  path: string,
  tensors: Map<string, SafetensorsTensor>,
  bytesFor: (key: string) => Uint8Array,
  depth = 0,
): void {
  const { tensor } = (value ?? {}) as Partial<Pickled>;
  if (tensor !== undefined) tensors.set(path, tensorFor(`${where}: ${showValue(path)}`, tensor, bytesFor));
  if (!isMap(value)) return;
  if (depth > MAX_DEPTH)
    throw new FormatError(`${where}: dicts must be at most ${MAX_DEPTH} deep, got more: the file is damaged`);
  for (const [key, one] of value) {
    const next = path === "" ? String(key) : `${path}.${String(key)}`;
    if (typeof key === "string" || typeof key === "number") collect(where, one, next, tensors, bytesFor, depth + 1);
  }
}

// Storage, offset, shape, strides, requires_grad, hooks; PyTorch 2 adds metadata.
const TENSOR_ARGUMENTS = [6, 7];
/** "storage", its class, the name of its record, where it was, how many elements. */
const STORAGE_PARTS = 5;

/** The arguments: storage, offset, shape, strides, … in elements. */
function tensorFor(where: string, args: readonly unknown[], bytesFor: (key: string) => Uint8Array): SafetensorsTensor {
  const [storage, offset, shape, strides] = args;
  const { persistent } = (storage ?? {}) as Partial<PickledStorage>;
  const parts = (Array.isArray(persistent) ? persistent : []) as unknown[];
  const [kind, type, key, , available] = parts;
  const { global = "" } = (type ?? {}) as Partial<PickledGlobal>;
  const isStrided = Array.isArray(shape) && Array.isArray(strides) && strides.length === shape.length;
  const numbers = isStrided ? [offset, available, ...strides] : [];
  const isWhole = isStrided && numbers.every((one) => Number.isSafeInteger(one) && (one as number) >= 0);
  const isStorage = kind === "storage" && parts.length === STORAGE_PARTS && Object.hasOwn(STORAGES, global);
  if (!isStorage || typeof key !== "string" || !isWhole || !TENSOR_ARGUMENTS.includes(args.length)) {
    throw new FormatError(`${where}: must be a tensor of a storage, got ${showValue(shape)}: the file is damaged`);
  }
  const dtype = STORAGES[global];
  const size = elementBytes(dtype);
  const count = elementCount(shape, where);
  const whole = bytesFor(key);
  if ((available as number) * size > whole.length) {
    throw new FormatError(
      `${where}: its storage must have ${available} elements of ${size} bytes, got ${whole.length} bytes: the file is damaged`,
    );
  }
  const bytes = whole.subarray(0, (available as number) * size);
  const last = (offset as number) + shape.reduce((sum, one, axis) => sum + Math.max(one - 1, 0) * strides[axis], 0);
  if (count > 0 && ((last + 1) * size > bytes.length || count * size > bytes.length)) {
    throw new FormatError(
      `${where}: must be within its storage of ${bytes.length} bytes, got ${count} elements of ${size}: save a copy of it, by clone()`,
    );
  }
  const raw = rowMajor(bytes, { shape, strides, size, offset: offset as number });
  return tensorOf(dtype, [...shape], raw.buffer);
}
