// Loops that do nothing but multiply and add in registers: a kernel can come near them, not above.

/** Returns the sum of all values after so many rounds. What a round does to them depends on who does it. */
export type CeilingLoop = (start: number, factor: number, summand: number, rounds: number) => number;

/**
 * Twelve vectors of four lanes, all `start` at first. `strict`: in each round six of them are multiplied by the factor,
 * and the summand is added to the other six. `fast`: all twelve become value · factor + summand, in one instruction.
 *
 * The operations of a round are independent of each other, so that the units for them (two each, three or four cycles
 * deep) are never idle, and everything fits the sixteen registers of x86-64.
 */
export type CeilingBuild = "strict" | "fast";

/** Floating-point operations of a round. */
export const ROUND_WORK = { strict: 12 * 4, fast: 2 * 12 * 4, javascript: 2 * 12 } as const;

const F32 = 0x7d;
const I32 = 0x7f;
const V128 = 0x7b;
const VECTORS = 12;

// The locals: four parameters, the splats of factor and summand, and the vectors.
const [START, FACTOR, SUMMAND, ROUNDS, FACTORS, SUMMANDS, FIRST] = [0, 1, 2, 3, 4, 5, 6];

const get = (local: number) => [0x20, local];
const set = (local: number) => [0x21, local];
const i32Const = (value: number) => [0x41, value];
const f32Add = [0x92];
const i32Sub = [0x6b];
const splat = [0xfd, 0x13];
const extractLane = (lane: number) => [0xfd, 0x1f, lane];
const vectorAdd = [0xfd, 0xe4, 0x01];
const vectorMultiply = [0xfd, 0xe6, 0x01];
const relaxedMultiplyAdd = [0xfd, 0x85, 0x02];
const loop = [0x03, 0x40];
const continueIf = [0x0d, 0x00];
const end = [0x0b];

const vectors = Array.from({ length: VECTORS }, (_, i) => FIRST + i);

/** The loop in WebAssembly, assembled by hand: nothing is folded or hoisted. */
export function compileCeiling(build: CeilingBuild): CeilingLoop {
  const step = (vector: number, i: number): number[] => {
    if (build === "fast") {
      return [...get(vector), ...get(FACTORS), ...get(SUMMANDS), ...relaxedMultiplyAdd, ...set(vector)];
    }
    const operation = i % 2 === 0 ? [...get(FACTORS), ...vectorMultiply] : [...get(SUMMANDS), ...vectorAdd];
    return [...get(vector), ...operation, ...set(vector)];
  };
  const body = [
    ...[...get(FACTOR), ...splat, ...set(FACTORS), ...get(SUMMAND), ...splat, ...set(SUMMANDS)],
    ...vectors.flatMap((vector) => [...get(START), ...splat, ...set(vector)]),
    ...loop,
    ...vectors.flatMap(step),
    // rounds -= 1; again unless it is 0
    ...[...get(ROUNDS), ...i32Const(1), ...i32Sub, 0x22, ROUNDS, ...continueIf, ...end],
    ...sumOfLanes(),
    ...end,
  ];
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleOf(body)));
  return exports.run as CeilingLoop;
}

/** The vectors one after another into the first, then its four lanes. */
function sumOfLanes(): number[] {
  const [first, ...others] = vectors;
  const sum = [...get(first), ...others.flatMap((vector) => [...get(vector), ...vectorAdd]), ...set(first)];
  const lanes = [0, 1, 2, 3].map((lane) => [...get(first), ...extractLane(lane)]);
  return [...sum, ...lanes[0], ...lanes.slice(1).flatMap((lane) => [...lane, ...f32Add])];
}

/** A module of one function `run`: (f32, f32, f32, i32) → f32, with the vectors as its locals. */
function moduleOf(body: readonly number[]): Uint8Array<ArrayBuffer> {
  const locals = [1, VECTORS + 2, V128];
  const sections: [id: number, content: number[]][] = [
    [1, [1, 0x60, 4, F32, F32, F32, I32, 1, F32]],
    [3, [1, 0]],
    [7, [1, 3, ...Buffer.from("run"), 0, 0]],
    [10, [1, ...withLength([...locals, ...body])]],
  ];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...sections.flatMap(([id, content]) => [id, ...withLength(content)]),
  ]);
}

/** The length in LEB128, which has seven bits a byte; two bytes are enough here. */
function withLength(bytes: readonly number[]): number[] {
  const { length } = bytes;
  if (length >= 1 << 14) throw new RangeError(`a section must be shorter than 16384 bytes, got ${length}`);
  return length < 128 ? [length, ...bytes] : [(length & 127) | 128, length >> 7, ...bytes];
}

/** Twelve numbers become value · factor + summand: scalars in float64, which is what JavaScript calculates in. */
export const javascriptCeiling: CeilingLoop = (start, factor, summand, rounds) => {
  let [a, b, c, d, e, f] = [start, start, start, start, start, start];
  let [g, h, i, j, k, l] = [start, start, start, start, start, start];
  for (let round = 0; round < rounds; round++) {
    a = a * factor + summand;
    b = b * factor + summand;
    c = c * factor + summand;
    d = d * factor + summand;
    e = e * factor + summand;
    f = f * factor + summand;
    g = g * factor + summand;
    h = h * factor + summand;
    i = i * factor + summand;
    j = j * factor + summand;
    k = k * factor + summand;
    l = l * factor + summand;
  }
  return a + b + c + d + e + f + g + h + i + j + k + l;
};
