// The build's pass over the wide kernels: which loops take two rounds at once, and that they do what they did.
import { beforeAll, describe, expect, test } from "vitest";
import { compile, instantiate } from "./compile.js";

type Note = (name: string, refusal: string | undefined) => void;
const { pairVectors }: { pairVectors(bytes: Uint8Array, note?: Note): Uint8Array<ArrayBuffer> } = await import(
  new URL("../../scripts/pairVectors.mjs", import.meta.url).href
);

type Loop = (y: number, x: number, n: number) => void;

const PAIRED = ["whileLoop", "doLoop", "carried"];
const LEFT = {
  throughMemory: "a round that loads what the one before stored",
  overlapping: "a round that loads what the one before stored",
  oneAddress: "a step of 0",
  numbers: "f32.store",
  untilLoaded: "a condition that loads",
  byNumber: "a step of 4",
};
const [X, Y] = [0x20000, 0x40000];

let before: Record<string, Loop> & { memory: WebAssembly.Memory };
let after: typeof before;
/** Why loops were left, "" for those that were not. */
let refusals: string[];

beforeAll(async () => {
  const bytes = await compile("pairs.entry.ts", "strict");
  refusals = [];
  before = instantiate(bytes);
  after = instantiate(pairVectors(bytes, (_, refusal = "") => refusals.push(refusal)));
});

test("loops are paired if nothing in them forbids it", () => {
  expect(refusals.sort()).toEqual([...PAIRED.map(() => ""), ...Object.values(LEFT)].sort());
});

describe.each([...PAIRED, ...Object.keys(LEFT)])("%s", (name) => {
  test.each([
    ["apart", Y],
    ["in place", X],
  ])("gives the same bits, buffers %s", (_, y) => {
    for (let n = 0; n <= 40; n++) {
      const [expected, got] = [before, after].map((loops) => {
        const words = new Uint32Array(loops.memory.buffer);
        const floats = new Float32Array(loops.memory.buffer);
        floats.fill(0.5, X / 4 - 64, X / 4 + 0x20000);
        for (let i = 0; i < 256; i++) floats[X / 4 - 64 + i] = Math.sin(i);
        words[X / 4 + n] = n;
        loops[name](y, X, n);
        return words.slice(X / 4 - 64, X / 4 + 0x20000);
      });
      expect(Buffer.from(got.buffer).equals(Buffer.from(expected.buffer)), `${n} numbers`).toBe(true);
    }
  });
});
