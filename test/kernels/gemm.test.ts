// The gemm kernels beyond what operations ask of them: accumulation, fused activations, splits at any unit,
// blocked against unblocked, guards. Reference: float64.
import { afterAll, describe, expect, test } from "vitest";
import { PANEL_DEPTH, PARTS_OFFSET } from "../../src/engine/constants.js";
import { createEngineSync } from "../../src/engine/engine.js";
import { rows, startRecording } from "../../src/engine/instructions.js";
import { installProgram } from "../../src/graph/program.js";
import "../../src/platform/node.js";

const GUARD = 0x7f_ab_cd_ef;
const ACTIVATIONS: readonly ((x: number) => number)[] = [
  (x) => x,
  (x) => Math.max(x, 0),
  (x) => 1 / (1 + Math.exp(-x)),
  Math.tanh,
];

interface Product {
  kernel: "gemm" | "gemmSmall";
  m: number;
  n: number;
  k: number;
  form: 0 | 1 | 2;
  epilogue: number;
  accumulate: boolean;
  bias: boolean;
}

describe.each(["strict", "fast"] as const)("%s", (build) => {
  const engine = createEngineSync({ build });
  afterAll(() => engine.dispose());

  function check({ kernel, m, n, k, form, epilogue, accumulate, bias }: Product): void {
    const take = (length: number): number => engine.allocator.allocate(length * 4);
    const [A, B, C, BIAS] = [take(m * k), take(k * n), take(m * n + 32), take(n)];
    let seed = m * 31 + n * 7 + k;
    const fill = (address: number, length: number): Float32Array => {
      const values = engine.floats(address, length);
      for (let i = 0; i < length; i++) {
        seed = (seed * 48271) % 2147483647;
        values[i] = seed / 2147483647 - 0.5;
      }
      return values.slice();
    };
    const [a, b, c, offset] = [fill(A, m * k), fill(B, k * n), fill(C + 64, m * n), fill(BIAS, n)];
    // Without accumulation C is never read: NaN there must not come through.
    if (!accumulate) engine.floats(C + 64, m * n).fill(Number.NaN);
    engine.words(C, 16).fill(GUARD);
    engine.words(C + 64 + m * n * 4, 16).fill(GUARD);
    const { record, ...recording } = startRecording();
    const units = kernel === "gemm" ? m * Math.ceil(n / 256) : m;
    const given = [C + 64, A, B, bias ? BIAS : 0, m, n, k, form, epilogue, accumulate ? 1 : 0] as const;
    if (kernel === "gemm") record.gemm(rows(units, 1), ...given, 256);
    else record.gemmSmall(rows(units, 1), ...given);
    const program = installProgram(engine, { record, ...recording });
    for (let unit = 0; unit < units; unit += 7) engine.runRange(program.address, unit, Math.min(unit + 7, units));
    const split = engine.words(C + 64, m * n).slice();
    let worst = 0;
    const got = engine.floats(C + 64, m * n);
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let p = 0; p < k; p++)
          sum += (form === 1 ? a[p * m + i] : a[i * k + p]) * (form === 2 ? b[j * k + p] : b[p * n + j]);
        sum += (accumulate ? c[i * n + j] : 0) + (bias ? offset[j] : 0);
        worst = Math.max(worst, Math.abs(ACTIVATIONS[epilogue](sum) - got[i * n + j]));
      }
    }
    // Terms are below a quarter: the sum of k of them rounds to about sqrt(k) times 2^-25, at the worst k times.
    expect(worst).toBeLessThan(2 ** -24 * Math.max(4, Math.sqrt(k) * 3));
    engine.floats(C + 64, m * n).set(accumulate ? c : new Float32Array(m * n));
    engine.run(program.address, program.end, 1);
    expect(engine.words(C + 64, m * n)).toEqual(split);
    for (const width of kernel === "gemm" ? [8, 64, 128] : []) {
      engine.floats(C + 64, m * n).set(accumulate ? c : new Float32Array(m * n));
      const { record: again, ...strips } = startRecording();
      again.gemm(rows(m * Math.ceil(n / width), 1), ...given, width);
      const narrow = installProgram(engine, { record: again, ...strips });
      engine.run(narrow.address, narrow.end, 1);
      expect(engine.words(C + 64, m * n), `strips of ${width} columns`).toEqual(split);
      engine.allocator.free(narrow.address);
    }
    expect([...engine.words(C, 16), ...engine.words(C + 64 + m * n * 4, 16)]).toEqual(new Array(32).fill(GUARD));
    for (const address of [A, B, C, BIAS, program.address]) engine.allocator.free(address);
  }

  const shapes = [
    [1, 1, 1],
    [4, 8, 3],
    [5, 9, 7],
    [31, 33, 64],
    [64, 264, 40],
    [33, 500, 9],
    [40, 24, 600],
    [63, 16, 801],
  ];

  test.each(["gemm", "gemmSmall"] as const)("%s: every form, bias, activation, accumulation", (kernel) => {
    for (const [m, n, k] of shapes) {
      for (const form of [0, 1, 2] as const) {
        check({ kernel, m, n, k, form, epilogue: 0, accumulate: false, bias: false });
        check({ kernel, m, n, k, form, epilogue: 0, accumulate: true, bias: true });
        check({ kernel, m, n, k, form, epilogue: 1 + ((m + form) % 3), accumulate: false, bias: true });
      }
      for (const epilogue of [1, 2, 3]) check({ kernel, m, n, k, form: 0, epilogue, accumulate: true, bias: true });
    }
  });

  test("every number of rows, whatever panels they come to", () => {
    for (let m = 1; m <= 126; m++) {
      const form = (m % 3) as 0 | 1 | 2;
      check({
        kernel: "gemm",
        m,
        n: 16 + (m & 1),
        k: 5,
        form,
        epilogue: 0,
        accumulate: m % 4 === 0,
        bias: m % 5 === 0,
      });
    }
  });
});

describe.each(["strict", "fast"] as const)("blocks of the sums as products of their own: %s", (build) => {
  const engine = createEngineSync({ build });
  afterAll(() => engine.dispose());
  const random = (address: number, length: number): void => {
    let seed = length;
    engine.write(
      address,
      Float32Array.from({ length }, () => {
        seed = (seed * 48271) % 2147483647;
        return seed / 2147483647 - 0.5;
      }),
    );
  };

  test.each([
    [7, 13, 401, 0],
    [32, 128, 784, 0],
    [33, 40, 1024, 1],
    [20, 256, 900, 2],
  ] as const)("%i × %i over %i, form %i: the bits of gemm, however the units are shared", (m, n, k, form) => {
    const blocks = Math.ceil(k / PANEL_DEPTH);
    const partsWords = PARTS_OFFSET / 4 + (blocks - 1) * m * n;
    const take = (length: number): number => engine.allocator.allocate(length * 4);
    const [a, b, bias, whole, c, parts] = [m * k, k * n, n, m * n, m * n + 16, partsWords + 16].map(take);
    for (const [address, length] of [
      [a, m * k],
      [b, k * n],
      [bias, n],
    ])
      random(address, length);
    const units = blocks * m;
    for (const epilogue of [0, 1, 2]) {
      const { record, ...recording } = startRecording();
      record.gemm(rows(m, 1), whole, a, b, bias, m, n, k, form, epilogue, 0, 256);
      record.gemmParts(rows(units, 1), c, parts, a, b, bias, m, n, k, form, epilogue);
      record.addParts(rows(m, 1), c, parts, bias, m, n, blocks - 1, epilogue);
      const program = installProgram(engine, { record, ...recording });
      const [, shared, sum] = program.listing.map(({ offset }) => program.address + offset * 4);
      engine.run(program.address, program.end, 1);
      const expected = engine.words(whole, m * n).slice();
      expect(engine.words(c, m * n), "all by one thread").toEqual(expected);
      for (const step of [1, m - 1, m, m + 5, Math.ceil(units / 2)]) {
        engine.words(c, m * n + 16).fill(GUARD);
        engine.words(parts, partsWords + 16).fill(GUARD);
        for (let unit = 0; unit < units; unit += step) engine.runRange(shared, unit, Math.min(unit + step, units));
        for (let row = 0; row < m; row += 3) engine.runRange(sum, row, Math.min(row + 3, m));
        expect(engine.words(c, m * n), `${step} units at a time`).toEqual(expected);
        const behind = [...engine.words(c + m * n * 4, 16), ...engine.words(parts + partsWords * 4, 16)];
        expect(behind).toEqual(new Array(32).fill(GUARD));
      }
      engine.allocator.free(program.address);
    }
    for (const address of [a, b, bias, whole, c, parts]) engine.allocator.free(address);
  });
});

test("a NaN or an infinity reaches every result that it belongs to, and no other", () => {
  const engine = createEngineSync();
  const [m, n, k] = [37, 41, 30];
  const [a, b, c] = [m * k, k * n, m * n].map((length) => engine.allocator.allocate(length * 4));
  engine.floats(a, m * k).fill(1);
  engine.floats(b, k * n).fill(1);
  engine.floats(a, m * k)[36 * k + 5] = Number.NaN;
  engine.floats(b, k * n)[7 * n + 40] = Number.POSITIVE_INFINITY;
  const { record, ...recording } = startRecording();
  record.gemm(rows(m, 1), c, a, b, 0, m, n, k, 0, 0, 0, 256);
  const program = installProgram(engine, { record, ...recording });
  engine.run(program.address, program.end, 1);
  const result = engine.floats(c, m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++)
      expect(result[i * n + j]).toBe(i === 36 ? Number.NaN : j === 40 ? Number.POSITIVE_INFINITY : k);
  }
  engine.dispose();
});
