import type { Shape } from "../../../src/graph/tensor.js";
import { gatherRows } from "../../../src/ops/gather.js";
import type { Case, Sample } from "../battery.js";

const CLOCK_ROW = 2; // the clock's word that says where the batch begins

/** The rows order[clock.row], order[clock.row + 1], … of the data. */
function gatherCase([rows, ...rest]: Shape, batch: number, isOrdered: boolean): Case {
  const width = rest.reduce((a, b) => a * b, 1);
  const clock = { shape: [16], domain: { classes: rows - batch + 1 } };
  const order = { shape: [rows], domain: { classes: rows } };
  return {
    name: `${batch} of [${[rows, ...rest].join(", ")}]${isOrdered ? ", in another order" : ""}`,
    inputs: [{ shape: [rows, ...rest] }, clock, ...(isOrdered ? [order] : [])],
    apply: (data, clockTensor, orderTensor) => gatherRows(data, orderTensor, clockTensor, batch),
    reference: (data, { [CLOCK_ROW]: first }, places) =>
      Float64Array.from({ length: batch * width }, (_, index) => {
        const row = first + Math.floor(index / width);
        return data[(places ? places[row] : row) * width + (index % width)];
      }),
    differentiable: [false, false, false],
  };
}

export const gatherSamples = {
  gatherRows: {
    cases: [1, 3, 4, 5, 8, 9]
      .flatMap((width) => [gatherCase([7, width], 4, false), gatherCase([7, width], 4, true)])
      .concat([gatherCase([5], 3, true), gatherCase([6, 2, 3], 6, true)]),
  },
} satisfies Record<string, Sample>;
