import { describe, expect, it } from "vitest";
import {
  decodeSafetensors,
  encodeSafetensors,
  FormatError,
  type SafetensorsInput,
  type SafetensorsTensor,
} from "../../src/io/index.js";

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replace(/\s/g, ""), "hex"));
const utf8 = (text: string) => new TextEncoder().encode(text);

/** A file of this header and this many bytes of data, or these bytes of data, with nothing checked. */
function file(header: string | Uint8Array, data: number | Uint8Array = 0): Uint8Array {
  const json = typeof header === "string" ? utf8(header) : header;
  const values = typeof data === "number" ? new Uint8Array(data) : data;
  const bytes = new Uint8Array(8 + json.length + values.length);
  new DataView(bytes.buffer).setUint32(0, json.length, true);
  bytes.set(json, 8);
  bytes.set(values, 8 + json.length);
  return bytes;
}

const entry = (dtype: string, shape: number[], begin: number, end: number) =>
  JSON.stringify({ dtype, shape, data_offsets: [begin, end] });

/** mulberry32: a small seeded generator of 32-bit integers, so that every run flips the same bytes. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

const many = (message: string): [string, Record<string, unknown>, string] => [
  "100 MB",
  { note: "x".repeat(1e8 - 20) },
  message,
];

const EVERY_KIND = {
  f64: { dtype: "F64", shape: [2], data: Float64Array.of(Math.PI, -0) },
  f32: { dtype: "F32", shape: [2, 2], data: Float32Array.of(1, -0, Number.POSITIVE_INFINITY, Number.NaN) },
  i64: { dtype: "I64", shape: [2], data: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n) },
  u64: { dtype: "U64", shape: [1], data: BigUint64Array.of(2n ** 64n - 1n) },
  i32: { dtype: "I32", shape: [1, 2], data: Int32Array.of(-(2 ** 31), 2 ** 31 - 1) },
  u32: { dtype: "U32", shape: [1], data: Uint32Array.of(2 ** 32 - 1) },
  i16: { dtype: "I16", shape: [2], data: Int16Array.of(-32768, 32767) },
  u16: { dtype: "U16", shape: [1], data: Uint16Array.of(65535) },
  i8: { dtype: "I8", shape: [2], data: Int8Array.of(-128, 127) },
  u8: { dtype: "U8", shape: [3], data: Uint8Array.of(0, 128, 255) },
  bool: { dtype: "BOOL", shape: [3], data: Uint8Array.of(1, 0, 1) },
  scalar: { dtype: "F32", shape: [], data: Float32Array.of(7) },
  empty: { dtype: "F32", shape: [0, 3], data: new Float32Array(0) },
} satisfies Record<string, SafetensorsTensor>;

// Written by the reference implementation, safetensors 0.8.0 for Python:
// save({"b": float32 [1.5, -2], "a": int16 [[1], [2]], "é": int64 7, "mask": bool [1, 0, 1], "z": float32 zeros(0, 3)},
//      {"format": "steepest"})
const REFERENCE = {
  bytes: hex(`
    4001000000000000
    7b225f5f6d657461646174615f5f223a7b22666f726d6174223a227374656570657374227d2c
    22c3a9223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b302c385d7d2c
    2262223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b382c31365d7d2c
    227a223a7b226474797065223a22463332222c227368617065223a5b302c335d2c22646174615f6f666673657473223a5b31362c31365d7d2c
    2261223a7b226474797065223a22493136222c227368617065223a5b322c315d2c22646174615f6f666673657473223a5b31362c32305d7d2c
    226d61736b223a7b226474797065223a22424f4f4c222c227368617065223a5b335d2c22646174615f6f666673657473223a5b32302c32335d7d
    7d 2020
    0700000000000000 0000c03f000000c0 01000200 010001`),
  tensors: {
    é: { dtype: "I64", shape: [], data: BigInt64Array.of(7n) },
    b: { dtype: "F32", shape: [2], data: Float32Array.of(1.5, -2) },
    z: { dtype: "F32", shape: [0, 3], data: new Float32Array(0) },
    a: { dtype: "I16", shape: [2, 1], data: Int16Array.of(1, 2) },
    mask: { dtype: "BOOL", shape: [3], data: Uint8Array.of(1, 0, 1) },
  } satisfies Record<string, SafetensorsTensor>,
  metadata: { format: "steepest" },
};

describe("the bytes of a file", () => {
  // By hand, after https://github.com/huggingface/safetensors#format; 1 is 3f800000 and -2.5 is c0200000 in IEEE 754.
  it("are those of the format's description", () => {
    const header = '{"weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}'; // 61 bytes, so 3 spaces follow
    const bytes = hex(`4000000000000000 ${Buffer.from(header).toString("hex")} 202020 0000803f 000020c0`);
    expect(encodeSafetensors({ weight: { shape: [1, 2], data: Float32Array.of(1, -2.5) } })).toStrictEqual(bytes);
  });

  it("are those of the reference implementation", () => {
    expect(encodeSafetensors(REFERENCE.tensors, REFERENCE.metadata)).toStrictEqual(REFERENCE.bytes);
    const { tensors, metadata } = decodeSafetensors(REFERENCE.bytes);
    expect([...tensors]).toStrictEqual(Object.entries(REFERENCE.tensors));
    expect({ ...metadata }).toStrictEqual(REFERENCE.metadata);
  });

  // safetensors 0.8.0 for Python: save({})
  it("of no tensors are a padded {}", () => {
    expect(encodeSafetensors({})).toStrictEqual(hex("0800000000000000 7b7d 202020202020"));
    expect(encodeSafetensors({}, {})).toStrictEqual(encodeSafetensors({}));
  });

  it("do not depend on the order of keys", () => {
    const reversed = Object.fromEntries(Object.entries(EVERY_KIND).reverse());
    const bytes = encodeSafetensors(EVERY_KIND, { b: "1", a: "2" });
    expect(encodeSafetensors(reversed, { a: "2", b: "1" })).toStrictEqual(bytes);
  });

  // The order in which safetensors 0.8.0 for Python wrote one tensor of each of these dtypes.
  it("hold larger dtypes first, then names in UTF-8 order", () => {
    const { tensors } = decodeSafetensors(encodeSafetensors(EVERY_KIND));
    const order = ["u64", "i64", "f64", "empty", "f32", "scalar", "u32", "i32", "u16", "i16", "i8", "u8", "bool"];
    expect([...tensors.keys()]).toStrictEqual(order);
    const byte = { shape: [1], data: new Uint8Array(1) };
    // U+FFFF is ef bf bf, U+10000 is f0 90 80 80 in UTF-8, yet ffff and d800 dc00 in UTF-16.
    const names = ["", "1", "10", "a", "a0", "aa", "\uffff", "\u{10000}"];
    const shuffled = Object.fromEntries(names.toReversed().map((name) => [name, byte]));
    expect([...decodeSafetensors(encodeSafetensors(shuffled)).tensors.keys()]).toStrictEqual(names);
  });

  it("keep the data at a multiple of 8 whatever the length of the header", () => {
    for (let length = 1; length <= 16; length++) {
      const bytes = encodeSafetensors({ ["x".repeat(length)]: { shape: [], data: Float64Array.of(1) } });
      expect(bytes.length % 8).toBe(0);
    }
  });
});

describe("a round trip", () => {
  it("keeps every kind of tensor", () => {
    const { tensors, metadata } = decodeSafetensors(encodeSafetensors(EVERY_KIND));
    expect(Object.fromEntries(tensors)).toStrictEqual(EVERY_KIND);
    expect(Object.keys(metadata)).toStrictEqual([]);
  });

  it("gives the same bytes again", () => {
    const bytes = encodeSafetensors(EVERY_KIND, { step: "12" });
    const { tensors, metadata } = decodeSafetensors(bytes);
    expect(encodeSafetensors(Object.fromEntries(tensors), metadata)).toStrictEqual(bytes);
  });

  it("keeps the bits of NaN", () => {
    const bits = Uint32Array.of(0x7fc00001, 0xffc12345, 0x7f800001);
    const bytes = encodeSafetensors({ nan: { shape: [3], data: new Float32Array(bits.buffer) } });
    const data = decodeSafetensors(bytes).tensors.get("nan")?.data;
    expect(new Uint32Array(data?.buffer as ArrayBuffer)).toStrictEqual(bits);
  });

  it("takes the part of a buffer that the array shows, and shared memory", () => {
    const floats = new Float32Array(new SharedArrayBuffer(16));
    floats.set([9, 1, 2, 9]);
    const bytes = encodeSafetensors({ x: { shape: [2], data: floats.subarray(1, 3) } });
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length + 3));
    shared.set(bytes, 3);
    const { tensors } = decodeSafetensors(shared.subarray(3));
    expect(tensors.get("x")).toStrictEqual({ dtype: "F32", shape: [2], data: Float32Array.of(1, 2) });
  });

  it("gives data that is independent of the file, also when this is a Buffer", () => {
    const bytes = Buffer.from(encodeSafetensors({ x: { shape: [2], data: Uint8Array.of(1, 2) } }));
    const { tensors } = decodeSafetensors(bytes);
    bytes.fill(0xff);
    expect(tensors.get("x")?.data).toStrictEqual(Uint8Array.of(1, 2));
  });

  it("treats names that mean something to JavaScript as any other name", () => {
    const names = ["__proto__", "constructor", "toString", "hasOwnProperty", 'quo"te\\', "line\nend", "0", ""];
    const tensors = Object.fromEntries(names.map((name, i) => [name, { shape: [], data: Int32Array.of(i) }]));
    const notes = Object.fromEntries(names.map((name, i) => [name, String(i)]));
    const decoded = decodeSafetensors(encodeSafetensors(tensors, notes));
    for (const [i, name] of names.entries()) {
      expect(decoded.tensors.get(name)?.data).toStrictEqual(Int32Array.of(i));
      expect(decoded.metadata[name]).toBe(String(i));
    }
    expect(decoded.tensors.size).toBe(names.length);
    expect(Object.keys(decoded.metadata)).toHaveLength(names.length);
    expect(Object.getPrototypeOf(decodeSafetensors(encodeSafetensors({})).metadata)).toBe(null);
    expect(({} as Record<string, unknown>).shape).toBe(undefined);
  });

  it("is that of the documentation's example", () => {
    const bytes = encodeSafetensors({ bias: { shape: [2], data: Float32Array.of(0.5, -1) } }, { epoch: "3" });
    const { tensors, metadata } = decodeSafetensors(bytes, "model.safetensors");
    expect(tensors.get("bias")).toStrictEqual({ dtype: "F32", shape: [2], data: Float32Array.of(0.5, -1) });
    expect(metadata.epoch).toBe("3");
  });
});

describe("half precision", () => {
  const decode = (dtype: string, halves: Uint16Array) =>
    decodeSafetensors(
      file(`{"h":${entry(dtype, [halves.length], 0, halves.byteLength)}}`, new Uint8Array(halves.buffer)),
    ).tensors.get("h") as SafetensorsTensor;
  const everyHalf = Uint16Array.from({ length: 0x10000 }, (_, i) => i);

  // IEEE 754-2019, table 3.5, binary16: 1, -2, largest, smallest normal, smallest subnormal, infinities, zeros, 1/3.
  it("reads the landmarks of F16", () => {
    const halves = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x7c00, 0xfc00, 0x0000, 0x8000, 0x3555);
    const values = [1, -2, 65504, 2 ** -14, 2 ** -24, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0];
    const { dtype, shape, data } = decode("F16", halves);
    expect({ dtype, shape }).toStrictEqual({ dtype: "F16", shape: [10] });
    expect(data).toStrictEqual(Float32Array.of(...values, 0.333251953125));
  });

  it("reads all 65536 values of F16 by its formula", () => {
    const values = Float32Array.from(everyHalf, (half) => {
      const [sign, exponent, fraction] = [half >> 15 ? -1 : 1, (half >> 10) & 31, (half & 1023) / 1024];
      if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
      return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
    });
    expect(decode("F16", everyHalf).data).toStrictEqual(values);
  });

  // https://en.wikipedia.org/wiki/Bfloat16_floating-point_format, "Examples"
  it("reads the landmarks of BF16", () => {
    const halves = Uint16Array.of(0x3f80, 0xc000, 0x7f7f, 0x0080, 0x7f80, 0xff80, 0x0000, 0x8000, 0x4049, 0x3eab);
    const largest = 255 * 2 ** 120;
    const { dtype, data } = decode("BF16", halves);
    expect(dtype).toBe("BF16");
    expect(data).toStrictEqual(
      Float32Array.of(1, -2, largest, 2 ** -126, Infinity, -Infinity, 0, -0, 3.140625, 0.333984375),
    );
  });
});

describe("encodeSafetensors refuses", () => {
  const one = Float32Array.of(1);
  it.each<[string, Record<string, unknown>, string]>([
    [
      "a shape that is too large",
      { w: { shape: [2], data: one } },
      'tensor "w": shape [2] has 2 elements, got data of 1',
    ],
    ["a shape that is too small", { w: { shape: [0], data: one } }, "shape [0] has 0 elements, got data of 1"],
    [
      "a negative size",
      { w: { shape: [-1, -1], data: one } },
      "shape must be a list of at most 64 sizes from 0 up, got [-1, -1]",
    ],
    [
      "a broken size",
      { w: { shape: [0.5, 2], data: one } },
      "shape must be a list of at most 64 sizes from 0 up, got [0.5, 2]",
    ],
    ["no shape", { w: { data: one } }, "shape must be a list of at most 64 sizes from 0 up, got undefined"],
    [
      "a dtype of other arrays",
      { w: { dtype: "I32", shape: [1], data: one } },
      'a Float32Array is written as F32, got dtype "I32"',
    ],
    [
      "F16 of other floats",
      { w: { dtype: "F16", shape: [1], data: Float64Array.of(1) } },
      'a Float64Array is written as F64, got dtype "F16": leave dtype out',
    ],
    [
      "a value too large for F16",
      { w: { dtype: "F16", shape: [2], data: Float32Array.of(65504, -65520) } },
      'tensor "w": values must be 65504 at most for F16, got -65520 at index 1: take BF16 or F32',
    ],
    [
      "BOOL of floats",
      { w: { dtype: "BOOL", shape: [1], data: one } },
      'a Float32Array is written as F32, got dtype "BOOL"',
    ],
    ["a BOOL of 2", { w: { dtype: "BOOL", shape: [2], data: Uint8Array.of(0, 2) } }, "BOOL data must be 0 or 1"],
    ["a plain array", { w: { shape: [1], data: [1] } }, "data must be one of Uint8Array, "],
    [
      "a clamped array",
      { w: { shape: [1], data: new Uint8ClampedArray(1) } },
      "got a Uint8ClampedArray of 1: copy it into one",
    ],
    ["the name of the notes", { __metadata__: { shape: [1], data: one } }, "this name is kept for the file's notes"],
    ["half a surrogate pair", { "a\ud800": { shape: [1], data: one } }, "name must be well-formed text"],
  ])("%s", (_, tensors, message) => {
    const encode = () => encodeSafetensors(tensors as unknown as Record<string, SafetensorsInput>);
    expect(encode).toThrow(FormatError);
    expect(encode).toThrow(message);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["a number", { epoch: 3 }, 'metadata "epoch" must be text, got 3: write String(value)'],
    ["half a surrogate pair", { note: "\udc00" }, 'metadata "note" must be well-formed text'],
    ["a key with half a surrogate pair", { "\udc00": "" }, "name must be well-formed text"],
    // Takes seconds.
    ...(process.env.STEEPEST_EXHAUSTIVE === "1"
      ? [many("the header must not exceed 100000000 bytes, got 10000000")]
      : []),
  ])("metadata of %s", (_, metadata, message) => {
    const encode = () => encodeSafetensors({}, metadata as Record<string, string>);
    expect(encode).toThrow(FormatError);
    expect(encode).toThrow(message);
  });
});

describe("decodeSafetensors accepts", () => {
  it("a header without padding, with other white space, and fields of later versions", () => {
    const header = '{ "w" : {"data_offsets":[0,1],"shape":[1],"dtype":"U8","later":{"dtype":1}} }\r\n\t ';
    const { tensors } = decodeSafetensors(file(header, Uint8Array.of(5)));
    expect([...tensors]).toStrictEqual([["w", { dtype: "U8", shape: [1], data: Uint8Array.of(5) }]]);
  });

  it("tensors in any order, at odd offsets, and empty ones anywhere", () => {
    const entries = [
      `"last":${entry("F32", [1], 3, 7)}`,
      `"mid":${entry("I16", [1], 1, 3)}`,
      `"none":${entry("F64", [0], 3, 3)}`,
      `"first":${entry("U8", [1], 0, 1)}`,
    ];
    const { tensors } = decodeSafetensors(file(`{${entries.join()}}`, hex("05 0201 0000803f")));
    expect([...tensors]).toStrictEqual([
      ["first", { dtype: "U8", shape: [1], data: Uint8Array.of(5) }],
      ["mid", { dtype: "I16", shape: [1], data: Int16Array.of(0x102) }],
      ["none", { dtype: "F64", shape: [0], data: new Float64Array(0) }],
      ["last", { dtype: "F32", shape: [1], data: Float32Array.of(1) }],
    ]);
  });

  it("the same key in different objects, and values that look like keys", () => {
    const header = `{"__metadata__":{"a":"a","b":"a","dtype":"\\"a\\":"},"a":${entry("U8", [0], 0, 0)}}`;
    expect({ ...decodeSafetensors(file(header)).metadata }).toStrictEqual({ a: "a", b: "a", dtype: '"a":' });
  });
});

describe("decodeSafetensors refuses", () => {
  const length = (bytes: string) => hex(`${bytes} 7b7d`);
  const tensor = (fields: string, data = 4) => file(`{"w":{${fields}}}`, data);
  const F32 = '"dtype":"F32"';
  const depth = 200_000;
  const deep = `${"[".repeat(depth)}${"]".repeat(depth)}`;

  it.each<[string, Uint8Array, string | RegExp]>([
    ["half a length", hex("02000000000000"), "the header length takes 8 bytes, got a file of 7: the file is truncated"],
    ["100,000,001 bytes of header", length("01e1f50500000000"), "must not exceed 100000000 bytes, got 100000001"],
    ["half a header of 100,000,000 bytes", length("00e1f50500000000"), "takes 100000000 bytes, got 2 after"],
    ["2^63 bytes of header", length("0000000000000080"), "must not exceed 100000000 bytes, got 9223372036854775808"],
    ["half a header", length("0300000000000000"), "the header takes 3 bytes, got 2 after its length"],
    ["no header", length("0000000000000000"), 'the header must begin with "{"'],
    ["a length alone", hex("0000000000000000"), 'the header must begin with "{"'],
    ["white space first", file(" {}"), 'the header must begin with "{"'],
    ["a list", file("[]"), 'the header must begin with "{"'],
    ["bad JSON", file("{"), "the header must be JSON in UTF-8"],
    ["bad UTF-8", file(hex("7b 22 ff 22 3a 31 7d")), "the header must be JSON in UTF-8"],
    ["zeros as padding", file("{}\0\0"), "the header must be JSON in UTF-8"],
    ["a tensor twice", file(`{"w":${entry("U8", [1], 0, 1)},"w":${entry("U8", [1], 0, 1)}}`, 1), '"w" twice'],
    [
      "a tensor twice, spelt apart",
      file(`{"w":${entry("U8", [], 0, 1)},"\\u0077" :${entry("U8", [], 0, 1)}}`, 1),
      '"w" twice',
    ],
    ["a field twice", tensor(`${F32},${F32},"shape":[],"data_offsets":[0,4]`), '"dtype" twice'],
    ["a note twice", file('{"__metadata__":{"a\\\\":"1","b":"a","a\\\\":"2"}}'), '"a\\\\" twice'],
    ["a key with a quote twice", file('{"__metadata__":{"a\\":":"1","a\\":":"2"}}'), '"a\\":" twice'],
    ["all notes twice", file('{"__metadata__":{},"__metadata__":{}}'), '"__metadata__" twice'],
    ["notes that are null", file('{"__metadata__":null}'), "__metadata__ must be an object, got null"],
    ["notes in a list", file('{"__metadata__":["a"]}'), '__metadata__ must be an object, got ["a"]'],
    ["a number as note", file('{"__metadata__":{"a":1}}'), '__metadata__ must map text to text, got "a": 1'],
    ["an object as note", file('{"__metadata__":{"a":{}}}'), '__metadata__ must map text to text, got "a": {}'],
    ["half a surrogate pair as note", file('{"__metadata__":{"a":"\\ud800"}}'), "__metadata__ must map text to text"],
    ["half a surrogate pair as key", file('{"__metadata__":{"\\ud800":""}}'), "__metadata__ must map text to text"],
    ["half a surrogate pair as name", file(`{"\\udfff":${entry("U8", [0], 0, 0)}}`), "a name must be well-formed text"],
    [
      "a tensor that is null",
      file('{"w":null}'),
      'tensor "w": must be an object with dtype, shape and data_offsets, got null',
    ],
    ["a tensor that is a list", file('{"w":[1,[2]]}'), "data_offsets, got [1, [2]]"],
    ["a tensor that is text", file('{"w":"F32"}'), 'data_offsets, got "F32"'],
    ["no dtype", tensor('"shape":[],"data_offsets":[0,4]'), /dtype must be one of BOOL, .*, U64, got undefined/],
    [
      "an unknown dtype",
      tensor('"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]'),
      'got "F8_E4M3": convert the tensor',
    ],
    ["a dtype from a prototype", tensor('"dtype":"constructor","shape":[4],"data_offsets":[0,4]'), 'got "constructor"'],
    ["a dtype that is a number", tensor('"dtype":4,"shape":[4],"data_offsets":[0,4]'), "dtype must be one of"],
    ["a dtype in a list", tensor('"dtype":["F32"],"shape":[1],"data_offsets":[0,4]'), 'got ["F32"]'],
    [
      "no shape",
      tensor(`${F32},"data_offsets":[0,4]`),
      "shape must be a list of at most 64 sizes from 0 up, got undefined",
    ],
    ["a negative size", tensor(`${F32},"shape":[-1,-1],"data_offsets":[0,4]`), "sizes from 0 up, got [-1, -1]"],
    ["minus zero", tensor(`${F32},"shape":[-0],"data_offsets":[0,0]`, 0), "sizes from 0 up"],
    ["a broken size", tensor(`${F32},"shape":[0.5,2],"data_offsets":[0,4]`), "sizes from 0 up, got [0.5, 2]"],
    ["a size that is text", tensor(`${F32},"shape":["1"],"data_offsets":[0,4]`), 'sizes from 0 up, got ["1"]'],
    ["a size beyond 2^53", tensor(`${F32},"shape":[9007199254740992,0],"data_offsets":[0,0]`, 0), "sizes from 0 up"],
    [
      "sizes beyond 2^53 together",
      tensor(`${F32},"shape":[4294967296,4294967296,0],"data_offsets":[0,0]`, 0),
      "countable",
    ],
    [
      "bytes beyond 2^53",
      tensor(`${F32},"shape":[4503599627370496,0],"data_offsets":[0,0]`, 0),
      "shape must be countable",
    ],
    ["no offsets", tensor(`${F32},"shape":[]`), "data_offsets must be two counts of bytes, got undefined"],
    ["one offset", tensor(`${F32},"shape":[],"data_offsets":[0]`), "must be two counts of bytes, got [0]"],
    ["three offsets", tensor(`${F32},"shape":[],"data_offsets":[0,4,8]`), "must be two counts of bytes, got [0, 4, 8]"],
    [
      "a negative offset",
      tensor(`${F32},"shape":[],"data_offsets":[-4,0]`),
      "must be two counts of bytes, got [-4, 0]",
    ],
    ["an offset that is text", tensor(`${F32},"shape":[],"data_offsets":["0",4]`), "must be two counts of bytes"],
    [
      "data past the end",
      tensor(`${F32},"shape":[2],"data_offsets":[0,8]`),
      "its data ends at byte 8, the file holds 4 bytes",
    ],
    [
      "offsets in reverse",
      tensor(`${F32},"shape":[1],"data_offsets":[4,0]`),
      "F32 [1] takes 4 bytes, data_offsets [4, 0] hold -4",
    ],
    [
      "too few bytes",
      tensor(`${F32},"shape":[2],"data_offsets":[0,4]`),
      "F32 [2] takes 8 bytes, data_offsets [0, 4] hold 4",
    ],
    ["a scalar without bytes", tensor(`${F32},"shape":[],"data_offsets":[0,0]`, 0), "F32 [] takes 4 bytes"],
    [
      "an overlap",
      file(`{"a":${entry("U8", [4], 0, 4)},"b":${entry("U8", [4], 2, 6)}}`, 6),
      '"b" begins at byte 2 of the data, not at 4 (an overlap)',
    ],
    ["the same bytes twice", file(`{"a":${entry("U8", [4], 0, 4)},"b":${entry("U8", [4], 0, 4)}}`, 4), "(an overlap)"],
    [
      "a hole",
      file(`{"a":${entry("U8", [2], 0, 2)},"b":${entry("U8", [2], 4, 6)}}`, 6),
      '"b" begins at byte 4 of the data, not at 2 (a hole)',
    ],
    ["a hole in front", file(`{"a":${entry("U8", [2], 1, 3)}}`, 3), "(a hole)"],
    [
      "an empty tensor past the end of others",
      file(`{"a":${entry("U8", [2], 0, 2)},"b":${entry("U8", [0], 1, 1)}}`, 2),
      "(an overlap)",
    ],
    [
      "bytes that follow",
      tensor(`${F32},"shape":[],"data_offsets":[0,4]`, 5),
      "tensors must cover all data, they end at byte 4 of 5",
    ],
    ["data without tensors", file("{}", 1), "they end at byte 0 of 1"],
    [
      "a deep shape",
      tensor(`${F32},"shape":${deep},"data_offsets":[0,4]`),
      "the header must be at most 16 levels deep, got more",
    ],
    ["a deep tensor", file(`{"w":${deep}}`), "at most 16 levels deep"],
    ["a deep object", file(`${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`), "at most 16 levels deep"],
    [
      "a list of many sizes",
      tensor(`${F32},"shape":[${"9,".repeat(20)}1.5],"data_offsets":[0,4]`),
      "got [9, 9, 9, 9, 9, 9, …]:",
    ],
    ["a long name, shortly", file(`{"${"x".repeat(1000)}":1}`), `tensor "${"x".repeat(60)}…": must be`],
  ])("%s", (_, bytes, message) => {
    expect(() => decodeSafetensors(bytes, "m")).toThrow(FormatError);
    expect(() => decodeSafetensors(bytes, "m")).toThrow(message);
    expect(() => decodeSafetensors(bytes, "m")).toThrow(/^safetensors file "m"[:,] /);
  });

  it("without a name, too", () => {
    expect(() => decodeSafetensors(new Uint8Array(0))).toThrow(/^safetensors file: /);
  });

  it("every truncation, with a FormatError", () => {
    const bytes = encodeSafetensors(EVERY_KIND, { format: "steepest" });
    for (const whole of [bytes, REFERENCE.bytes]) {
      for (let length = 0; length < whole.length; length++) {
        expect(() => decodeSafetensors(whole.slice(0, length)), `${length} bytes`).toThrow(FormatError);
      }
    }
  });
});

describe("damaged files", () => {
  const whole = encodeSafetensors(EVERY_KIND, { format: "steepest" });
  const random = seeded(20_240_607);

  function decodesOrRefuses(bytes: Uint8Array): "valid" | "refused" {
    try {
      for (const { shape, data } of decodeSafetensors(bytes).tensors.values()) {
        if (data.length !== shape.reduce((a, b) => a * b, 1))
          throw new Error(`[${shape}] holds ${data.length} elements`);
      }
      return "valid";
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return "refused";
    }
  }

  it("of 30,000 random changes are refused or valid", () => {
    const outcomes = { valid: 0, refused: 0 };
    for (let trial = 0; trial < 30_000; trial++) {
      const bytes = whole.slice();
      const headerOnly = trial % 3 > 0; // most changes of the data alone are valid
      for (let flips = 1 + (random() % 3); flips > 0; flips--) {
        const at = random() % (headerOnly ? 1100 : bytes.length);
        bytes[at] = trial % 2 ? random() & 0xff : (bytes[at] as number) ^ (1 << (random() & 7));
      }
      outcomes[decodesOrRefuses(bytes)]++;
    }
    expect(outcomes.valid).toBeGreaterThan(1000);
    expect(outcomes.refused).toBeGreaterThan(10_000);
  });

  it("that exchange one token of the header are refused or valid", () => {
    const headerEnd = 8 + new DataView(whole.buffer).getUint32(0, true);
    const tokens = new TextDecoder().decode(whole.subarray(8, headerEnd)).match(/"[^"]*"|\d+|./g) ?? [];
    const strange = [
      "null",
      "-1",
      "1e3",
      "1e999",
      "9007199254740993",
      "[]",
      "{}",
      '"__proto__"',
      '"shape"',
      "",
      "[[0]]",
    ];
    for (let trial = 0; trial < 5000; trial++) {
      const changed = [...tokens];
      const pool = trial % 2 ? strange : tokens;
      changed[random() % changed.length] = pool[random() % pool.length] as string;
      decodesOrRefuses(file(changed.join(""), whole.slice(headerEnd)));
    }
  });
});
