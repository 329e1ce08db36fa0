import { readdir, readFile } from "node:fs/promises";
import { afterAll, describe, expect, test } from "vitest";
import { disposeEngines, whyUnavailable } from "../../bench/engines.js";
import { CheckError, type Implementation, LeftOut, type PeerWork } from "../../bench/workload.js";
import { type LayerCase, layerCases } from "../../bench/workloads/layerCases.js";
import { layerWorkload, layerWorkloads } from "../../bench/workloads/layers.js";
import { elements } from "../../src/engine/instructions.js";
import { apply, type Operation } from "../../src/graph/operation.js";
import type { Tensor } from "../../src/graph/tensor.js";
import * as steepest from "../../src/index.js";
import { customGradient, scale } from "../../src/ops/index.js";

afterAll(disposeEngines);

const cases = Object.entries(layerCases) as [keyof typeof layerCases, LayerCase][];
const variants = (["steepest-strict-1", "steepest-fast-1", "steepest-strict-2", "steepest-fast-2"] as const).filter(
  (name) => whyUnavailable(name, 2) === undefined,
);

// That none is missing the compiler says too: by the types of what is exported.
test("every layer that is exported is measured", async () => {
  const folder = new URL("../../src/nn/", import.meta.url);
  const sources = await Promise.all((await readdir(folder)).map((file) => readFile(new URL(file, folder), "utf8")));
  const declared = sources
    .flatMap((source) => source.split(/^export (?:function|const) /m).slice(1))
    .map((text) => text.split(/ \{\n| =>/)[0])
    .flatMap((signature) => (/\): (?:Embedding)?Layer\b/.test(signature) ? (signature.match(/^\w+/) ?? []) : []));
  const exported = declared.filter((name) => Object.hasOwn(steepest, name));
  expect(exported.length).toBeGreaterThan(70);
  expect(Object.keys(layerCases).sort()).toEqual([...new Set(exported)].sort());
  // Those that take more than x are applied by a layer, or a model, of one tensor.
  const applied = cases.filter(([, { layer }]) => !["sequential", "twice", "unpooled"].includes(layer.kind));
  expect(applied.length).toBeGreaterThan(85);
  for (const [name, { layer }] of applied) expect(layer.kind).toBe(name);
});

const NOTHING_TO_COMPUTE = ["identity", "flatten", "reshape"];

// Its results are compared with ours whenever it is timed.
test("every layer that computes something is in PyTorch's table, but for one that has no gradient there", async () => {
  const source = await readFile(new URL("../../bench/peers/pytorchLayers.py", import.meta.url), "utf8");
  const named = [...source.matchAll(/^ {4}"(\w+)": /gm)].map(([, name]) => name);
  const expected = Object.entries(layerCases)
    .filter(([name, layerCase]) => ![...NOTHING_TO_COMPUTE, "step"].includes(name) && !("alone" in layerCase))
    .map(([name]) => name);
  expect(named.sort()).toEqual(expected.sort());
});

test("a peer is told the values, and held to our results", async () => {
  const workload = layerWorkload("relu", { ...layerCases.relu, batch: 2 });
  const work: PeerWork | undefined = await workload.forPeers?.();
  if (work === undefined) throw new Error("there must be work for peers");
  const { task, check } = work;
  if (task.kind !== "layer") throw new Error(`kind ${task.kind}`);
  const { x, upstream, places } = task;
  const [y, dx] = [
    places[0].map((i) => Math.max(0, x.values[i])),
    places[1].map((i) => (x.values[i] > 0 ? upstream.values[i] : 0)),
  ];
  check([...y, ...dx], true);
  expect(() => check([...dx, ...y], true)).toThrow(CheckError);
});

describe.each(cases)("%s", (name, layerCase) => {
  const workload = layerWorkload(name, { ...layerCase, batch: 2 });

  test.each(variants)("passes its checks in %s", async (implementation) => {
    if (NOTHING_TO_COMPUTE.includes(name)) {
      await expect(workload.prepare(implementation)).rejects.toThrow(LeftOut);
    } else {
      const contestant = await workload.prepare(implementation);
      contestant.run(2);
      contestant.dispose();
    }
  });
});

describe("work", () => {
  const measureOf = (name: keyof typeof layerCases) => {
    const found = layerWorkloads().find((workload) => workload.name === `layers-${name}`);
    return [found?.metric, found?.work];
  };
  const pixels = 32 * 32 * 32;

  test("of layers that multiply: two operations for each weight and pixel, three times over", () => {
    expect(measureOf("dense")).toEqual(["gflops", 6 * 128 * 512 * 512]);
    expect(measureOf("conv2d")).toEqual(["gflops", 6 * pixels * 9 * 32 * 32]);
    expect(measureOf("depthwiseConv2d")).toEqual(["gflops", 6 * pixels * 9 * 32]);
    expect(measureOf("separableConv1d")).toEqual(["gflops", 6 * 32 * 128 * (3 * 64 + 64 * 64)]);
    expect(measureOf("convTranspose2d")).toEqual(["gflops", 6 * pixels * 4 * 32 * 32]);
  });

  test("of others: bytes of input, output and parameters and of their gradients", () => {
    expect(measureOf("relu")).toEqual(["gbytes-s", 4 * 4 * 128 * 512]);
    expect(measureOf("maxPool2d")).toEqual(["gbytes-s", 4 * 2 * (pixels + pixels / 4) * 32]);
    expect(measureOf("layerNorm")).toEqual(["gbytes-s", 4 * 2 * (2 * 32 * 128 * 64 + 2 * 64)]);
    expect(measureOf("oneHot")).toEqual(["gbytes-s", 4 * 32 * 128 * (1 + 64)]);
  });
});

test("plain JavaScript convolves, and does no other layer", async () => {
  const [conv, relu] = ["layers-conv2d", "layers-relu"].map((name) => layerWorkloads().find((w) => w.name === name));
  const contestant = await conv?.prepare("javascript");
  expect(contestant).toBeDefined();
  await expect(relu?.prepare("javascript")).rejects.toThrow(new LeftOut("not written in plain JavaScript"));
});

describe("is refused:", () => {
  const prepare = (f: (x: Tensor) => Tensor, implementation: Implementation) => {
    const build: steepest.Layer["build"] = (_place, inputShape) => {
      return { outputShape: inputShape, parameters: [], apply: f };
    };
    return layerWorkload("wrong", { layer: { kind: "wrong", build }, batch: 4, sample: [33] }).prepare(implementation);
  };
  const twice = (x: Tensor) => scale(x, 2);

  test.each(variants)("a gradient that is not that of the output, in %s", async (name) => {
    const slightly = (x: Tensor) => customGradient([x], twice, (gradient) => scale(gradient, 2.01));
    await expect(prepare(slightly, name)).rejects.toThrow(CheckError);
    await expect(prepare(slightly, name)).rejects.toThrow(/^gradients: a small change must raise the output by /);
    (await prepare(twice, name)).dispose();
  });

  test("a result that another program does not give", async () => {
    let programs = 0;
    const differing: Operation = {
      name: "differing",
      infer: ([x]) => [{ shape: x.shape }],
      forward(record, { to: [y] }) {
        programs += 1;
        record.initializeConstant(elements(132), y, 132, programs);
      },
      backward: () => [undefined],
    };
    const differ = prepare((x) => apply(differing, [x], undefined), "steepest-strict-1");
    await expect(differ).rejects.toThrow(CheckError);
    await expect(differ).rejects.toThrow(
      /^result 0 beside that of steepest-\w+-1: must be 2 ± 0\.000040 at index 0, got 1$/,
    );
  });
});
