// Loops that do nothing but multiply and add in registers: a kernel can come near them, not above.

/** Returns the sum of all values after so many rounds. What a round does to them depends on who does it. */
export type CeilingLoop = (start: number, factor: number, summand: number, rounds: number) => number;

/**
 * Vectors of four lanes, all `start` at first: in each round all of them become value · factor + summand, in two
 * instructions (`strict`) or in one (`fast`). `wide` has twice as many, which V8 joins in pairs if its flag is set.
 *
 * The vectors are independent of each other, so that the units (two each, three or four cycles deep) need not be idle,
 * and everything fits the registers of x86-64.
 */
export type VectorLoop = "strict" | "fast" | "wide";

/** Fewer wait for their own results (strict: 43 GFLOP/s with ten, 59 with twelve); fourteen find no registers on Node 26. */
const VECTORS = 12;

/** Floating-point operations of a round. */
export const ROUND_WORK = {
  strict: 2 * VECTORS * 4,
  fast: 2 * VECTORS * 4,
  wide: 2 * 2 * VECTORS * 4,
  javascript: 2 * 12,
} as const;

const F32 = 0x7d;
const I32 = 0x7f;
const V128 = 0x7b;

// The locals: four parameters, the splats of factor and summand, and the vectors.
const [START, FACTOR, SUMMAND, ROUNDS, FACTORS, SUMMANDS, FIRST] = [0, 1, 2, 3, 4, 5, 6];

const get = (local: number) => [0x20, local];
const set = (local: number) => [0x21, local];
const i32Const = (value: number) => [0x41, value];
const f32Add = [0x92];
const i32Sub = [0x6b];
const isZero = [0x45];
const splat = [0xfd, 0x13];
const extractLane = (lane: number) => [0xfd, 0x1f, lane];
/** An offset in LEB128, of two bytes; aligned to 16 bytes. */
const offset = (bytes: number) => [4, (bytes & 127) | 128, bytes >> 7];
const vectorLoad = (bytes: number) => [0xfd, 0x00, ...offset(bytes)];
const vectorStore = (bytes: number) => [0xfd, 0x0b, ...offset(bytes)];
const vectorAdd = [0xfd, 0xe4, 0x01];
const vectorMultiply = [0xfd, 0xe6, 0x01];
const relaxedMultiplyAdd = [0xfd, 0x85, 0x02];
const block = [0x02, 0x40];
const loop = [0x03, 0x40];
const branch = (depth: number) => [0x0c, depth];
const branchIf = (depth: number) => [0x0d, depth];
const end = [0x0b];

const multiply = (vector: number) => [...get(vector), ...get(FACTORS), ...vectorMultiply, ...set(vector)];
const add = (vector: number) => [...get(vector), ...get(SUMMANDS), ...vectorAdd, ...set(vector)];
const multiplyAdd = (vector: number) => [
  ...[...get(vector), ...get(FACTORS), ...get(SUMMANDS)],
  ...[...relaxedMultiplyAdd, ...set(vector)],
];
/** Leaves rounds - 1 on the stack too. */
const countDown = [...get(ROUNDS), ...i32Const(1), ...i32Sub, 0x22, ROUNDS];

/** Again and again until no rounds are left. */
const repeat = (round: readonly number[]) => [...loop, ...round, ...countDown, ...branchIf(0), ...end];

/**
 * Half of the vectors are multiplied while the other half's products get their summand, and then the other way round.
 * The loop is left between the two: otherwise V8 11 and 12 seem to put each addition behind its multiplication again,
 * and units wait (48 GFLOP/s where this gives up to 59). The last additions have their operands the other way round, so
 * that V8 does not take them for those in the loop.
 */
function multiplyAddInHalves(vectors: readonly number[]): number[] {
  const [these, those] = [vectors.slice(0, vectors.length / 2), vectors.slice(vectors.length / 2)];
  return [
    ...those.flatMap(multiply),
    ...[...block, ...loop],
    ...these.flatMap((vector, i) => [...multiply(vector), ...add(those[i])]),
    ...[...countDown, ...isZero, ...branchIf(1)],
    ...these.flatMap((vector, i) => [...add(vector), ...multiply(those[i])]),
    ...[...branch(0), ...end, ...end],
    ...these.flatMap((vector) => [...get(SUMMANDS), ...get(vector), ...vectorAdd, ...set(vector)]),
  ];
}

const loops: Record<VectorLoop, (vectors: readonly number[]) => number[]> = {
  strict: multiplyAddInHalves,
  fast: (vectors) => repeat(vectors.flatMap(multiplyAdd)),
  wide: multiplyAddInHalves,
};

/** The loop in WebAssembly, assembled by hand: nothing is folded or hoisted. `count` is even. */
export function compileCeiling(kind: VectorLoop, count: number = ROUND_WORK[kind] / 8): CeilingLoop {
  if (count < 2 || count % 2 !== 0) throw new RangeError(`vectors must be an even number of at least 2, got ${count}`);
  const vectors = Array.from({ length: count }, (_, i) => FIRST + i);
  const body = [
    ...[...get(FACTOR), ...splat, ...set(FACTORS), ...get(SUMMAND), ...splat, ...set(SUMMANDS)],
    ...vectors.flatMap((vector) => [...get(START), ...splat, ...set(vector)]),
    ...loops[kind](vectors),
    ...throughMemory(vectors),
    ...sumOfLanes(vectors),
    ...end,
  ];
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleOf(count, body)));
  return exports.run as CeilingLoop;
}

/** Where two vectors are stored next to each other, V8 looks for what it can join, from there up to the beginning. */
const throughMemory = (vectors: readonly number[]) => [
  ...vectors.flatMap((vector, i) => [...i32Const(0), ...get(vector), ...vectorStore(16 * i)]),
  ...vectors.flatMap((vector, i) => [...i32Const(0), ...vectorLoad(16 * i), ...set(vector)]),
];

/** The vectors one after another into the first, then its four lanes. */
function sumOfLanes([first, ...others]: readonly number[]): number[] {
  const sum = [...get(first), ...others.flatMap((vector) => [...get(vector), ...vectorAdd]), ...set(first)];
  const lanes = [0, 1, 2, 3].map((lane) => [...get(first), ...extractLane(lane)]);
  return [...sum, ...lanes[0], ...lanes.slice(1).flatMap((lane) => [...lane, ...f32Add])];
}

/** A module of one function `run`: (f32, f32, f32, i32) → f32, with `count` vectors among its locals and a page of memory. */
function moduleOf(count: number, body: readonly number[]): Uint8Array<ArrayBuffer> {
  const locals = [1, count + 2, V128];
  const sections: [id: number, content: number[]][] = [
    [1, [1, 0x60, 4, F32, F32, F32, I32, 1, F32]],
    [3, [1, 0]],
    [5, [1, 0, 1]],
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
