// The ONNX project's own cases of single operators: each gives what it must, or is refused by a rule that is listed here.
import { readFileSync } from "node:fs";
import { ModelError } from "steepest";
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodeModel } from "../../src/onnx/encode.js";
import { KNOWN_OTHERWISE } from "../../src/onnx/import.js";
import { fromOnnx } from "../../src/onnx/index.js";
import { elementReaders } from "../../src/onnx/readElements.js";
import { indexReaders } from "../../src/onnx/readIndices.js";
import { loopReaders } from "../../src/onnx/readLoops.js";
import { recurrentReaders } from "../../src/onnx/readRecurrent.js";
import { tensorReaders } from "../../src/onnx/readTensors.js";
import type { OnnxNode, OnnxTensor } from "../../src/onnx/schema.js";
import { signed } from "../../src/onnx/signatures.js";
import { wireLibrary } from "../../src/onnx/wire.js";
import { compileSync, createEngine, type Engine } from "../../src/platform/node.js";

import { createRandom } from "../ops/cases.js";
import { farthest } from "./compared.js";
import { eachRuntime, feedOf, hasRuntimes } from "./runtime.js";

interface Case {
  readonly name: string;
  readonly onnx: string;
  readonly y: readonly (number | string)[];
}

const cases: readonly Case[] = JSON.parse(readFileSync(new URL("operators/recorded.json", import.meta.url), "utf8"));

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ background: false, threads: 1 });
});
afterAll(() => engine.dispose());

/** What is refused, and by which words of the error. */
const REFUSED: readonly (readonly [name: RegExp, words: RegExp])[] = [
  [/^test_arg(max|min)_.*select_last_index/, /select_last_index must be 0, got 1/],
  [/^test_conv_with_autopad_same$/, /auto_pad must be .*, got "SAME_LOWER"/],
  [/^test_(gru|lstm|simple_rnn)_batchwise/, /layout must be 0, got 1/],
  [/^test_maxpool_with_argmax_2d_precomputed_strides/, /storage_order must be 0, got 1/],
  [/^test_resize_tf_crop_and_resize/, /mode must be one that is known here/],
  [/^test_resize_.*exclude_outside/, /exclude_outside must be 0, got 1/],
  [/^test_scan_sum$/, /must be of opset 9 or later, got 8/],
  [/^test_scatter(nd|_elements)_.*(mul|min|max)/, /reduction must be none or add/],
];

/**
 * Here, and in ONNX Runtime, corners are aligned of the size that there is, 2 of 2.4; in this reference of 2.4.
 */
const OTHERWISE = /^test_resize_downsample_scales_(linear|cubic)_align_corners$/;

test.each(cases.filter(({ name }) => !OTHERWISE.test(name)))("$name", async ({ name, onnx, y }) => {
  const read = fromOnnx(new Uint8Array(Buffer.from(onnx, "base64")));
  const [, refused] = REFUSED.find(([names]) => names.test(name)) ?? [];
  if (refused !== undefined) {
    await expect(read).rejects.toThrow(ModelError);
    await expect(read).rejects.toThrow(refused);
    return;
  }
  const trainer = compileSync((await read).model as never, { engine });
  const found = trainer.predictSync(Float32Array.of(1, 1) as never) as unknown as Float32Array;
  trainer.dispose();
  expect(found.length).toBe(2 * y.length);
  for (const [index, one] of [...y, ...y].entries()) {
    const wanted = one === "nan" ? Number.NaN : one === "inf" ? Infinity : one === "-inf" ? -Infinity : Number(one);
    if (Number.isFinite(wanted)) {
      expect(Math.abs(found[index] - wanted), `${index}: ${found[index]}, not ${wanted}`).toBeLessThanOrEqual(
        // Some of the cases were written down with four digits.
        (name.startsWith("test_gridsample") ? 1e-4 : 2e-5) * Math.max(1, Math.abs(wanted)),
      );
    } else expect(found[index]).toBe(wanted);
  }
});

test("what is refused has a case", () => {
  const unused = [...REFUSED.map(([names]) => names), OTHERWISE].filter(
    (names) => !cases.some(({ name }) => names.test(name)),
  );
  expect(unused).toEqual([]);
});

const random = createRandom(3).uniform;
const weights = (name: string, size: number): OnnxTensor => ({
  ...{ name, dims: [size], type: "float" },
  data: Float32Array.from({ length: size }, () => random() - 0.5),
});

interface Later {
  readonly attributes?: OnnxNode["attributes"];
  readonly weights?: readonly OnnxTensor[];
  /** Of a sample of the result. */
  readonly dims?: readonly number[];
}

/** Operators, or attributes, that version 1.12 has no cases of: what ONNX Runtime gives is what they must. */
const LATER: Readonly<Record<string, Later>> = {
  GatherND: {
    dims: [4, 2],
    attributes: { batch_dims: { i: 2 } },
    weights: [{ name: "places", dims: [2, 4, 1], type: "int64", data: Float64Array.of(0, 2, 1, 1, 2, 0, 0, 1) }],
  },
  Gelu: { attributes: { approximate: { s: "tanh" } } },
  Mish: {},
  LpNormalization: { attributes: { axis: { i: 1 }, p: { i: 1 } } },
  GroupNormalization: {
    attributes: { num_groups: { i: 2 }, epsilon: { f: 1e-3 } },
    weights: [weights("scale", 4), weights("shift", 4)],
  },
};

/** A file of one node over x [batch, 4, 3, 2]. */
async function fileOf(
  node: Pick<OnnxNode, "type" | "attributes">,
  weights: readonly OnnxTensor[],
  dims: readonly number[],
) {
  const value = (name: string, sizes: readonly number[]) =>
    ({ name, type: "float", dims: ["batch", ...sizes] }) as const;
  const inputs = ["x", ...weights.map(({ name }) => name)];
  return encodeModel(await wireLibrary("test"), {
    ...{ producer: "test", irVersion: 8, opsets: { "": 21 }, metadata: {} },
    graph: {
      name: "graph",
      nodes: [{ name: "", domain: "", inputs, outputs: ["y"], ...node }],
      initializers: weights,
      inputs: [value("x", [4, 3, 2])],
      outputs: [value("y", dims)],
    },
  });
}

const lines = ["scale", "shift", "mean", "variance"].map((name) => weights(name, 4));
const scales = [weights("region", 0), { ...weights("scales", 4), data: Float32Array.of(1, 1, 2, 2) }];

/** What would change the result, and is not known here. */
const UNKNOWN: readonly (readonly [type: string, OnnxNode["attributes"], readonly OnnxTensor[], words: RegExp])[] = [
  ["Resize", { antialias: { i: 1 } }, scales, /antialias must be 0, got 1/],
  ["Resize", { keep_aspect_ratio_policy: { s: "not_larger" } }, scales, /keep_aspect_ratio_policy must be "stretch"/],
  ["Resize", { axes: { ints: [2, 3] } }, scales, /axes must be left out/],
  ["BatchNormalization", { spatial: { i: 0 } }, lines, /spatial must be 1, got 0/],
  [
    "Relu",
    { alpha: { f: 1 } },
    [],
    /^fromOnnx: Relu "": must have the attributes of the operator, got "?alpha"? too: the file is damaged, or of a later opset than 21$/,
  ],
  [
    "Relu",
    {},
    [weights("more", 1)],
    /^fromOnnx: Relu "": must have at most 1 inputs, got 2: the file is damaged, or of a later opset than 21$/,
  ],
];

test.each(UNKNOWN)("%s of %j is refused", async (type, attributes, weights, words) => {
  const read = fromOnnx(await fileOf({ type, attributes }, weights, [4, 3, 2]));
  await expect(read).rejects.toThrow(ModelError);
  await expect(read).rejects.toThrow(words);
});

test.skipIf(!hasRuntimes).each(Object.entries(LATER))("%s gives what ONNX Runtime does", async (type, node) => {
  const { attributes = {}, weights = [], dims = [4, 3, 2] } = node;
  const bytes = await fileOf({ type, attributes }, weights, dims);
  const x = Float32Array.from({ length: 48 }, () => 4 * random() - 2);
  const trainer = compileSync((await fromOnnx(bytes)).model as never, { engine });
  const found = trainer.predictSync(x as never) as never;
  trainer.dispose();
  await eachRuntime(bytes, async ({ runtime, run }) => {
    const wanted = (await run({ x: feedOf(x, [2, 4, 3, 2], "float32") })).get("y");
    expect(farthest(found, Array.from(wanted?.data ?? [], Number)), runtime).toBeLessThan(1e-5);
  });
});

test("docs/onnx.md names every node that is read, and nearly each has a case", () => {
  const page = readFileSync(new URL("../../docs/onnx.md", import.meta.url), "utf8");
  const readers = { ...elementReaders, ...tensorReaders, ...indexReaders, ...recurrentReaders, ...loopReaders };
  const named = new Set(page.match(/[A-Z][A-Za-z0-9]+/g));
  const names = Object.keys(readers);
  expect([...signed].sort()).toEqual([...new Set([...names, ...KNOWN_OTHERWISE])].sort());
  expect(names.filter((name) => !named.has(name))).toEqual([]);
  const tried = new Set(
    cases.flatMap(
      ({ onnx }) =>
        Buffer.from(onnx, "base64")
          .toString("latin1")
          .match(/[A-Z]\w+/g) ?? [],
    ),
  );
  expect(names.filter((name) => !tried.has(name) && !Object.hasOwn(LATER, name))).toEqual([]);
});
