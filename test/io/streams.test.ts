// Safetensors files that are read as their bytes come, and files in parts: what decoding gives, without holding anything twice.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adam, compileSync, createEngineSync, dense, meanSquaredError, relu, sequential } from "steepest";
import * as io from "steepest/io";
import { afterAll, describe, expect, test, vi } from "vitest";
import { realDisk } from "../../src/platform/disk.js";

const engine = createEngineSync();
const model = () => sequential({ input: [3] }, dense(40), relu(), dense(2));
const options = () => ({ loss: meanSquaredError(), optimizer: adam(), engine });
const trainer = compileSync(model(), { ...options(), seed: 1 });
const other = compileSync(model(), { ...options(), seed: 2 });
const folder = mkdtempSync(join(tmpdir(), "steepest-streams-"));
const before = other.parameters();
const begun = other.checkpoint();
afterAll(() => {
  trainer.dispose();
  other.dispose();
  engine.dispose();
  rmSync(folder, { recursive: true });
});

const KINDS = {
  wide: { dtype: "F64", shape: [2], data: Float64Array.of(Math.PI, -0) },
  half: { dtype: "F16", shape: [3], data: Float32Array.of(1, 0.5, -2) },
  truth: { dtype: "BOOL", shape: [3], data: Uint8Array.of(1, 0, 1) },
  none: { dtype: "F32", shape: [0, 3], data: new Float32Array(0) },
  large: { dtype: "U32", shape: [2_000], data: Uint32Array.from({ length: 2_000 }, (_, i) => i * i) },
} satisfies Record<string, io.SafetensorsInput>;
const FILE = io.encodeSafetensors(KINDS, { note: "mine" });

/** A stream that gives pieces of so many bytes. */
function streamOf(bytes: Uint8Array, piece: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + piece));
      at += piece;
    },
  });
}

async function* iterated(bytes: Uint8Array) {
  for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100);
}

/** An open file that counts: which memory it is asked to read into, and how often each byte. */
function counting(bytes: Uint8Array, most = Number.POSITIVE_INFINITY) {
  const buffers = new Set<ArrayBufferLike>();
  const counts = new Uint8Array(bytes.length);
  return {
    counts,
    /** All memory that was read into, in bytes. */
    held: () => [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0),
    async stat() {
      return { size: bytes.length };
    },
    async read(to: Uint8Array, offset: number, length: number, position: number) {
      const part = bytes.subarray(position, position + Math.min(length, most));
      to.set(part, offset);
      buffers.add(to.buffer);
      for (let i = 0; i < part.length; i++) (counts[position + i] as number)++;
      return { bytesRead: part.length };
    },
  };
}

describe("what is read is what is decoded", () => {
  const handled = async (bytes: Uint8Array, read: (source: io.FileSource) => Promise<unknown>) => {
    const path = join(folder, "handle");
    writeFileSync(path, bytes);
    const handle = await open(path);
    try {
      return await read(handle as never);
    } finally {
      await handle.close();
    }
  };
  const sources: Record<string, (bytes: Uint8Array<ArrayBuffer>) => io.FileSource> = {
    bytes: (bytes) => bytes,
    "an ArrayBuffer": (bytes) => bytes.slice().buffer,
    "a Blob": (bytes) => new Blob([bytes]),
    "a Response": (bytes) => new Response(bytes),
    "a stream of one byte after another": (bytes) => streamOf(bytes, 1) as never,
    "a stream of large pieces": (bytes) => streamOf(bytes, 5_000) as never,
    "an iterable": (bytes) => iterated(bytes),
    "an open file that gives 7 bytes at once": (bytes) => counting(bytes, 7),
  };

  test.each(Object.entries(sources))("%s", async (_, make) => {
    expect(await io.readSafetensors(make(FILE))).toEqual(io.decodeSafetensors(FILE));
    const whole = io.encodeModel(trainer, { metadata: { note: "mine" }, preprocessing: { scale: 2 } });
    const read = await io.readModel(make(whole));
    const { model: _decoded, ...decoded } = io.decodeModel(whole);
    const { model: _read, ...rest } = read;
    expect(rest).toEqual(decoded);
    expect(rest.metadata).toEqual({ note: "mine" });
    const again = compileSync(read.model, { engine });
    expect(again.parameters()).toEqual(trainer.parameters());
    again.dispose();
    for (const file of [
      io.encodeWeights(trainer, { note: "mine" }, { dtype: "float16" }),
      io.encodeCheckpoint(trainer.checkpoint(), { note: "mine" }),
    ]) {
      const said = await io.readWeights(other, make(file));
      expect(said.metadata).toEqual({ note: "mine" });
      const now = [...other.parameters()];
      expect(io.decodeWeights(other, file)).toEqual(said);
      expect(now).toEqual([...other.parameters()]);
      other.setParameters(before);
    }
  });

  test("an open file of Node, and a path", async () => {
    expect(await handled(FILE, (handle) => io.readSafetensors(handle))).toEqual(io.decodeSafetensors(FILE));
    expect(await io.loadSafetensors(join(folder, "handle"))).toEqual(io.decodeSafetensors(FILE));
    await expect(io.loadSafetensors(folder)).rejects.toThrow(
      /cannot read file .*: this is a folder: name a file in it/,
    );
    await expect(io.loadSafetensors(join(folder, "none"))).rejects.toThrow(/no such file or folder: check the path/);
  });
});

describe("nothing is held twice", () => {
  const whole = io.encodeModel(trainer);
  const headerBytes = 8 + Number(new DataView(whole.buffer).getBigUint64(0, true));

  test("each byte is read once, into memory of the size of the file", async () => {
    for (const read of [
      (source: io.FileSource) => io.readModel(source),
      (source: io.FileSource) => io.readSafetensors(source),
      (source: io.FileSource) => io.readWeights(other, source),
    ]) {
      const source = counting(whole, 64);
      await read(source);
      expect([...new Set(source.counts)]).toEqual([1]);
      // And one byte, which must not be there.
      expect(source.held()).toBeLessThanOrEqual(whole.length + 1);
      other.setParameters(before);
    }
  });

  test("what a model begins with is the memory that was read into", async () => {
    const source = counting(whole);
    const buffers = new Set<ArrayBufferLike>();
    const { read } = source;
    source.read = (to, ...rest) => {
      buffers.add(to.buffer);
      return read(to, ...rest);
    };
    const { model: loaded } = await io.readModel(source);
    for (const [, tensor] of loaded.parameters) {
      expect(buffers.has((tensor.source as { values?: Float32Array }).values?.buffer as ArrayBufferLike)).toBe(true);
    }
  });

  test("the optimizer's state of a checkpoint is passed over, within the room of one piece", async () => {
    const source = counting(io.encodeCheckpoint(trainer.checkpoint()));
    await io.readWeights(other, source);
    other.setParameters(before);
    expect([...new Set(source.counts)]).toEqual([1]);
  });

  test("loadCheckpoint reads each byte once, a tensor at a time, and gives what decodeCheckpoint does", async () => {
    const file = io.encodeCheckpoint(trainer.checkpoint(), { note: "mine" });
    const path = join(folder, "checkpoint");
    writeFileSync(path, file);
    const { open: opens } = realDisk;
    const reads: [position: number, length: number][] = [];
    const opening = vi.spyOn(realDisk, "open").mockImplementation(async (...given) => {
      const handle = await opens(...given);
      const { read } = handle;
      handle.read = (to, offset, length, position) => {
        reads.push([position, length]);
        return read.call(handle, to, offset, length, position);
      };
      return handle;
    });
    try {
      expect(await io.loadCheckpoint(other, path)).toEqual({ note: "mine" });
    } finally {
      opening.mockRestore();
    }
    expect(other.checkpoint()).toEqual(trainer.checkpoint());
    other.restore(begun);
    const { tensors } = io.decodeSafetensors(file);
    const sizes = [...tensors.values()].map(({ data }) => data.byteLength);
    const headBytes = file.length - sizes.reduce((sum, size) => sum + size, 0);
    expect(reads.map(([, length]) => length).filter((length) => length > 0)).toEqual([8, headBytes - 8, ...sizes]);
    expect(reads.reduce((end, [position, length]) => (position === end ? end + length : -1), 0)).toBe(file.length);
    for (const at of [40, headBytes + 3, file.length - 1]) {
      const damaged = file.slice();
      (damaged[at] as number) ^= 1;
      writeFileSync(path, damaged);
      await expect(io.loadCheckpoint(other, path)).rejects.toThrow(io.FormatError);
      expect(other.checkpoint()).toEqual(begun);
    }
    writeFileSync(path, whole);
    await expect(io.loadCheckpoint(other, path)).rejects.toThrow(/must be a checkpoint, got /);
  });

  test("a stream that promises more than it has is refused, with no more allocated than came", async () => {
    const entry = { dtype: "U8", shape: [2 ** 31], data_offsets: [0, 2 ** 31] };
    const header = new TextEncoder().encode(JSON.stringify({ w: entry }));
    const bytes = new Uint8Array(8 + header.length + 1000);
    new DataView(bytes.buffer).setUint32(0, header.length, true);
    bytes.set(header, 8);
    await expect(io.readSafetensors(streamOf(bytes, 50) as never)).rejects.toThrow(
      /its tensors end at byte 2147483648 of the data, the file at byte 1000: the file is truncated/,
    );
    await expect(io.readSafetensors(new Blob([bytes]))).rejects.toThrow(/the file holds 1000 bytes of data/);
    expect(headerBytes).toBeLessThan(whole.length);
  });
});

describe("refused with nothing changed:", () => {
  const refused = async (source: io.FileSource, message: RegExp, kind: new (...given: never[]) => Error) => {
    const error = await io.readWeights(other, source, { name: "w" }).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toMatch(message);
    expect(other.parameters()).toEqual(before);
  };
  const weights = io.encodeWeights(trainer);

  test("each truncation, and more bytes", async () => {
    for (let length = 0; length < weights.length; length += 13) {
      await refused(
        streamOf(weights.slice(0, length), 97) as never,
        /^safetensors file "w": .*truncated/,
        io.FormatError,
      );
      await refused(new Blob([weights.slice(0, length)]), /^safetensors file "w"(: |, tensor .*: )/, io.FormatError);
    }
    const more = Uint8Array.of(...weights, 0);
    await refused(streamOf(more, 97) as never, /tensors must cover all data, .* more follows/, io.FormatError);
    await refused(counting(more), /tensors must cover all data/, io.FormatError);
  });

  test("values that are not those of the checksum, or of the digest", async () => {
    for (const [file, message] of [
      [weights, /^weights "w": its contents must have the checksum/],
      [io.encodeCheckpoint(trainer.checkpoint()), /^weights "w": its bytes must have the digest/],
    ] as const) {
      const damaged = file.slice();
      (damaged[damaged.length - 2] as number) ^= 1;
      await refused(streamOf(damaged, 1_000) as never, message, io.FormatError);
    }
  });

  test("tensors of another model, before any of them is read", async () => {
    for (const [tensors, message] of [
      [{ a: KINDS.large }, /^weights "w": the model needs "0.weight", got a file with/],
      [{ ...Object.fromEntries(trainer.parameters()), a: KINDS.large }, /no such parameters, got .*a.* in the file/],
      [
        { ...Object.fromEntries(trainer.parameters()), "2.bias": { shape: [3], data: new Float32Array(3) } },
        /"2.bias" must be \[2\] for this model, the file has \[3\]/,
      ],
      [
        {
          ...Object.fromEntries(trainer.parameters()),
          "2.bias": { shape: [2], data: new Uint8Array(2), dtype: "BOOL" },
        },
        /"2.bias" must be of numbers, the file has BOOL/,
      ],
    ] as const) {
      const file = io.encodeSafetensors(tensors as never);
      const source = counting(file);
      await refused(source, message, io.FormatError);
      const dataBegin = 8 + Number(new DataView(file.buffer).getBigUint64(0, true));
      expect(source.counts.subarray(dataBegin).every((count) => count === 0)).toBe(true);
    }
  });

  test("what is nothing to read from, or fails", async () => {
    await refused("weights.safetensors" as never, /there are no files here, fetch it/, io.FormatError);
    await refused(
      Promise.resolve(weights) as never,
      /must be something to read bytes from, got .*: await it/,
      io.FormatError,
    );
    await refused({} as never, /give bytes, a Blob, a Response, a stream or an open file/, io.FormatError);
    await refused(new Response(null, { status: 404 }), /must be a success, got status 404/, Error);
    await refused(new Response(null), /the header length takes 8 bytes, got a file of 0/, io.FormatError);
    const used = new Response(weights);
    await used.arrayBuffer();
    await refused(used, /reading it failed, |a stream can be read once/, Error);
    const broken = new ReadableStream({
      pull() {
        throw new Error("the line is dead");
      },
    });
    await refused(broken as never, /reading it failed, the line is dead: fetch or open it again/, Error);
    await refused(
      { ...counting(weights), read: async () => ({ bytesRead: -1 }) },
      /must read at most .* bytes, got/,
      io.FormatError,
    );
    await refused(
      { ...counting(weights), stat: async () => ({ size: 2 ** 33 }) },
      /at most 4294967296 bytes/,
      io.FormatError,
    );
  });

  test("a stream that is left early is cancelled", async () => {
    let isCancelled = false;
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(100).fill(255)),
      cancel() {
        isCancelled = true;
      },
    });
    await refused(endless as never, /the header must not exceed 100000000 bytes/, io.FormatError);
    expect(isCancelled).toBe(true);
  });
});

describe("a file in parts", () => {
  const tensors = Object.fromEntries(
    Array.from({ length: 6 }, (_, i) => [
      `layer.${i}`,
      { shape: [i + 1, 2], data: new Float32Array(2 * i + 2).fill(i) },
    ]),
  );
  const index = (files: ReadonlyMap<string, Uint8Array>) => files.get("model.safetensors.index.json") as Uint8Array;
  const shards = (files: ReadonlyMap<string, Uint8Array>) => (name: string) => files.get(name) as Uint8Array;
  const made = () =>
    new Map<string, Uint8Array<ArrayBuffer>>(
      io.encodeShards(tensors, { maxShardBytes: 60, metadata: { format: "pt" } }),
    );

  test("is what Hugging Face's libraries write", () => {
    const files = made();
    expect([...files.keys()]).toEqual([
      "model-00001-of-00004.safetensors",
      "model-00002-of-00004.safetensors",
      "model-00003-of-00004.safetensors",
      "model-00004-of-00004.safetensors",
      "model.safetensors.index.json",
    ]);
    const { metadata, weight_map: map } = JSON.parse(new TextDecoder().decode(index(files)));
    expect(metadata).toEqual({ format: "pt", total_size: 168 });
    expect(Object.values(map)).toEqual([1, 1, 1, 2, 3, 4].map((part) => `model-0000${part}-of-00004.safetensors`));
    for (const [name, bytes] of files) {
      if (name.endsWith(".json")) continue;
      const part = io.decodeSafetensors(bytes);
      expect(part.metadata).toEqual({ format: "pt" });
      expect([...part.tensors.keys()]).toEqual(Object.keys(map).filter((path) => map[path] === name));
    }
    expect([...io.encodeShards(tensors, { name: "small" })].map(([name]) => name)).toEqual(["small.safetensors"]);
  });

  test("is read, part by part, from a folder and from anywhere", async () => {
    const files = made();
    const wanted = new Map(Object.entries(tensors).map(([path, tensor]) => [path, { dtype: "F32", ...tensor }]));
    const opened: string[] = [];
    const read = await io.readSafetensors(new Blob([made().get("model.safetensors.index.json") as never]), {
      shards: async (name) => {
        opened.push(name);
        return new Response(files.get(name));
      },
    });
    expect(read).toEqual({ tensors: wanted, metadata: { format: "pt" } });
    expect(opened).toEqual([...files.keys()].slice(0, 4));
    for (const [name, bytes] of files) await io.writeFileAtomic(join(folder, name), bytes);
    expect(await io.loadSafetensors(join(folder, "model.safetensors.index.json"))).toEqual(read);
  });

  test("may be weights or a model", async () => {
    const { tensors: all, metadata } = io.decodeSafetensors(io.encodeModel(trainer));
    const files = new Map(io.encodeShards(Object.fromEntries(all), { maxShardBytes: 400, metadata }));
    expect(files.size).toBeGreaterThan(3);
    const { model: loaded } = await io.readModel(index(files), { shards: shards(files) });
    const again = compileSync(loaded, { engine });
    expect(again.parameters()).toEqual(trainer.parameters());
    again.dispose();
    await io.readWeights(other, index(files), { shards: shards(files) });
    expect(other.parameters()).toEqual(trainer.parameters());
    other.setParameters(before);
  });

  const text = (json: object) => new TextEncoder().encode(JSON.stringify(json));
  const other_ = (
    change: (json: { metadata: Record<string, unknown>; weight_map: Record<string, unknown> }) => void,
  ) => {
    const json = JSON.parse(new TextDecoder().decode(index(made())));
    change(json);
    return text(json);
  };
  test.each<[string, Uint8Array, RegExp]>([
    [
      "another total size",
      other_(({ metadata }) => (metadata.total_size = 167)),
      /must have the 167 bytes of "total_size", got 168/,
    ],
    [
      "a size that is none",
      other_(({ metadata }) => (metadata.total_size = "168")),
      /"total_size" must be a count of bytes, got "168"/,
    ],
    ["no map", text({ metadata: {} }), /"weight_map" must be an object of files by tensor, got undefined/],
    ["notes that are none", text({ metadata: [], weight_map: {} }), /"metadata" must be an object, got \[\]/],
    [
      "a tensor that is not in its file",
      other_(({ weight_map: map }) => (map.more = map["layer.0"])),
      /^safetensors file "model-00001-of-00004.safetensors": must have the tensors .*, got none of "?more/,
    ],
    [
      "a tensor that the index does not have",
      other_(({ weight_map: map }) => delete map["layer.1"]),
      /must have the tensors that the index has for it, got "?layer.1"? too/,
    ],
    [
      "a tensor that is in another file",
      other_(({ weight_map: map }) => (map["layer.1"] = map["layer.5"])),
      /must have the tensors that the index has for it, got "?layer.1"? too/,
    ],
    ...["../model.safetensors", "/etc/passwd", "a/b", "a\\b", "..", ".", "", "C:model", "a\0b", 3, null].map(
      (name): [string, Uint8Array, RegExp] => [
        `a file at ${JSON.stringify(name)}`,
        other_(({ weight_map: map }) => (map["layer.0"] = name)),
        /^index of safetensors files, tensor "layer.0": its file must be named without a folder, got /,
      ],
    ),
    ["a tensor twice", new TextEncoder().encode('{"weight_map":{"a":"b","a":"c"}}'), /got "a" twice/],
    ["no JSON", new TextEncoder().encode("{]"), /must be JSON in UTF-8/],
    ["a tensors' file", FILE, /must begin with "\{"/],
  ])("with %s is refused", async (_, bytes, message) => {
    const files = made();
    const reading = io.readSafetensors(bytes, { shards: shards(files) });
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toBeInstanceOf(io.FormatError);
  });

  test("that is not all there is refused by the name of the part", async () => {
    const files = made();
    const cut = new Map(files).set("model-00003-of-00004.safetensors", new Uint8Array(20));
    await expect(io.readSafetensors(index(files), { shards: shards(cut) })).rejects.toThrow(
      /^safetensors file "model-00003-of-00004.safetensors": /,
    );
    cut.delete("model-00003-of-00004.safetensors");
    await expect(io.readSafetensors(index(files), { shards: shards(cut) })).rejects.toThrow(
      /part "model-00003-of-00004.safetensors": must be something to read bytes from, got undefined/,
    );
    const checkpoint = io.decodeSafetensors(io.encodeCheckpoint(trainer.checkpoint()));
    const parts = new Map(
      io.encodeShards(Object.fromEntries(checkpoint.tensors), { maxShardBytes: 400, metadata: checkpoint.metadata }),
    );
    await expect(io.readWeights(other, index(parts), { shards: shards(parts) })).rejects.toThrow(
      /a checkpoint that is read must be one file with a digest/,
    );
  });
});
