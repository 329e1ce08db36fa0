// assembly/math.ts against float64, in units of the last place (ULP) of the exact result. By default a million inputs
// for each function: every sign and exponent, the interval where most happens, and the special values. With
// STEEPEST_EXHAUSTIVE=1, all 2^32 inputs (minutes for each function): the bounds below are what that measured.
import { describe, expect, test } from "vitest";
import { type Build, compile, instantiate, runnableBuilds, sectionIds } from "./compile.js";
import { erf } from "./erf.js";

type Name = keyof typeof functions;
type Kernels = Record<Name, (y: number, x: number, n: number) => void>;

/** sin(2πf) in half turn `half`, where f is what exact arithmetic leaves. */
const sinHalfTurn = (f: number, half: number): number => Math.sin(2 * Math.PI * f) * (half % 2 === 0 ? 1 : -1);

function sin2Pi(u: number): number {
  const half = Math.round(2 * u);
  return sinHalfTurn(u - half / 2, half);
}

function cos2Pi(u: number): number {
  const half = Math.round(2 * u + 0.5);
  return sinHalfTurn(u - (half / 2 - 0.25), half);
}

interface Function1 {
  reference(x: number): number;
  /** The largest error over all inputs, in ULP, rounded up. */
  bound: Record<Build, number>;
  /** Where most happens. */
  interval: [number, number];
  /** Inputs are the floats with bit patterns in [from, to); default: all. */
  patterns?: [number, number];
  /** No result is larger than this. */
  limit?: number;
  /** FNV-1a hash of the strict build's results over `samples`: the same bits on every engine. */
  hash: number;
}

const TURN: [number, number] = [0, 0x3f800000];
const NORMAL: [number, number] = [0x00800000, 0x7f800000];

const functions = {
  exp: { reference: Math.exp, bound: { strict: 1.0, fast: 1.04 }, interval: [-105, 90], hash: 0xfd290b63 },
  expMinusOne: { reference: Math.expm1, bound: { strict: 1.74, fast: 1.61 }, interval: [-5, 5], hash: 0x816b6e98 },
  sigmoid: {
    reference: (x) => 1 / (1 + Math.exp(-x)),
    bound: { strict: 1.87, fast: 1.87 },
    interval: [-20, 20],
    limit: 1,
    hash: 0x1196328f,
  },
  tanh: { reference: Math.tanh, bound: { strict: 1.5, fast: 1.5 }, interval: [-10, 10], limit: 1, hash: 0x805dc5ca },
  log: { reference: Math.log, bound: { strict: 1.27, fast: 1.27 }, interval: [0, 3], hash: 0x28020d52 },
  logNormal: {
    reference: Math.log,
    bound: { strict: 1.27, fast: 1.27 },
    interval: [0.5, 2],
    patterns: NORMAL,
    hash: 0x573e6cce,
  },
  logOnePlus: { reference: Math.log1p, bound: { strict: 1.85, fast: 1.79 }, interval: [-1, 2], hash: 0x4fbe59bb },
  softplus: {
    reference: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    bound: { strict: 1.92, fast: 1.89 },
    interval: [-10, 10],
    hash: 0x7154771f,
  },
  erf: { reference: erf, bound: { strict: 1.73, fast: 1.56 }, interval: [-4, 4], limit: 1, hash: 0x21db6219 },
  normalPdf: {
    reference: (x) => Math.exp((x * x) / -2) / Math.sqrt(2 * Math.PI),
    bound: { strict: 1.59, fast: 1.46 },
    interval: [-15, 15],
    hash: 0xe8ed9830,
  },
  sin2Pi: {
    reference: sin2Pi,
    bound: { strict: 1.84, fast: 1.6 },
    interval: [-1, 2],
    patterns: TURN,
    limit: 1,
    hash: 0x832491cf,
  },
  cos2Pi: {
    reference: cos2Pi,
    bound: { strict: 1.84, fast: 1.74 },
    interval: [-1, 2],
    patterns: TURN,
    limit: 1,
    hash: 0xe6ea6aa8,
  },
} satisfies Record<string, Function1>;

const names = Object.keys(functions) as Name[];
const builds = runnableBuilds();
const modules = new Map(
  await Promise.all(builds.map(async (build) => [build, await compile("math.entry.ts", build)] as const)),
);
const kernels = new Map([...modules].map(([build, bytes]) => [build, instantiate<Kernels>(bytes)]));

const CHUNK = 1 << 16;
/** At and past this, the nearest float32 is infinite. */
const OVERFLOW = 2 ** 128 - 2 ** 103;
/** 1 / ulp for each exponent field of a float64: 2^(23 - exponent), the exponent no lower than a denormal's. */
const inverseUlp = Float64Array.from(
  { length: 2048 },
  (_, field) => 2 ** (23 - Math.min(Math.max(field - 1023, -126), 127)),
);

interface Worst {
  ulp: number;
  x: number;
  failures: string[];
}

const word = new Float64Array(1);
const halves = new Int32Array(word.buffer);

/** Whether `y` is right where the exact result is NaN, too large for a float32, or a zero, whose sign counts. */
function special(exact: number, y: number): boolean {
  if (Number.isNaN(exact)) return Number.isNaN(y);
  if (Math.abs(exact) >= OVERFLOW) return y === Math.sign(exact) * Number.POSITIVE_INFINITY;
  return Object.is(y, exact);
}

/** Folds the errors of y = f(x) into `worst`. */
function compare(
  { limit = Number.POSITIVE_INFINITY }: Function1,
  exact: Float64Array,
  x: Float32Array,
  y: Float32Array,
  worst: Worst,
): void {
  for (let i = 0; i < exact.length; i++) {
    const expected = exact[i] as number;
    const actual = y[i] as number;
    word[0] = expected;
    const ulp = Math.abs(actual - expected) * (inverseUlp[((halves[1] as number) >>> 20) & 2047] as number);
    if (ulp <= worst.ulp && expected !== 0 && Math.abs(actual) <= limit) continue;
    if (expected === 0 || !(Math.abs(expected) < OVERFLOW)) {
      if (!special(expected, actual)) worst.failures.push(`f(${x[i]}) = ${actual}, not ${expected}`);
    } else if (!(ulp < 1e6) || Math.abs(actual) > limit) {
      worst.failures.push(`f(${x[i]}) = ${actual}, not ${expected}`);
    } else {
      worst.ulp = ulp;
      worst.x = x[i] as number;
    }
  }
}

/** The worst of each build over the inputs that `fill` writes, chunk by chunk, until it returns false. */
function measure(name: Name, fill: (bits: Uint32Array, chunk: number) => boolean): Map<Build, Worst> {
  const one: Function1 = functions[name];
  const inputs = new Uint32Array(CHUNK);
  const x = new Float32Array(inputs.buffer);
  const exact = new Float64Array(CHUNK);
  const worst = new Map(builds.map((build) => [build, { ulp: 0, x: 0, failures: [] } as Worst]));
  for (let chunk = 0; fill(inputs, chunk); chunk++) {
    for (let i = 0; i < CHUNK; i++) exact[i] = one.reference(x[i] as number);
    for (const [build, { memory, [name]: run }] of kernels) {
      new Uint32Array(memory.buffer, 0, CHUNK).set(inputs);
      run(4 * CHUNK, 0, CHUNK);
      compare(one, exact, x, new Float32Array(memory.buffer, 4 * CHUNK, CHUNK), worst.get(build) as Worst);
    }
  }
  return worst;
}

/** A million inputs: three quarters spread evenly over the bit patterns, one quarter over the interval. */
function samples(name: Name): (bits: Uint32Array, chunk: number) => boolean {
  const { interval, patterns = [0, 2 ** 32] }: Function1 = functions[name];
  const step = (patterns[1] - patterns[0]) / (12 * CHUNK);
  let seed = 1;
  const random = (): number => {
    seed = (seed * 48271) % 2147483647;
    return seed / 2147483647;
  };
  return (bits, chunk) => {
    const x = new Float32Array(bits.buffer);
    for (let i = 0; i < CHUNK; i++) {
      if (chunk < 12) bits[i] = Math.floor(patterns[0] + step * (chunk * CHUNK + i + random()));
      else x[i] = interval[0] + (interval[1] - interval[0]) * random();
    }
    return chunk < 16;
  };
}

function everything(name: Name): (bits: Uint32Array, chunk: number) => boolean {
  const [from, to] = (functions[name] as Function1).patterns ?? [0, 2 ** 32];
  return (bits, chunk) => {
    for (let i = 0; i < CHUNK; i++) bits[i] = from + chunk * CHUNK + i;
    return from + chunk * CHUNK < to;
  };
}

function check(name: Name, worst: Map<Build, Worst>): void {
  const { strict, fast } = functions[name].bound;
  for (const [build, { ulp, x, failures }] of worst) {
    expect(failures.slice(0, 5), `${name}, ${build}`).toEqual([]);
    // A machine without a fused multiply-add gives the fast build the strict build's results.
    const bound = build === "strict" ? strict : Math.max(strict, fast);
    expect(ulp, `${name}, ${build}, worst at ${x}`).toBeLessThanOrEqual(bound);
  }
}

test("the float64 reference of erf has the published values (Abramowitz and Stegun, table 7.1)", () => {
  const published = [
    [0.1, 0.112462916],
    [0.5, 0.5204998778],
    [1, 0.8427007929],
    [1.5, 0.9661051465],
    [2, 0.995322265],
  ] as const;
  for (const [x, value] of published) expect(erf(x)).toBeCloseTo(value, 9);
});

test("the references of sin2Pi and cos2Pi agree with Math.sin and Math.cos", () => {
  for (let u = -1; u < 2; u += 0.0137) {
    expect(sin2Pi(u)).toBeCloseTo(Math.sin(2 * Math.PI * u), 14);
    expect(cos2Pi(u)).toBeCloseTo(Math.cos(2 * Math.PI * u), 14);
  }
});

test.each(builds)("the %s module has neither data, nor globals, nor imports", (build) => {
  const bytes = modules.get(build) as Uint8Array<ArrayBuffer>;
  expect(sectionIds(bytes).filter((id) => id === 2 || id === 6 || id === 11)).toEqual([]);
});

describe("a million inputs", () => {
  test.each(names)("%s", (name) => check(name, measure(name, samples(name))));
});

// Where they hold, they have the bits of those that hold everywhere.
test.each([
  ["expBounded", "exp", 64],
  ["expMinusOneBelow", "expMinusOne", 0],
] as const)("%s has the bits of %s up to %d", (short, name, most) => {
  const values = new Float32Array(CHUNK);
  const bits = new Uint32Array(values.buffer);
  for (const { memory, ...module } of kernels.values()) {
    const run = module as unknown as Kernels & Record<typeof short, Kernels["exp"]>;
    for (let chunk = 0; chunk < 32; chunk++) {
      for (let i = 0; i < CHUNK; i++) {
        bits[i] = 0x80000000 + Math.floor((0x42d20000 * (chunk * CHUNK + i)) / (32 * CHUNK));
        if (i % 4 === 3) values[i] = most - (110 * i) / CHUNK;
      }
      // Halves of ln 2, between two steps.
      values.set([
        0,
        -0,
        Number.NaN,
        Number.NEGATIVE_INFINITY,
        most,
        -0.5 * Math.LN2,
        -1.5 * Math.LN2,
        -2.5 * Math.LN2,
      ]);
      new Float32Array(memory.buffer, 0, CHUNK).set(values);
      run[name](4 * CHUNK, 0, CHUNK);
      const expected = new Float32Array(memory.buffer, 4 * CHUNK, CHUNK).slice();
      run[short](4 * CHUNK, 0, CHUNK);
      const got = new Float32Array(memory.buffer, 4 * CHUNK, CHUNK);
      const wrong = got.findIndex((value, i) => !Object.is(value, expected[i]));
      expect(wrong, `${short}(${values[wrong]})`).toBe(-1);
    }
  }
});

describe("special values", () => {
  const largest = (2 - 2 ** -23) * 2 ** 127;
  const magnitudes = [
    0,
    2 ** -149,
    3 * 2 ** -149,
    2 ** -126 - 2 ** -149,
    2 ** -126,
    2 ** -25,
    0.5,
    1,
    2,
    3,
    17,
    88,
    89,
    104,
  ];
  const values = [...magnitudes, 1e10, 2 ** 126, 2 ** 127, largest, Number.POSITIVE_INFINITY, Number.NaN];
  const turns = [0, 2 ** -149, 2 ** -24, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1 - 2 ** -24, Number.NaN];

  test.each(names.filter((name) => name !== "logNormal"))("%s", (name) => {
    const list = name.endsWith("2Pi") ? turns : values.flatMap((value) => [value, -value]);
    const inputs = list.concat(new Array(CHUNK - list.length).fill(1 / 8));
    const fill = (bits: Uint32Array, chunk: number): boolean => {
      new Float32Array(bits.buffer).set(inputs);
      return chunk === 0;
    };
    check(name, measure(name, fill));
  });

  test("values and limits that are float32 numbers are exact", () => {
    const infinity = Number.POSITIVE_INFINITY;
    const exact: [Name, number, number][] = [
      ["exp", 0, 1],
      ["exp", -infinity, 0],
      ["expMinusOne", -infinity, -1],
      ["sigmoid", 0, 0.5],
      ["sigmoid", infinity, 1],
      ["sigmoid", -infinity, 0],
      ["tanh", infinity, 1],
      ["tanh", -infinity, -1],
      ["softplus", -infinity, 0],
      ["erf", infinity, 1],
      ["erf", -infinity, -1],
      ["normalPdf", infinity, 0],
    ];
    for (const module of kernels.values()) {
      for (const [name, x, y] of exact) {
        new Float32Array(module.memory.buffer, 0, 4).fill(x);
        module[name](64, 0, 4);
        expect([...new Float32Array(module.memory.buffer, 64, 4)], `${name}(${x})`).toEqual([y, y, y, y]);
      }
    }
  });

  test("a turn's quarters are exact, and a function of infinity that has no limit is NaN", () => {
    for (const { memory, sin2Pi, cos2Pi } of kernels.values()) {
      const x = new Float32Array(memory.buffer, 0, 8).fill(Number.POSITIVE_INFINITY);
      x.set([0, 0.25, 0.5, 0.75, 1]);
      const y = new Float32Array(memory.buffer, 64, 8);
      sin2Pi(64, 0, 8);
      expect([...y].map((value) => value + 0)).toEqual([0, 1, 0, -1, 0, Number.NaN, Number.NaN, Number.NaN]);
      cos2Pi(64, 0, 8);
      expect([...y].map((value) => value + 0)).toEqual([1, 0, -1, 0, 1, Number.NaN, Number.NaN, Number.NaN]);
    }
  });
});

/** FNV-1a over the strict build's results, NaN in one form. */
function hash(name: Name): number {
  const { memory, [name]: run } = kernels.get("strict") as Kernels & { memory: WebAssembly.Memory };
  const fill = samples(name);
  const x = new Uint32Array(memory.buffer, 0, CHUNK);
  const bits = new Uint32Array(CHUNK);
  let state = 0x811c9dc5;
  for (let chunk = 0; fill(bits, chunk); chunk++) {
    x.set(bits);
    run(4 * CHUNK, 0, CHUNK);
    for (const y of new Uint32Array(memory.buffer, 4 * CHUNK, CHUNK)) {
      state = Math.imul(state ^ ((y & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : y), 0x01000193);
    }
  }
  return state >>> 0;
}

describe("the strict build has the same bits on every engine", () => {
  test.each(names)("%s", (name) => expect(hash(name)).toBe(functions[name].hash));
});

describe.runIf(process.env.STEEPEST_EXHAUSTIVE)("all inputs", () => {
  test.each(names)("%s", { timeout: 3_600_000 }, (name) => {
    const worst = measure(name, everything(name));
    for (const [build, { ulp, x }] of worst) console.log(`${name}, ${build}: ${ulp.toFixed(4)} ULP at ${x}`);
    check(name, worst);
  });
});
