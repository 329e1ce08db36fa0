// The kernels of int8 against plain arithmetic of whole numbers: every sum is exact, so what comes of it has known bits, in every
// build and however the units are shared.
import { afterAll, describe, expect, test } from "vitest";
import { INT8_DEPTH, INT8_TERMS } from "../../src/engine/constants.js";
import { createEngineSync } from "../../src/engine/engine.js";
import { rows, startRecording } from "../../src/engine/instructions.js";
import type { Recorder } from "../../src/engine/recorder.js";
import { installProgram } from "../../src/graph/program.js";
import { packWeight } from "../../src/quantize/weights.js";
import { lehmer } from "../train/blobs.js";
import "../../src/platform/node.js";

const GUARD = 0x7f_ab_cd_ef;

describe.each(["strict", "fast"] as const)("%s", (build) => {
  const engine = createEngineSync({ build });
  afterAll(() => engine.dispose());

  const put = (values: Float32Array | Uint32Array): number => {
    const address = engine.allocator.allocate(Math.max(values.byteLength, 4));
    engine.write(address, values as Uint32Array, values instanceof Float32Array ? "float32" : "uint32");
    return address;
  };

  /** What a kernel leaves in `length` words, whether it does all its units at once or a few at a time; nothing around them. */
  function wordsOf(units: number, length: number, record: (to: number, recorder: Recorder) => void): Uint32Array {
    const place = engine.allocator.allocate(length * 4 + 128);
    const runs = [units, 1, 3, 7].map((step) => {
      engine.words(place, length + 32).fill(GUARD);
      const { record: recorder, ...recording } = startRecording();
      record(place + 64, recorder);
      const program = installProgram(engine, { record: recorder, ...recording });
      for (let unit = 0; unit < units; unit += step)
        engine.runRange(program.address, unit, Math.min(unit + step, units));
      engine.allocator.free(program.address);
      const around = [...engine.words(place, 16), ...engine.words(place + 64 + length * 4, 16)];
      expect(around).toEqual(new Array(32).fill(GUARD));
      return engine.words(place + 64, length).slice();
    });
    for (const run of runs) expect(run).toEqual(runs[0]);
    engine.allocator.free(place);
    return runs[0];
  }

  const ints = (length: number, least: number, most: number, seed: number): Int16Array => {
    const random = lehmer(seed);
    return Int16Array.from({ length }, () => least + Math.floor(random() * (most - least + 1)));
  };

  /** Rows of int16 in pairs, with a zero behind a row of odd length. */
  const paired = (values: Int16Array, k: number): Uint32Array => {
    const pairs = Math.ceil(k / 2);
    const padded = new Int16Array((values.length / k) * pairs * 2);
    values.forEach((value, i) => {
      padded[Math.floor(i / k) * pairs * 2 + (i % k)] = value;
    });
    return new Uint32Array(padded.buffer);
  };

  /** fround(fround(sum · scale) + bias), as the kernels round. */
  const finished = (sum: number, scale: number, bias: number | undefined, relu: boolean): number => {
    const product = Math.fround(Math.fround(sum) * scale);
    const result = bias === undefined ? product : Math.fround(product + bias);
    return relu ? Math.max(result, 0) : result;
  };

  test("quantizePairs rounds to the even one of two, within the ends, whatever the length", () => {
    const special = [
      0,
      -0,
      0.5,
      1.5,
      2.5,
      -0.5,
      -1.5,
      1e9,
      -1e9,
      Infinity,
      -Infinity,
      NaN,
      254.5,
      -254.5,
      1e-30,
      127.49,
    ];
    for (let k = 1; k <= 19; k++) {
      const rowsOf = 3;
      const x = Float32Array.from({ length: rowsOf * k }, (_, i) => special[(i * 7 + k) % special.length] / 0.5);
      for (const [least, most] of [
        [-128, 127],
        [0, 255],
        [-255, 0],
      ]) {
        const from = put(x);
        const pairs = Math.ceil(k / 2);
        const words = wordsOf(rowsOf, rowsOf * pairs, (to, record) =>
          record.quantizePairs(rows(rowsOf, 1), to, from, k, 0.5, least, most),
        );
        const wanted = Int16Array.from(x, (value) => {
          if (Number.isNaN(value)) return least;
          const inside = Math.min(Math.max(value * 0.5, least), most);
          const down = Math.floor(inside);
          if (inside - down === 0.5) return down % 2 === 0 ? down : down + 1;
          return Math.round(inside);
        });
        expect(words).toEqual(paired(wanted, k));
      }
    }
  });

  test.each([
    [1, 1, 1],
    [1, 10, 128],
    [2, 7, 3],
    [3, 9, 17],
    [4, 8, 2],
    [5, 16, 31],
    [20, 8, 33],
    [21, 17, 5],
    [23, 12, 64],
    [43, 3, 7],
    [128, 10, 128],
    [64, 33, 100],
  ])("linearInt8: %i rows, %i columns, %i terms", (m, n, k) => {
    const q = ints(m * k, -255, 255, m * 7 + n + k);
    const w = Int8Array.from(ints(k * n, -127, 127, k * 5 + n));
    const scales = Float32Array.from({ length: n }, (_, j) => 0.001 * (j + 1));
    const bias = Float32Array.from({ length: n }, (_, j) => (j % 3) - 1.3);
    const pairs = Math.ceil(k / 2);
    const [Q, W, S, B] = [paired(q, k), packWeight({ shape: [k, n], data: w, scales }), scales, bias].map(put);
    for (const [withBias, epilogue] of [
      [false, 0],
      [true, 0],
      [true, 1],
    ] as const) {
      const words = wordsOf(m, m * n, (to, record) =>
        record.linearInt8(rows(m, 1), to, Q, W, S, withBias ? B : 0, n, pairs, epilogue),
      );
      const wanted = Float32Array.from({ length: m * n }, (_, at) => {
        const [i, j] = [Math.floor(at / n), at % n];
        let sum = 0;
        for (let p = 0; p < k; p++) sum += q[i * k + p] * w[p * n + j];
        return finished(sum, scales[j], withBias ? bias[j] : undefined, epilogue === 1);
      });
      expect(new Float32Array(words.buffer)).toEqual(wanted);
    }
  });

  test("the longest sums of the largest numbers are below 2^31, one term more is not", () => {
    expect(INT8_TERMS * 255 * 127).toBeLessThan(2 ** 31);
    expect((INT8_TERMS + 1) * 255 * 127).toBeGreaterThanOrEqual(2 ** 31);
    const q = new Int16Array(INT8_TERMS).fill(255);
    for (const sign of [1, -1]) {
      const w = new Int8Array(INT8_TERMS).fill(127 * sign);
      const scales = new Float32Array([1]);
      const [Q, W, S] = [paired(q, INT8_TERMS), packWeight({ shape: [INT8_TERMS, 1], data: w, scales }), scales].map(
        put,
      );
      const words = wordsOf(1, 1, (to, record) =>
        record.linearInt8(rows(1, 1), to, Q, W, S, 0, 1, Math.ceil(INT8_TERMS / 2), 0),
      );
      expect(new Float32Array(words.buffer)[0]).toBe(Math.fround(sign * INT8_TERMS * 255 * 127));
    }
  });

  test.each([
    { height: 5, width: 6, channels: 1, outputs: 3, window: [3, 3], stride: [1, 1], dilation: [1, 1], pad: [1, 1] },
    { height: 7, width: 5, channels: 3, outputs: 8, window: [3, 2], stride: [2, 1], dilation: [1, 1], pad: [0, 0] },
    { height: 9, width: 9, channels: 4, outputs: 17, window: [3, 3], stride: [2, 2], dilation: [1, 2], pad: [1, 2] },
    { height: 1, width: 12, channels: 5, outputs: 9, window: [1, 4], stride: [1, 3], dilation: [1, 2], pad: [0, 3] },
    { height: 6, width: 6, channels: 16, outputs: 4, window: [5, 5], stride: [1, 1], dilation: [2, 1], pad: [4, 2] },
    { height: 4, width: 3, channels: 2, outputs: 5, window: [1, 1], stride: [1, 1], dilation: [1, 1], pad: [0, 0] },
  ])("convolveInt8: %o", ({ height, width, channels, outputs: n, window, stride, dilation, pad }) => {
    const batch = 2;
    const [windowHeight, windowWidth] = window;
    const reach = [0, 1].map((axis) => (window[axis] - 1) * dilation[axis] + 1);
    const outHeight = Math.floor((height + 2 * pad[0] - reach[0]) / stride[0]) + 1;
    const outWidth = Math.floor((width + 2 * pad[1] - reach[1]) / stride[1]) + 1;
    const q = ints(batch * height * width * channels, -255, 255, 11);
    const w = Int8Array.from(ints(windowHeight * windowWidth * channels * n, -127, 127, 5));
    const scales = Float32Array.from({ length: n }, (_, j) => 0.01 / (j + 1));
    const bias = Float32Array.from({ length: n }, (_, j) => j - 2.5);
    const shape = [windowHeight, windowWidth, channels, n];
    const pairs = Math.ceil(channels / 2);
    const [Q, W, S, B] = [paired(q, channels), packWeight({ shape, data: w, scales }), scales, bias].map(put);
    const pixels = batch * outHeight * outWidth;
    const words = wordsOf(pixels, pixels * n, (to, record) =>
      record.convolveInt8(
        ...([rows(pixels, 1), to, Q, W, S, B] as const),
        ...([height, width, pairs, outHeight, outWidth, n, windowHeight, windowWidth] as const),
        ...([stride[0], stride[1], dilation[0], dilation[1], pad[0], pad[1], 1] as const),
      ),
    );
    const wanted = Float32Array.from({ length: pixels * n }, (_, at) => {
      const j = at % n;
      const pixel = Math.floor(at / n);
      const [x, y, image] = [
        pixel % outWidth,
        Math.floor(pixel / outWidth) % outHeight,
        Math.floor(pixel / outWidth / outHeight),
      ];
      let sum = 0;
      for (let ky = 0; ky < windowHeight; ky++) {
        for (let kx = 0; kx < windowWidth; kx++) {
          const row = y * stride[0] + ky * dilation[0] - pad[0];
          const column = x * stride[1] + kx * dilation[1] - pad[1];
          if (row < 0 || row >= height || column < 0 || column >= width) continue;
          for (let c = 0; c < channels; c++) {
            const value = q[((image * height + row) * width + column) * channels + c];
            sum += value * w[((ky * windowWidth + kx) * channels + c) * n + j];
          }
        }
      }
      return finished(sum, scales[j], bias[j], true);
    });
    expect(new Float32Array(words.buffer)).toEqual(wanted);
  });

  test("patches as deep as they may be fit a thread's scratch", () => {
    const channels = INT8_DEPTH * 2;
    const q = ints(7 * channels, -255, 255, 3);
    const w = Int8Array.from(ints(channels, -127, 127, 9));
    const scales = new Float32Array([0.5]);
    const [Q, W, S] = [paired(q, channels), packWeight({ shape: [1, 1, channels, 1], data: w, scales }), scales].map(
      put,
    );
    const words = wordsOf(7, 7, (to, record) =>
      record.convolveInt8(rows(7, 1), to, Q, W, S, 0, 1, 7, INT8_DEPTH, 1, 7, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0),
    );
    const wanted = Float32Array.from({ length: 7 }, (_, row) => {
      let sum = 0;
      for (let c = 0; c < channels; c++) sum += q[row * channels + c] * w[c];
      return finished(sum, 0.5, undefined, false);
    });
    expect(new Float32Array(words.buffer)).toEqual(wanted);
  });
});
