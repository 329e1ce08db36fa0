// Valid files with bytes that a disk or a transfer has changed: refused, or read as what was saved.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { adam, compileSync, createEngineSync, crossEntropy, dense, relu, sequential } from "steepest";
import {
  decodeCheckpoint,
  decodeSafetensors,
  decodeWeights,
  encodeCheckpoint,
  encodeSafetensors,
  encodeWeights,
  FormatError,
  loadCheckpoint,
  parseIdx,
  writeFileAtomic,
} from "steepest/io";
import { afterAll, describe, expect, test } from "vitest";
import { checksumOf } from "../../src/io/checksum.js";
import { blobs, lehmer } from "../train/blobs.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const model = sequential({ input: [2] }, dense(4, { name: "__proto__" }), relu(), dense(3));
const make = (seed: number) => compileSync(model, { loss: crossEntropy(), optimizer: adam(), seed, engine });
const trained = make(1);
trained.fitSync(blobs(50), { epochs: 2 });
const saved = trained.checkpoint();
const other = make(2);
const before = other.parameters();

/** Written by the version before: sequential({ input: [2] }, dense(1)) with sgd({ momentum: 0.9 }), after two steps. */
const BEFORE_DIGESTS =
  "8AEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJjaGVja3BvaW50IjoiMSIsImNoZWNrc3VtIjoiODJlMDY1Y2QiLCJlcG9jaHMiOiIxIiwiZm9ybWF0Ijoic3RlZXBlc3QiLCJub3RlIjoib2xkIiwib3B0aW1pemVyIjoic2dkIiwicG9zaXRpb24iOiJ7XCJwYXNzZXNcIjoxLFwib3BlblwiOltdfSIsInNlZWQiOiI3Iiwic3RlcHMiOiIyIn0sIm9wdGltaXplci92ZWxvY2l0eS8wLmJpYXMiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzFdLCJkYXRhX29mZnNldHMiOlswLDRdfSwib3B0aW1pemVyL3ZlbG9jaXR5LzAud2VpZ2h0Ijp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlsyLDFdLCJkYXRhX29mZnNldHMiOls0LDEyXX0sInBhcmFtZXRlcnMvMC5iaWFzIjp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlsxXSwiZGF0YV9vZmZzZXRzIjpbMTIsMTZdfSwicGFyYW1ldGVycy8wLndlaWdodCI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbMiwxXSwiZGF0YV9vZmZzZXRzIjpbMTYsMjRdfX0gICAgICAgVJBGvzKS1r8u7RzAXkw6PCv45z1KNso+";
const OLD_BIAS = 0.011370746418833733;

/** Each byte in turn: one bit turned, and another byte in its place. Returns how many were taken. */
function damage(file: Uint8Array, read: (bytes: Uint8Array, at: number) => void): number {
  const random = lehmer(11);
  let taken = 0;
  for (let at = 0; at < file.length; at++) {
    for (const turned of [1 << Math.floor(random() * 8), 1 + Math.floor(random() * 255)]) {
      const bytes = file.slice();
      (bytes[at] as number) ^= turned;
      try {
        read(bytes, at);
        taken += 1;
      } catch (error) {
        if (!(error instanceof FormatError)) throw new Error(`byte ${at} ^ ${turned}: ${error}`, { cause: error });
      }
    }
  }
  return taken;
}

const byPath = (values: Iterable<readonly [string, unknown]>) => [...values].sort(([a], [b]) => (a < b ? -1 : 1));

const parts = ({ steps, epochs, seed, position, parameters, optimizer }: typeof saved) =>
  JSON.stringify([
    [steps, epochs, seed, position, optimizer.name],
    byPath(parameters),
    byPath(optimizer.slots).map(([slot]) => [slot, byPath(optimizer.slots.get(slot) ?? [])]),
  ]);

describe("every byte of a valid file changed", () => {
  test("weights: refused with nothing changed, or the same values", () => {
    const file = encodeWeights(trained, { note: "of mine" });
    const good = trained.parameters();
    const taken = damage(file, (bytes) => {
      try {
        decodeWeights(other, bytes);
      } catch (error) {
        expect(other.parameters()).toEqual(before);
        throw error;
      }
      expect(other.parameters()).toEqual(good);
      other.setParameters(before);
    });
    expect(taken).toBeLessThan(100); // white space, and letters of keys that are no longer known
  });

  test("checkpoints: refused, whatever the byte was for", () => {
    const file = encodeCheckpoint({ ...saved, callbacks: { mine: [1, "two"] } }, { note: "of mine" });
    expect(damage(file, (bytes) => void decodeCheckpoint(bytes))).toBe(0);
    expect(damage(file, (bytes) => void decodeWeights(other, bytes))).toBe(0);
    expect(other.parameters()).toEqual(before);
  });

  test("checkpoints: each bit turned, each truncation, more bytes, two pieces in the wrong order", () => {
    const file = encodeCheckpoint(saved);
    const refuse = (bytes: Uint8Array) => expect(() => decodeCheckpoint(bytes)).toThrow(FormatError);
    for (let at = 0; at < file.length; at++) {
      for (let bit = 1; bit < 256; bit <<= 1) {
        (file[at] as number) ^= bit;
        refuse(file);
        (file[at] as number) ^= bit;
      }
      refuse(file.subarray(0, at));
    }
    refuse(Uint8Array.of(...file, 0));
    const swapped = file.slice();
    swapped.copyWithin(file.length - 16, file.length - 32, file.length - 16);
    swapped.set(file.subarray(file.length - 16), file.length - 32);
    refuse(swapped);
    expect(parts(decodeCheckpoint(file))).toBe(parts(saved));
  });

  test("a truncation of either", () => {
    for (const file of [encodeWeights(trained), encodeCheckpoint(saved)]) {
      for (let length = 0; length < file.length; length += 7) {
        expect(() => decodeWeights(other, file.subarray(0, length))).toThrow(FormatError);
      }
    }
    expect(other.parameters()).toEqual(before);
  });

  // The format has no checksum, so a changed element is another element, and no more than that.
  test.each([
    ["uint8", 8, 1],
    ["int8", 9, 1],
    ["int16", 11, 2],
    ["int32", 12, 4],
    ["float32", 13, 4],
    ["float64", 14, 8],
  ])("IDX of %s: refused, or all other elements the same", (_, code, size) => {
    const random = lehmer(code);
    const data = Uint8Array.from({ length: 15 * size }, () => random() * 256);
    const file = Uint8Array.of(0, 0, code, 2, 0, 0, 0, 3, 0, 0, 0, 5, ...data);
    const good = parseIdx(file);
    damage(file, (bytes, at) => {
      const { type, shape, data } = parseIdx(bytes);
      expect(data.length).toBe(shape.reduce((product, size) => product * size, 1));
      if (type !== good.type) return expect(at).toBe(2);
      for (let i = 0; i < data.length; i++) {
        if (i !== Math.floor((at - 12) / size)) expect(Object.is(data[i], good.data[i])).toBe(true);
      }
    });
  });
});

describe("the digest of a checkpoint", () => {
  test("is the CRC-32 of zip, over all bytes but itself", () => {
    const file = Buffer.from(encodeCheckpoint(saved, { note: "of mine" }));
    const { digest } = decodeSafetensors(file).metadata;
    const at = file.indexOf(`"digest":"${digest}"`) + 10;
    file.write("00000000", at, "latin1");
    expect(digest).toBe(crc32(file).toString(16).padStart(8, "0"));
  });

  test("is looked for within the file, also of bytes in the midst of others, and of shared ones", () => {
    const file = encodeCheckpoint(saved);
    const shared = new Uint8Array(new SharedArrayBuffer(file.length + 7)).subarray(3, 3 + file.length);
    shared.set(file);
    expect(parts(decodeCheckpoint(shared))).toBe(parts(saved));
  });

  test("files that were written before there was one are read, and refused by their checksum if they are damaged", async () => {
    const old = Uint8Array.from(Buffer.from(BEFORE_DIGESTS, "base64"));
    const { steps, epochs, seed, parameters, metadata, callbacks } = decodeCheckpoint(old);
    expect([steps, epochs, seed, metadata, callbacks]).toEqual([2, 1, 7, { note: "old" }, undefined]);
    expect([...(parameters.get("0.bias")?.data ?? [])]).toEqual([OLD_BIAS]);
    (old[old.length - 1] as number) ^= 1;
    expect(() => decodeCheckpoint(old)).toThrow(/must have the checksum/);
    const folder = mkdtempSync(join(tmpdir(), "steepest-damage-"));
    try {
      await writeFileAtomic(join(folder, "old"), old);
      await expect(loadCheckpoint(other, join(folder, "old"))).rejects.toThrow(/must have the checksum/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("the checksum", () => {
  const contents = () => ({ tensors: new Map(saved.parameters), metadata: { b: "1", a: "ü" } });

  test("is that of zip, over names, shapes, values and notes in order", () => {
    const { tensors, metadata } = contents();
    let crc = 0;
    for (const name of [...tensors.keys()].sort()) {
      const { shape, data } = tensors.get(name) as { shape: number[]; data: Float32Array };
      crc = crc32(JSON.stringify([name, shape]), crc);
      crc = crc32(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), crc);
    }
    for (const note of Object.entries(metadata).sort()) crc = crc32(JSON.stringify(note), crc);
    expect(checksumOf({ tensors, metadata })).toBe(crc.toString(16).padStart(8, "0"));
  });

  test("does not depend on the order", () => {
    const { tensors, metadata } = contents();
    const reversed = new Map([...tensors].reverse());
    const notes = Object.fromEntries(Object.entries(metadata).reverse());
    expect(checksumOf({ tensors: reversed, metadata: notes })).toBe(checksumOf({ tensors, metadata }));
  });

  test("files without one, and of other tools, are read; values that were changed under one are not", () => {
    const { tensors, metadata } = decodeSafetensors(encodeWeights(trained));
    const { checksum, ...rest } = metadata;
    const changed = Object.fromEntries(trained.parameters());
    changed["2.bias"] = { shape: [3], data: Float32Array.of(1, 2, 3) };
    for (const notes of [rest, {}, { checksum: "of another tool" }])
      decodeWeights(other, encodeSafetensors(changed, notes));
    expect(other.parameters().get("2.bias")?.data).toEqual(Float32Array.of(1, 2, 3));
    decodeWeights(other, encodeSafetensors(Object.fromEntries(tensors), metadata));
    expect(other.parameters()).toEqual(trained.parameters());
    expect(() => decodeWeights(other, encodeSafetensors(changed, metadata), "m")).toThrow(
      new RegExp(`^weights "m": its contents must have the checksum "${checksum}" of its notes, got "[0-9a-f]{8}": `),
    );
    expect(other.parameters()).toEqual(trained.parameters());
  });
});
