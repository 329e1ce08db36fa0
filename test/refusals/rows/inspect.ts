// A row for each export of "steepest/inspect".

import * as library from "ml-pca";
import * as S from "steepest";
import * as inspect from "steepest/inspect";
import type { Row } from "../sweep.js";

const trainer = S.compileSync(S.sequential({ input: [3, 3, 1] }, S.conv2d(2, 2), S.relu(), S.flatten(), S.dense(3)), {
  loss: S.crossEntropy(),
  seed: 1,
});
// Flat, as nested arrays of samples are swept in the rows of trainers.
const image = () => Float32Array.from({ length: 9 }, (_, i) => 0.1 * i - 0.2);
const numbers = ["array", "typed array", "number"] as const;
const samples = {
  opaque: ["0"],
  // An error of the samples says "x" or "baseline".
  where: [/^x\b/, "compileFunction"],
  accepts: {
    "1": numbers,
    "2.layers": ["string", "array"],
    "2.layers.*": ["string"],
    "2.target": ["number"],
    "2.target.*": ["number"],
    "2.baseline": numbers,
  },
} as const;
const score = { target: [2] };
const shaped = { shape: [2, 2, 1, 2], data: [1, 2, 3, 4, 5, 6, 7, 8] };
const tiles = { scale: 2, columns: 2, range: "all" };
const direction = () => new Map([["3.bias", { data: [1, -1, 0.5] }]]);

export const inspectRows: readonly Row[] = [
  {
    name: "activations",
    call: inspect.activations as never,
    good: () => [trainer, image(), { layers: ["0", "3"] }],
    optional: ["2"],
    ...samples,
  },
  {
    name: "activationGradients",
    call: inspect.activationGradients as never,
    good: () => [trainer, image(), { layers: "0", ...score }],
    optional: ["2"],
    ...samples,
  },
  {
    name: "saliency",
    call: inspect.saliency as never,
    good: () => [trainer, image(), { absolute: false, ...score }],
    optional: ["2"],
    ...samples,
  },
  {
    name: "integratedGradients",
    call: inspect.integratedGradients as never,
    good: () => [trainer, image(), { baseline: image(), steps: 2, ...score }],
    optional: ["2"],
    ...samples,
  },
  {
    name: "gradCam",
    call: inspect.gradCam as never,
    good: () => [trainer, image(), { layer: "1", resized: true, ...score }],
    optional: ["2"],
    ...samples,
  },
  {
    name: "lossLandscape",
    call: inspect.lossLandscape as never,
    good: () => [trainer, { x: image(), y: [1] }, { points: 3, range: 0.5, seed: 1, directions: [direction()] }],
    optional: ["2"],
    opaque: ["0", "1", "2.directions.0"],
    where: ["data"],
  },
  {
    name: "principalComponents",
    call: inspect.principalComponents as never,
    good: () => [
      [
        [1, 2],
        [3, 4],
        [0, 1],
      ],
      { components: 1, library },
    ],
    optional: ["1"],
    opaque: ["1.library"],
    accepts: { "0": numbers, "0.*": numbers },
  },
  {
    name: "filterTiles",
    call: inspect.filterTiles as never,
    records: ["0"],
    good: () => [{ ...shaped }, { ...tiles }],
    optional: ["1"],
  },
  {
    name: "channelTiles",
    call: inspect.channelTiles as never,
    records: ["0"],
    good: () => [{ ...shaped }, 1, { ...tiles }],
    optional: ["1", "2"],
  },
  {
    name: "mapTiles",
    call: inspect.mapTiles as never,
    records: ["0"],
    good: () => [{ ...shaped }, { ...tiles }],
    optional: ["1"],
  },
];

/** Names of all functions of "steepest/inspect". */
export const namesOfInspect: readonly string[] = Object.entries(inspect)
  .filter(([, value]) => typeof value === "function")
  .map(([name]) => name);
