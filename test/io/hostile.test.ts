// What a stranger's file can cost: bounded by rule, before anything is made of it.
import { compileSync, createEngineSync, dense, meanSquaredError, SteepestError, sequential, sgd } from "steepest";
import {
  decodeCheckpoint,
  decodeSafetensors,
  decodeWeights,
  encodeCheckpoint,
  encodeSafetensors,
  encodeWeights,
  FormatError,
} from "steepest/io";
import { afterAll, describe, expect, test } from "vitest";

const engine = createEngineSync();
const trainer = compileSync(sequential({ input: [2] }, dense(1)), {
  loss: meanSquaredError(),
  optimizer: sgd(),
  engine,
});
afterAll(() => {
  trainer.dispose();
  engine.dispose();
});

/** A file of this header, with nothing checked. */
function fileOf(header: string): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length);
  new DataView(bytes.buffer).setUint32(0, json.length, true);
  bytes.set(json, 8);
  return bytes;
}

const EMPTY = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}';
const tensors = (count: number) => Array.from({ length: count }, (_, i) => `"${i}":${EMPTY}`).join();
const notes = (count: number) => `"__metadata__":{${Array.from({ length: count }, (_, i) => `"${i}":""`).join()}}`;
const emptyTensors = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${i}`, { shape: [0], data: new Uint8Array(0) }]));
const emptyNotes = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`${i}`, ""]));

const MOST = 65_536;

describe("a header beyond a bound is refused", () => {
  test.each<[string, () => string, RegExp]>([
    ["100,000 tensors", () => `{${`"0123456":${EMPTY},`.repeat(100_000)}}`, /at most 65536 tensors and as many notes/],
    [
      "1,000,000 notes",
      () => `{"__metadata__":{${'"012345":"",'.repeat(1_000_000)}}}`,
      /can hold at most 65536 tensors and as many notes, got more/,
    ],
    ["65,537 tensors", () => `{${tensors(MOST + 1)}}`, /at most 65536 tensors/],
    ["65,537 tensors beside notes", () => `{${notes(1)},${tensors(MOST + 1)}}`, /at most 65536 tensors/],
    ["65,537 notes", () => `{${notes(MOST + 1)}}`, /at most 65536 tensors and as many notes/],
    ["as many fields in a tensor", () => `{"w":{${tensors(MOST + 1)}}}`, /at most 65536 tensors/],
    ["2,000,000 sizes", () => `{"w":{"shape":[${"1,".repeat(2e6)}1]}}`, /at most 1048576 values, got more/],
    ["3,000,000 lists", () => `{"w":[${"[],".repeat(3e6)}[]]}`, /at most 1048576 values, got more/],
    ["lists in lists, 8,000,000 deep", () => `{"w":${"[".repeat(8e6)}`, /at most 16 levels deep, got more/],
    ["objects in objects", () => '{"w":'.repeat(1e6), /at most 16 levels deep, got more/],
  ])("%s", (_, header, message) => {
    const bytes = fileOf(header());
    expect(() => decodeSafetensors(bytes)).toThrow(FormatError);
    expect(() => decodeSafetensors(bytes)).toThrow(message);
  });

  test("by all who read one", () => {
    const bytes = fileOf('{"w":'.repeat(100));
    expect(() => decodeWeights(trainer, bytes)).toThrow(/at most 16 levels deep, got more/);
    expect(() => decodeCheckpoint(bytes)).toThrow(/at most 16 levels deep, got more/);
  });

  test("a shape of more than 64 sizes", () => {
    const entry = `{"dtype":"U8","shape":[0${",1".repeat(64)}],"data_offsets":[0,0]}`;
    expect(() => decodeSafetensors(fileOf(`{"w":${entry}}`))).toThrow(/at most 64 sizes from 0 up, got \[0, 1, 1, /);
  });

  test.each(["[9007199254740991,9007199254740991]", "[0,9007199254740991,9007199254740991]", "[9e15,9e15,0]"])(
    "a shape whose product is beyond all numbers, %s",
    (shape) => {
      const header = `{"w":{"dtype":"F32","shape":${shape},"data_offsets":[0,0]}}`;
      expect(() => decodeSafetensors(fileOf(header))).toThrow(/shape must be countable, got \[/);
    },
  );
});

test("a header at the bounds is read, and the same is written", () => {
  const bytes = encodeSafetensors(emptyTensors(MOST), emptyNotes(MOST));
  const file = decodeSafetensors(bytes);
  expect(file.tensors.size).toBe(MOST);
  expect(Object.keys(file.metadata)).toHaveLength(MOST);
});

describe("what could not be read back is not written", () => {
  const itself: Record<string, unknown> = {};
  itself.self = itself;
  const list: unknown[] = [];
  list.push(list);
  test.each<[string, unknown, RegExp]>([
    ["65,537 notes", emptyNotes(MOST + 1), /metadata can hold at most 65536 notes, got 65537: /],
    [
      "a note of 100 million characters",
      { a: "x".repeat(1e8) },
      /metadata must not exceed 100000000 bytes, got 100000001/,
    ],
    ["notes that hold themselves", itself, /metadata "self" must be text, got \{ self \}/],
    ["a list that holds itself", list, /metadata must be an object of text to text, got \[\[/],
    ["a list with a length of 1e9", new Array(1e9), /metadata must be an object of text to text, got \[undefined, /],
    ["1e8 bytes", new Uint8Array(1e8), /metadata must be an object of text to text, got a Uint8Array of 100000000/],
    ["a text", "spring", /metadata must be an object of text to text, got "spring"/],
    ["a Map", new Map([["a", "b"]]), /metadata must be an object of text to text, got a Map/],
    ["nothing", null, /metadata must be an object of text to text, got null/],
  ])("metadata: %s", (_, metadata, message) => {
    for (const encode of [
      () => encodeWeights(trainer, metadata as never),
      () => encodeCheckpoint(trainer.checkpoint(), metadata as never),
      () => encodeSafetensors({}, metadata as never),
    ]) {
      expect(encode).toThrow(FormatError);
      expect(encode).toThrow(message);
    }
  });

  const data = new Float32Array(1);
  test.each<[string, unknown, RegExp]>([
    ["65,537 of them", emptyTensors(MOST + 1), /a file can hold at most 65536 tensors, got 65537: make several files/],
    ["a shape that holds itself", { w: { shape: list, data } }, /at most 64 sizes from 0 up, got \[\[/],
    ["a shape with a length of 1e9", { w: { shape: new Array(1e9), data } }, /at most 64 sizes from 0 up, got \[undef/],
    ["a shape with a hole", { w: { shape: new Array(1), data } }, /sizes from 0 up, got \[undefined\]/],
    ["nested arrays", { w: { shape: [1], data: [[1]] } }, /data must be one of Uint8Array, .*, got \[\[1\]\]/],
    ["no tensor", { w: null }, /tensor "w": must be an object \{ shape, data \}, got null/],
    ["a Map", new Map(), /tensors must be an object of name to tensor, got a Map: of a Map, take Object.fromEntries/],
    ["a list with a length of 1e9", new Array(1e9), /tensors must be an object of name to tensor, got \[/],
    [
      "too many sizes together",
      Object.fromEntries(
        Array.from({ length: 20_000 }, (_, i) => [i, { shape: new Array(60).fill(1), data: new Uint8Array(1) }]),
      ),
      /the header can hold at most 1048576 values, got more/,
    ],
  ])("tensors: %s", (_, tensors, message) => {
    expect(() => encodeSafetensors(tensors as never)).toThrow(FormatError);
    expect(() => encodeSafetensors(tensors as never)).toThrow(message);
  });

  test.each<[string, (good: ReturnType<typeof trainer.checkpoint>) => unknown, RegExp]>([
    ["nothing", () => undefined, /^encodeCheckpoint: needs a checkpoint with Maps .*, got undefined/],
    ["no Maps", (good) => ({ ...good, parameters: {} }), /needs a checkpoint with Maps/],
    ["broken counts", (good) => ({ ...good, steps: 1.5 }), /steps must be a whole number of at least 0, got 1.5/],
    ["no name", (good) => ({ ...good, optimizer: { slots: new Map() } }), /needs a checkpoint with Maps/],
    [
      "an array that holds itself",
      (good) => ({ ...good, parameters: new Map([["w", { shape: [1], data: list }]]) }),
      /"parameters\/w" must be a path with a Float32Array as data, got \[\[/,
    ],
    [
      "a slot that cannot be read back",
      (good) => ({
        ...good,
        optimizer: {
          name: "sgd",
          slots: new Map([
            ["a/b", good.parameters],
            ["", good.parameters],
          ]),
        },
      }),
      /"optimizer\/\/0.weight" must be a path with a Float32Array as data, got a path or slot that is none/,
    ],
    [
      "NaN",
      (good) => ({ ...good, parameters: new Map([["w", { shape: [1], data: Float32Array.of(Number.NaN) }]]) }),
      /every value must be finite, got NaN in "parameters\/w" at index 0: use an earlier checkpoint/,
    ],
  ])("a checkpoint: %s", (_, change, message) => {
    const encode = () => encodeCheckpoint(change(trainer.checkpoint()) as never);
    expect(encode).toThrow(SteepestError);
    expect(encode).toThrow(message);
  });
});
