// A row for each export of "steepest/onnx".
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as S from "steepest";
import * as onnx from "steepest/onnx";
import type { Row } from "../sweep.js";

const trainer = S.compileSync(S.sequential({ input: [3] }, S.dense(2)), { seed: 1 });
const bytes = await onnx.toOnnx(trainer);
const path = join(mkdtempSync(join(tmpdir(), "steepest-onnx-")), "model.onnx");
// Every text is a path: one that may be written stands for all.
const within = (given: unknown) => (typeof given === "string" && given !== "" ? path : given) as string;
// Not gone into: its methods are its own.
const held = Object.create(trainer) as typeof trainer;

export const onnxRows: readonly Row[] = [
  {
    name: "toOnnx",
    call: onnx.toOnnx as never,
    good: () => [held, { batch: 2, foldBatchNorm: true }],
    optional: ["1"],
  },
  {
    name: "saveOnnx",
    where: ["toOnnx"],
    call: ((of: typeof trainer, to: unknown, ...rest: []) => onnx.saveOnnx(of, within(to), ...rest)) as never,
    good: () => [held, path, { batch: 2, foldBatchNorm: true }],
    optional: ["2"],
  },
  {
    name: "fromOnnx",
    where: ["functional"],
    call: onnx.fromOnnx as never,
    good: () => [bytes, { shapes: { x: [3] } }],
    optional: ["1"],
    accepts: { "0": ["object"] },
  },
];

export const namesOfOnnx = Object.keys(onnx);
