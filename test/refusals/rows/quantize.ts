// A row for each export of "steepest/quantize".

import * as S from "steepest";
import * as quantization from "steepest/quantize";
import type { Row } from "../sweep.js";

const trainer = S.compileSync(S.sequential({ input: [6] }, S.dense(5), S.relu(), S.dense(3)), {
  loss: S.crossEntropy(),
  seed: 1,
});
const samples = (count: number) => Float32Array.from({ length: count * 6 }, (_, i) => Math.sin(i));
const small = await quantization.quantize(trainer, { calibration: samples(20) });
const bytes = quantization.encodeQuantized(small);
const numbers = ["array", "typed array", "number"] as const;
const disposeOf = (result: unknown): void => (result as { dispose(): void }).dispose();

export const quantizeRows: readonly Row[] = [
  {
    name: "quantize",
    call: quantization.quantize as never,
    good: () => [trainer, { calibration: samples(4), percentile: 99.9, skip: ["none.*"], build: "strict", threads: 1 }],
    opaque: ["0"],
    required: ["1.calibration"],
    where: [/^x\b/, "createEngine", "build"],
    accepts: { "1.calibration": numbers, "1.skip": ["string", "array"], "1.skip.*": ["string"] },
    after: disposeOf,
  },
  {
    name: "encodeQuantized",
    call: quantization.encodeQuantized as never,
    good: () => [small, { metadata: { data: "spring" } }],
    opaque: ["0"],
    optional: ["1"],
    records: ["1.metadata"],
  },
  {
    name: "decodeQuantized",
    call: quantization.decodeQuantized as never,
    good: () => [bytes, { build: "strict", threads: 1, custom: {} }, "a file"],
    opaque: ["0"],
    optional: ["1", "2"],
    records: ["1.custom"],
    where: ["quantized model", "createEngine", "build"],
    after: disposeOf,
  },
  {
    name: "compareQuantized",
    call: quantization.compareQuantized as never,
    good: () => [trainer, small, samples(3), [0, 1, 2]],
    opaque: ["0", "1"],
    optional: ["3"],
    where: [/^x\b/, "classes", "predict"],
    accepts: { "2": numbers, "3": numbers, "3.*": numbers },
  },
];

/** Names of all functions of "steepest/quantize". */
export const namesOfQuantize: readonly string[] = Object.entries(quantization)
  .filter(([, value]) => typeof value === "function")
  .map(([name]) => name);
