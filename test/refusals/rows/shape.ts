// Rows for what moves, joins, chooses and orders elements.
import * as ops from "steepest/graph";
import { input } from "steepest/graph";
import type { Row } from "../sweep.js";

const x = input([2, 6]);
const image = input([2, 3, 1, 4]);
const indices = input([2], { dtype: "uint32" });

export const shapeRows: readonly Row[] = [
  { name: "reshape", call: ops.reshape, good: () => [x, [3, 4]] },
  { name: "flatten", call: ops.flatten, good: () => [image, 1], optional: ["1"] },
  {
    name: "squeeze",
    call: ops.squeeze,
    good: () => [image, 2],
    optional: ["1"],
    accepts: { "1": ["array"], "1.0": ["number"] },
  },
  { name: "squeeze", call: ops.squeeze, good: () => [image, [2]], optional: ["1"], accepts: { "1": ["number"] } },
  { name: "expandDims", call: ops.expandDims, good: () => [x, 1] },
  { name: "broadcastTo", call: ops.broadcastTo, good: () => [x, [3, 2, 6]] },
  { name: "repeat", call: ops.repeat, good: () => [x, 2, 1] },
  { name: "tile", call: ops.tile, good: () => [x, [1, 3]] },
  { name: "transpose", call: ops.transpose, good: () => [x, [1, 0]], optional: ["1"] },
  { name: "flip", call: ops.flip, good: () => [x, [0, 1]], optional: ["1"], accepts: { "1": ["number"] } },
  {
    name: "slice",
    call: ops.slice,
    good: () => [x, [0, 1], [2, 5], [1, 2]],
    optional: ["2", "3", "1.*", "2.*", "3.*"],
  },
  {
    name: "pad",
    call: ops.pad,
    good: () => [
      x,
      [
        [0, 1],
        [2, 2],
      ],
      { mode: "constant", value: 1 },
    ],
    optional: ["2"],
    nan: ["2.value"],
  },
  {
    name: "pad",
    call: ops.pad,
    good: () => [
      x,
      [
        [0, 0],
        [2, 2],
      ],
      { mode: "reflect" },
    ],
    optional: ["2"],
  },
  { name: "concatenate", call: ops.concatenate, good: () => [[x, x], 1], optional: ["1"] },
  { name: "stack", call: ops.stack, good: () => [[x, x], 1], optional: ["1"] },
  {
    name: "split",
    call: ops.split,
    good: () => [x, 3, 1],
    optional: ["2"],
    accepts: { "1": ["array"], "1.0": ["number"] },
  },
  { name: "split", call: ops.split, good: () => [x, [2, 4], 1], optional: ["2"], accepts: { "1": ["number"] } },
  {
    name: "attention",
    call: ops.attention,
    good: () => {
      const [q, memory] = [input([2, 3, 8]), input([2, 5, 4])];
      const bias = input([3, 5]);
      const own = {
        slopes: input([2]),
        start: input([2, 1]),
        mask: input([2, 5]),
        lengths: input([2], { dtype: "uint32" }),
      };
      const random = { clock: input([16], { dtype: "uint32" }), seed: [0, 0], stream: 0 };
      const options = { heads: 2, keyHeads: 1, scale: 0.5, causal: true, window: 4, bias, ...own };
      return [q, memory, memory, { ...options, dropout: { rate: 0.5, ...random } }];
    },
    optional: ["3"],
    required: ["3.heads", "3.keyHeads", "3.dropout.rate", "3.dropout.clock", "3.dropout.seed", "3.dropout.stream"],
  },
  { name: "alibiSlopes", call: ops.alibiSlopes, good: () => [4], check: () => {} },
  {
    name: "rotary",
    call: ops.rotary,
    good: () => [input([2, 3, 8]), { heads: 2, features: 2, base: 100, interleaved: true, start: input([2, 1]) }],
    optional: ["1"],
  },
  {
    name: "sinusoids",
    call: ops.sinusoids,
    good: () => [3, 8, { base: 100, start: input([2, 1]) }],
    optional: ["2"],
  },
  {
    name: "appendRows",
    call: ops.appendRows,
    good: () => [input([2, 5, 4]), input([2, 1, 4]), input([2, 1])],
  },
  { name: "embedding", call: ops.embedding, good: () => [x, indices, { paddingIndex: 1 }], optional: ["2"] },
  { name: "gather", call: ops.gather, good: () => [x, indices, 0], optional: ["2"] },
  {
    name: "gatherAlong",
    call: ops.gatherAlong,
    good: () => [x, input([2, 1], { dtype: "uint32" }), 1],
    optional: ["2"],
  },
  { name: "scatterAdd", call: ops.scatterAdd, good: () => [x, indices, input([2, 6]), 0], optional: ["3"] },
  { name: "scatterUpdate", call: ops.scatterUpdate, good: () => [x, indices, input([2, 6]), 0], optional: ["3"] },
  {
    name: "scatterAddAlong",
    call: ops.scatterAddAlong,
    good: () => [x, input([2, 1], { dtype: "uint32" }), input([2, 1]), 1],
    optional: ["3"],
  },
  {
    name: "scatterUpdateAlong",
    call: ops.scatterUpdateAlong,
    good: () => [x, input([2, 1], { dtype: "uint32" }), input([2, 1]), 1],
    optional: ["3"],
  },
  { name: "segmentSum", call: ops.segmentSum, good: () => [x, indices, 4] },
  { name: "gatherNd", call: ops.gatherNd, good: () => [x, input([3, 2], { dtype: "uint32" })] },
  { name: "scatterNd", call: ops.scatterNd, good: () => [input([3, 2], { dtype: "uint32" }), input([3]), [2, 6]] },
  { name: "scatterAddNd", call: ops.scatterAddNd, good: () => [x, input([3, 2], { dtype: "uint32" }), input([3])] },
  {
    name: "scatterUpdateNd",
    call: ops.scatterUpdateNd,
    good: () => [x, input([3, 2], { dtype: "uint32" }), input([3])],
  },
  {
    name: "roll",
    call: ops.roll,
    good: () => [x, 2, 1],
    optional: ["2"],
    accepts: { "1": ["array"], "1.0": ["number"], "2": ["array"], "2.0": ["number"] },
  },
  { name: "roll", call: ops.roll, good: () => [x, [2, 1], [0, 1]], accepts: { "1": ["number"], "2": ["number"] } },
  {
    name: "diagonal",
    call: ops.diagonal,
    good: () => [image, { offset: 1, axes: [1, 3] }],
    optional: ["1"],
  },
  { name: "pixelShuffle", call: ops.pixelShuffle, good: () => [image, 2] },
  { name: "pixelUnshuffle", call: ops.pixelUnshuffle, good: () => [input([2, 4, 4, 3]), 2] },
  { name: "diagonalMatrix", call: ops.diagonalMatrix, good: () => [x, { offset: 1 }], optional: ["1"] },
  { name: "oneHot", call: ops.oneHot, good: () => [indices, 4] },
  { name: "sort", call: ops.sort, good: () => [x, { axis: 1, descending: true }], optional: ["1"] },
  { name: "topK", call: ops.topK, good: () => [x, 2, { axis: 1, largest: false }], optional: ["2"] },
];
