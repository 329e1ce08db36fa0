// A row for each export of "steepest/quantize".
import * as S from "steepest";
import * as quantization from "steepest/quantize";
import type { Row } from "../sweep.js";

const trainer = S.compileSync(S.sequential({ input: [2] }, S.dense(3)), { loss: S.crossEntropy(), seed: 1 });
const x = () => Float32Array.of(0.1, 0.2, 0.3, 0.4);
const small = await quantization.quantize(trainer, { calibration: x() });
const bytes = quantization.encodeQuantized(small);
const numbers = ["array", "typed array", "number"] as const;
const dispose = (made: unknown): void => (made as { dispose(): void }).dispose();
/** Nobody waits for the threads of an engine that is thrown away: one stands for all. */
const oneThread = (options: unknown) => {
  const { threads } = (options ?? {}) as { threads?: unknown };
  const isMany = Number.isInteger(threads) && (threads as number) > 1 && (threads as number) <= 64;
  return (isMany ? { ...(options as object), threads: 1 } : options) as never;
};

export const quantizeRows: readonly Row[] = [
  {
    name: "quantize",
    call: ((given: never, options: unknown, ...rest: []) =>
      quantization.quantize(given, oneThread(options), ...rest)) as never,
    good: () => [trainer, { calibration: x(), percentile: 99, skip: "0.bias", build: "strict", threads: 1 }],
    opaque: ["0"],
    required: ["1.calibration"],
    // An error of the samples says "x", one of the engine its option.
    where: [/^x\b/, "engine", "threads"],
    accepts: { "1.calibration": numbers, "1.skip": ["array"], "1.skip.*": ["string"] },
    after: dispose,
  },
  {
    name: "predict",
    call: small.predict as never,
    good: () => [x()],
    where: [/^x\b/],
    accepts: { "0": numbers },
  },
  {
    name: "compareQuantized",
    call: quantization.compareQuantized as never,
    good: () => [trainer, small, x(), Uint32Array.of(0, 2)],
    opaque: ["0", "1"],
    optional: ["3"],
    where: [/^x\b/, /^classes\b/],
    accepts: { "2": numbers, "3": numbers },
  },
  {
    name: "encodeQuantized",
    call: quantization.encodeQuantized as never,
    good: () => [small, { metadata: { by: "me" } }],
    opaque: ["0"],
    optional: ["1"],
    records: ["1.metadata"],
  },
  {
    name: "decodeQuantized",
    call: ((given: never, options: unknown, ...rest: []) =>
      quantization.decodeQuantized(given, oneThread(options), ...rest)) as never,
    good: () => [bytes, { build: "strict", threads: 1, custom: {} }, "a file"],
    optional: ["1", "2"],
    records: ["1.custom"],
    where: ["quantized model", "engine", "threads"],
    accepts: { "0": ["object"] },
    after: dispose,
  },
];

export const namesOfQuantize = Object.keys(quantization);
