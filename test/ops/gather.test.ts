import { describe, expect, test } from "vitest";
import { compileFunctionSync } from "../../src/graph/function.js";
import { input, type Shape, sizeOf, type Tensor } from "../../src/graph/tensor.js";
import { gatherRows } from "../../src/ops/gather.js";
import { battery, type Case, engineOf, laneSizes } from "./battery.js";

const ROW = 2; // word of the clock: see assembly/kernels/step.ts

/** Data, clock and perhaps an order in, a batch out. Clock words are random, so the batch begins at a random row. */
function caseOf(shape: Shape, batch: number, ordered: boolean, labels = false): Case {
  const [count] = shape;
  const width = sizeOf(shape) / count;
  return {
    name: `${batch} of [${shape}]${ordered ? " in order" : ""}${labels ? " uint32" : ""}`,
    inputs: [
      labels ? { shape, domain: { classes: 2 ** 32 } } : { shape, domain: "special" },
      { shape: [16], domain: { classes: count - batch + 1 } },
      ...(ordered ? [{ shape: [count], domain: { classes: count } }] : []),
    ],
    apply: (data, clock, order?: Tensor) => gatherRows(data, order, clock, batch),
    reference: (data, clock, order?: Float64Array) => {
      const rows = Array.from({ length: batch }, (_, row) => (order ? order[clock[ROW] + row] : clock[ROW] + row));
      return rows.flatMap((row) => [...data.subarray(row * width, (row + 1) * width)]);
    },
  };
}

battery("gatherRows", {
  cases: [
    ...laneSizes.map((width) => caseOf([7, width], 3, true)),
    caseOf([7, 5], 7, true),
    caseOf([7, 5], 3, false),
    caseOf([9], 4, true),
    caseOf([9], 4, true, true),
    caseOf([9], 4, false, true),
    caseOf([6, 3], 5, true, true),
    caseOf([1, 2, 3, 4], 1, false),
    caseOf([11, 2, 3, 5], 4, true),
  ],
});

describe("gatherRows", () => {
  const clock = input([16], { dtype: "uint32" });
  const order = input([8], { dtype: "uint32" });
  const data = input([8, 3]);

  test("keeps shape and dtype of the rows, and labels bit by bit", () => {
    expect(gatherRows(data, order, clock, 2)).toMatchObject({ shape: [2, 3], dtype: "float32" });
    const labels = input([4], { name: "labels", dtype: "uint32" });
    expect(gatherRows(labels, undefined, clock, 2)).toMatchObject({ shape: [2], dtype: "uint32" });
    const f = compileFunctionSync(
      (t: { labels: Tensor; clock: Tensor }) => ({ y: gatherRows(t.labels, undefined, t.clock, 3) }),
      { labels, clock },
      { engine: engineOf("strict") },
    );
    // A signalling NaN's bits, which must not be touched on the way.
    const words = Uint32Array.of(9, 0x7f800001, 0xffffffff, 1);
    const { y } = f({ labels: words, clock: Uint32Array.of(0, 0, 1, ...new Array<number>(13).fill(0)) });
    // As numbers: another pattern would be another one.
    expect(y).toEqual(Float32Array.from(words.slice(1)));
    f.dispose();
  });

  test.each([
    [() => gatherRows(data, order, clock, 9), "gatherRows: data of shape [8, 3] have 8 rows, got a batch of 9"],
    [() => gatherRows(data, order, clock, 0), "gatherRows: batch must be a whole number of at least 1, got 0"],
    [() => gatherRows(input([]), undefined, clock, 1), "gatherRows: data must have rows, got a scalar"],
    [
      () => gatherRows(input([7, 3]), order, clock, 2),
      "gatherRows: order must be uint32 of shape [7], got uint32 of shape [8]",
    ],
    [
      () => gatherRows(data, input([8]), clock, 2),
      "gatherRows: order must be uint32 of shape [8], got float32 of shape [8]",
    ],
    [() => gatherRows(data, order, input([16]), 2), "gatherRows: clock must be uint32 of shape [16], got float32"],
  ])("refuses what does not fit: case %#", (create, message) => {
    expect(create).toThrowError(
      expect.objectContaining({ name: "ModelError", message: expect.stringContaining(message) }),
    );
  });
});
