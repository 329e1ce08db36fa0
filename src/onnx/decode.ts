// An ONNX file as a model. The bytes may come from anybody: every length is held against what is there before anything is made
// of it, so that no more memory is taken than the file has bytes, and a little for each of its parts.

import { anyFile } from "../io/anyFile.js";
import { FormatError } from "../io/formatError.js";
import { bfloat16ToFloat32, float16ToFloat32 } from "../io/halves.js";
import {
  type Attribute,
  ELEMENTS,
  type ElementName,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
} from "./schema.js";
import { type Reader, WIRE, type WireLibrary } from "./wire.js";

// Graphs in graphs, as bodies of loops are.
const MAX_DEPTH = 16;

/** Before, attributes had no types. */
const OLDEST_FORMAT = 3;

/** A field of a message, as the file has it. */
interface Field {
  readonly number: number;
  readonly wire: number;
  readonly reader: Reader;
  /** Where its bytes end, if it has a length. */
  readonly end: number;
}

/** Kinds of attributes, in the order of their types. */
const ATTRIBUTES = ["f", "i", "s", "t", "g", "floats", "ints", "strings"] as const;

/** Of those that no operator here takes. */
const LAST_TYPE = 14;

type Kind = (typeof ATTRIBUTES)[number];

/** What is 0, or a list of none, may be left out of the file. */
const ZEROS: Readonly<Partial<Record<Kind, unknown>>> = { f: 0, i: 0, s: "", floats: [], ints: [], strings: [] };

interface Found {
  f?: number;
  i?: number;
  s?: string;
  t?: OnnxTensor;
  g?: OnnxGraph;
  floats?: number[];
  ints?: number[];
  strings?: string[];
}

function listIn<Name extends "floats" | "ints" | "strings">(found: Found, name: Name): NonNullable<Found[Name]> {
  found[name] ??= [];
  return found[name] as NonNullable<Found[Name]>;
}

const shown = (name: string): string => JSON.stringify(name.slice(0, 80));

/** Sequences, maps, optional and sparse tensors: fields of a type beside tensors. */
const OTHER_TYPES: readonly number[] = [4, 5, 7, 8, 9];

class Decoder {
  private depth = 0;

  constructor(private readonly where: string) {}

  error(rule: string, got: unknown): FormatError {
    return new FormatError(`${this.where}: ${rule}, got ${got}`);
  }

  /** Goes over the fields of a message that ends at `end`. */
  fields(reader: Reader, end: number, take: (field: Field) => void): void {
    while (reader.pos < end) {
      const tag = reader.readVarint();
      const [number, wire] = [Math.floor(tag / 8), tag % 8];
      if (number === 0 || tag >= 2 ** 32) throw this.error("a field must have a number from 1 to 2^29 - 1", number);
      const start = reader.pos;
      const next = this.endOf(reader, wire, end);
      const isLong = wire === WIRE.bytes;
      const from = isLong ? reader.pos : start;
      reader.pos = from;
      take({ number, wire, reader, end: next });
      reader.pos = next;
    }
    if (reader.pos !== end) throw this.error("a message must end where its last field does", "a field that goes on");
  }

  /** Where the value that begins here ends; of bytes, the reader is put behind the length. */
  private endOf(reader: Reader, wire: number, end: number): number {
    let next = reader.pos;
    if (wire === WIRE.varint) {
      reader.readVarint();
      next = reader.pos;
    } else if (wire === WIRE.bytes) next = this.length(reader, end) + reader.pos;
    else if (wire === WIRE.fixed64) next += 8;
    else if (wire === WIRE.fixed32) next += 4;
    else throw this.error("a field must have a type of protocol buffers", wire);
    if (next > end) throw this.error("a field must end within its message", `${next - end} bytes too many`);
    return next;
  }

  private length(reader: Reader, end: number): number {
    const length = reader.readVarint();
    if (Number.isSafeInteger(length) && length >= 0 && reader.pos + length <= end) return length;
    throw this.error("a length must be within the file", length);
  }

  whole(field: Field, isSigned = true): number {
    if (field.wire !== WIRE.varint) throw this.error("a whole number must be stored as one", `wire type ${field.wire}`);
    const value = field.reader.readVarint(isSigned);
    if (Number.isSafeInteger(value)) return value;
    // Ends of slices are as far as can be.
    return value < 0 ? -Number.MAX_SAFE_INTEGER : Number.MAX_SAFE_INTEGER;
  }

  /** One number of a list, or many in one field. */
  wholes(field: Field, into: number[], isSigned = true): void {
    if (field.wire !== WIRE.bytes) {
      into.push(this.whole(field, isSigned));
      return;
    }
    const { reader, end } = field;
    while (reader.pos < end) into.push(this.whole({ ...field, wire: WIRE.varint }, isSigned));
    if (reader.pos !== end) throw this.error("a list of numbers must end with a number", "a part of one");
  }

  /** A number that is alone. */
  private single(field: Field): number {
    if (field.wire !== WIRE.fixed32) throw this.error("a number must be stored as one", `wire type ${field.wire}`);
    return field.reader.readFloat();
  }

  /** The one message of a field. */
  private once<T>(before: T | undefined, field: Field, decode: (reader: Reader, end: number) => T): T {
    if (before !== undefined) throw this.error("a message must be there once", `field ${field.number} twice`);
    return this.message(field, decode);
  }

  floats(field: Field, into: number[], size: 4 | 8 = 4): void {
    const { reader, wire, end } = field;
    const each = () => (size === 4 ? reader.readFloat() : reader.readDouble());
    if (wire === (size === 4 ? WIRE.fixed32 : WIRE.fixed64)) into.push(each());
    else if (wire !== WIRE.bytes || (end - reader.pos) % size !== 0)
      throw this.error("a list of numbers must be whole", "a part of one");
    else while (reader.pos < end) into.push(each());
  }

  bytes({ wire, reader, end }: Field): Uint8Array {
    if (wire !== WIRE.bytes) throw this.error("bytes must have a length", `wire type ${wire}`);
    return reader.buf.subarray(reader.pos, end);
  }

  text(field: Field): string {
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(this.bytes(field));
    } catch {
      throw this.error("text must be UTF-8", "other bytes");
    }
  }

  message<T>(field: Field, decode: (reader: Reader, end: number) => T): T {
    if (field.wire !== WIRE.bytes) throw this.error("a message must have a length", `wire type ${field.wire}`);
    if (++this.depth > MAX_DEPTH * 4) throw this.error(`messages must be at most ${MAX_DEPTH} deep`, "more");
    const result = decode(field.reader, field.end);
    this.depth--;
    return result;
  }

  model(reader: Reader, end: number): OnnxModel {
    let graph: OnnxGraph | undefined;
    let [irVersion, producer] = [0, ""];
    const opsets: Record<string, number> = {};
    this.fields(reader, end, (field) => {
      if (field.number === 1) irVersion = this.whole(field);
      else if (field.number === 2) producer = this.text(field);
      else if (field.number === 7) graph = this.once(graph, field, (r, to) => this.graph(r, to, true));
      else if (field.number === 8)
        Object.assign(
          opsets,
          this.message(field, (r, to) => this.opset(r, to)),
        );
    });
    if (graph === undefined) throw this.error("the file must have a graph", "none: is it an ONNX file?");
    if (irVersion < OLDEST_FORMAT)
      throw this.error(`the version of the format must be at least ${OLDEST_FORMAT}`, irVersion);
    return { producer, irVersion, opsets, graph, metadata: {} };
  }

  private opset(reader: Reader, end: number): Record<string, number> {
    let [domain, version] = ["", 0];
    this.fields(reader, end, (field) => {
      if (field.number === 1) domain = this.text(field);
      else if (field.number === 2) version = this.whole(field);
    });
    // "ai.onnx" is the long name of the same.
    return { [domain === "ai.onnx" ? "" : `${domain}`]: version };
  }

  /** A graph within another need not say what its inputs and outputs are. */
  private graph(reader: Reader, end: number, isTyped = false): OnnxGraph {
    const nodes: OnnxNode[] = [];
    const initializers: OnnxTensor[] = [];
    const [inputs, outputs]: OnnxValue[][] = [[], []];
    let name = "";
    this.fields(reader, end, (field) => {
      if (field.number === 1) nodes.push(this.message(field, (r, to) => this.node(r, to)));
      else if (field.number === 2) name = this.text(field);
      else if (field.number === 5) initializers.push(this.message(field, (r, to) => this.tensor(r, to)));
      else if (field.number === 11) inputs.push(this.message(field, (r, to) => this.value(r, to, isTyped)));
      else if (field.number === 12) outputs.push(this.message(field, (r, to) => this.value(r, to, isTyped)));
      else if (field.number === 15) throw this.error("initializers must be dense", "a sparse one");
    });
    return { name, nodes, initializers, inputs, outputs };
  }

  private node(reader: Reader, end: number): OnnxNode {
    const [inputs, outputs]: string[][] = [[], []];
    const attributes = new Map<string, Attribute>();
    let [name, type, domain] = ["", "", ""];
    this.fields(reader, end, (field) => {
      if (field.number === 1) inputs.push(this.text(field));
      else if (field.number === 2) outputs.push(this.text(field));
      else if (field.number === 3) name = this.text(field);
      else if (field.number === 4) type = this.text(field);
      else if (field.number === 5) this.message(field, (r, to) => this.attribute(r, to, attributes));
      else if (field.number === 7) domain = this.text(field);
    });
    return { name, type, domain, inputs, outputs, attributes: Object.fromEntries(attributes) };
  }

  private attribute(reader: Reader, end: number, into: Map<string, Attribute>): void {
    const found: Found = {};
    let [name, type] = ["", 0];
    this.fields(reader, end, (field) => {
      if (field.number === 1) name = this.text(field);
      else if (field.number === 2) found.f = this.single(field);
      else if (field.number === 3) found.i = this.whole(field);
      else if (field.number === 4) found.s = this.text(field);
      else if (field.number === 5) found.t = this.once(found.t, field, (r, to) => this.tensor(r, to));
      else if (field.number === 6) found.g = this.once(found.g, field, (r, to) => this.graph(r, to));
      else if (field.number === 7) this.floats(field, listIn(found, "floats"));
      else if (field.number === 8) this.wholes(field, listIn(found, "ints"));
      else if (field.number === 9) listIn(found, "strings").push(this.text(field));
      else if (field.number === 20) type = this.whole(field);
    });
    if (name === "" || into.has(name)) throw this.error("attributes must have names of their own", shown(name));
    if (!(type >= 1 && type <= LAST_TYPE)) throw this.error(`the attribute ${shown(name)} must have a type`, type);
    const kind = ATTRIBUTES[type - 1];
    const value = kind && { [kind]: ZEROS[kind], ...found };
    if (Object.keys(found).some((one) => one !== kind) || (value && value[kind] === undefined))
      throw this.error(`the attribute ${shown(name)} must hold what its type says`, Object.keys(found).join(" and "));
    if (value !== undefined) into.set(name, value as unknown as Attribute);
  }

  private value(reader: Reader, end: number, isTyped: boolean): OnnxValue {
    let name = "";
    let type: Pick<OnnxValue, "type" | "dims"> | undefined;
    this.fields(reader, end, (field) => {
      if (field.number === 1) name = this.text(field);
      else if (field.number === 2) type = this.once(type, field, (r, to) => this.type(r, to));
    });
    if (type === undefined && isTyped) throw this.error("inputs and outputs must have a type", shown(name));
    return { name, type: "float", dims: undefined, ...type };
  }

  private type(reader: Reader, end: number): Pick<OnnxValue, "type" | "dims"> {
    let found: Pick<OnnxValue, "type" | "dims"> | undefined;
    this.fields(reader, end, (field) => {
      if (field.number === 1) found = this.once(found, field, (r, to) => this.tensorType(r, to));
      else if (OTHER_TYPES.includes(field.number))
        throw this.error("inputs and outputs must be tensors", "another type");
    });
    if (found === undefined) throw this.error("inputs and outputs must be tensors", "another type");
    return found;
  }

  private tensorType(reader: Reader, end: number): Pick<OnnxValue, "type" | "dims"> {
    let type = 0;
    let dims: (number | string | undefined)[] | undefined;
    this.fields(reader, end, (field) => {
      if (field.number === 1) type = this.whole(field);
      else if (field.number === 2) dims = this.once(dims, field, (r, to) => this.sizes(r, to));
    });
    return { type: this.element(type), dims };
  }

  private sizes(reader: Reader, end: number): (number | string | undefined)[] {
    const sizes: (number | string | undefined)[] = [];
    this.fields(reader, end, (dim) => {
      if (dim.number === 1) sizes.push(this.message(dim, (inner, last) => this.size(inner, last)));
    });
    return sizes;
  }

  private size(reader: Reader, end: number): number | string | undefined {
    let size: number | string | undefined;
    this.fields(reader, end, (field) => {
      if (field.number === 1) size = this.whole(field);
      else if (field.number === 2) size = this.text(field);
    });
    return size;
  }

  private element(number: number): ElementName {
    const found = (Object.keys(ELEMENTS) as ElementName[]).find((name) => ELEMENTS[name] === number);
    if (found !== undefined) return found;
    throw this.error("elements must be of a type that is known here", `number ${number}`);
  }

  private tensor(reader: Reader, end: number): OnnxTensor {
    const dims: number[] = [];
    const lists = new Map<number, number[]>();
    let [name, number] = ["", 0];
    let raw: Uint8Array | undefined;
    this.fields(reader, end, (field) => {
      if (field.number === 1) this.wholes(field, dims);
      else if (field.number === 2) number = this.whole(field);
      else if (field.number === 8) name = this.text(field);
      else if (field.number === 9) raw = this.bytes(field);
      else if (LISTS.includes(field.number)) {
        const list = lists.get(field.number) ?? [];
        lists.set(field.number, list);
        this.listed(field, list);
      } else if (field.number === 13 || (field.number === 14 && this.whole(field) === 1)) {
        throw this.error(
          "all data must be in the file itself",
          `data of ${shown(name)} elsewhere: save it as one file`,
        );
      }
    });
    const type = this.element(number);
    const count = this.count(name, dims);
    const own = lists.get(listOf(type)) ?? [];
    const used = [...lists].filter(([, list]) => list.length > 0).map(([field]) => field);
    if (used.some((field) => field !== listOf(type)) || (raw !== undefined && used.length > 0))
      throw this.error(
        `elements of ${shown(name)} must be in the one field for ${type}`,
        `fields ${[...used, ...(raw ? [9] : [])]}`,
      );
    const data = raw === undefined ? this.ofList(name, type, own) : this.fromRaw(name, type, raw);
    if (data.length === count) return { name, dims, type, data };
    throw this.error(`${shown(name)} [${dims}] must have ${count} elements`, data.length);
  }

  private listed(field: Field, into: number[]): void {
    if (field.number === FLOATS || field.number === DOUBLES) this.floats(field, into, field.number === FLOATS ? 4 : 8);
    else this.wholes(field, into, field.number !== UNSIGNED);
  }

  private count(name: string, dims: readonly number[]): number {
    const count = dims.reduce((product, size) => (size >= 0 ? product * size : Number.NaN), 1);
    if (Number.isSafeInteger(count) && dims.length <= 64) return count;
    throw this.error(`sizes of ${shown(name)} must be those of a tensor`, `[${dims.slice(0, 8)}]`);
  }

  private ofList(name: string, type: ElementName, numbers: readonly number[]): Float32Array | Float64Array {
    if (type === "float" || type === "double") return Float32Array.from(numbers);
    const [least, most] = RANGES[type] ?? [-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];
    const wrong = numbers.find((one) => one < least || one > most);
    if (wrong !== undefined) throw this.error(`elements of ${shown(name)} must be ${type}`, wrong);
    if (type === "float16") return float16ToFloat32(Uint16Array.from(numbers));
    if (type === "bfloat16") return bfloat16ToFloat32(Uint16Array.from(numbers));
    return Float64Array.from(numbers);
  }

  private fromRaw(name: string, type: ElementName, raw: Uint8Array): Float32Array | Float64Array {
    const size = SIZES[type];
    if (size === 0) throw this.error(`${shown(name)} must hold numbers`, type);
    if (raw.length % size !== 0) throw this.error(`bytes of ${shown(name)} must be whole elements`, raw.length);
    if (type === "float16") return float16ToFloat32(new Uint16Array(new Uint8Array(raw).buffer));
    if (type === "bfloat16") return bfloat16ToFloat32(new Uint16Array(new Uint8Array(raw).buffer));
    const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
    const count = raw.length / size;
    const data = type === "float" || type === "double" ? new Float32Array(count) : new Float64Array(count);
    const read = READERS[type];
    for (let index = 0; index < count; index++) data[index] = read(view, index * size);
    return data;
  }
}

// Fields of a tensor that are lists of elements.
const [FLOATS, WHOLES, LONGS, DOUBLES, UNSIGNED] = [4, 5, 7, 10, 11];
const LISTS: readonly number[] = [FLOATS, WHOLES, LONGS, DOUBLES, UNSIGNED];

/** The one for a type. */
function listOf(type: ElementName): number {
  if (type === "float") return FLOATS;
  if (type === "double") return DOUBLES;
  if (type === "int64") return LONGS;
  return type === "uint32" || type === "uint64" ? UNSIGNED : WHOLES;
}

/** What is listed as wider numbers than it is. Halves are listed as their bits. */
const RANGES: Readonly<Partial<Record<ElementName, readonly [least: number, most: number]>>> = {
  ...{ bool: [0, 1], int8: [-(2 ** 7), 2 ** 7 - 1], uint8: [0, 2 ** 8 - 1], int16: [-(2 ** 15), 2 ** 15 - 1] },
  ...{ uint16: [0, 2 ** 16 - 1], float16: [0, 2 ** 16 - 1], bfloat16: [0, 2 ** 16 - 1] },
  ...{ int32: [-(2 ** 31), 2 ** 31 - 1], uint32: [0, 2 ** 32 - 1] },
};

/** Bytes of an element; 0 for what is no number. */
const SIZES: Readonly<Record<ElementName, number>> = {
  ...{ float: 4, double: 8, float16: 2, bfloat16: 2, bool: 1, string: 0 },
  ...{ int8: 1, uint8: 1, int16: 2, uint16: 2, int32: 4, uint32: 4, int64: 8, uint64: 8 },
};

const READERS: Readonly<Record<Exclude<ElementName, "float16" | "bfloat16">, (view: DataView, at: number) => number>> =
  {
    float: (view, at) => view.getFloat32(at, true),
    double: (view, at) => view.getFloat64(at, true),
    bool: (view, at) => Number(view.getUint8(at) !== 0),
    string: () => Number.NaN,
    int8: (view, at) => view.getInt8(at),
    uint8: (view, at) => view.getUint8(at),
    int16: (view, at) => view.getInt16(at, true),
    uint16: (view, at) => view.getUint16(at, true),
    int32: (view, at) => view.getInt32(at, true),
    uint32: (view, at) => view.getUint32(at, true),
    int64: (view, at) => Number(view.getBigInt64(at, true)),
    uint64: (view, at) => Number(view.getBigUint64(at, true)),
  };

/** Throws FormatError if the bytes are no ONNX file that can be read here. */
export function decodeModel(where: string, { PbfReader }: WireLibrary, bytes: Uint8Array): OnnxModel {
  const decoder = new Decoder(where);
  try {
    return decoder.model(new PbfReader(bytes), bytes.length);
  } catch (error) {
    const found = anyFile(bytes);
    if (found !== undefined && !/ONNX/.test(found))
      throw new FormatError(`${where}: the bytes must be an ONNX file, got ${found}`, { cause: error });
    if (error instanceof FormatError) throw error;
    // What the library says of numbers that have no end.
    throw new FormatError(`${where}: the bytes must be an ONNX file, got others`, { cause: error });
  }
}
