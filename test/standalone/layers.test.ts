// Every layer in a standalone file: the bits of the trainer. Many models go into one file, which has an input and an output for each.

import * as S from "steepest";
import { toStandalone } from "steepest/standalone";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AnyModel } from "../../src/nn/model.js";
import { trained } from "../onnx/compared.js";
import { LAYERS } from "../onnx/layers.js";
import { randomInputs } from "../onnx/runtime.js";
import { createRandom } from "../ops/cases.js";
import { type Ours, opened } from "./opened.js";

let engine: S.Engine;
beforeAll(async () => {
  engine = await S.createEngine({ background: false, threads: 1 });
});
afterAll(() => engine.dispose());

/** One model that applies all of these, each to inputs of its own. */
function together(models: readonly AnyModel[]): AnyModel {
  const name = (index: number, key: string | undefined) => `m${index}${key ?? ""}`;
  const inputs = models.flatMap((model, index) =>
    model.inputs.map(({ key, shape, dtype }) => ({ name: name(index, key), shape, dtype })),
  );
  const input = Object.fromEntries(inputs.map(({ name, shape }) => [name, shape]));
  const dtype = Object.fromEntries(inputs.map(({ name, dtype }) => [name, dtype]));
  return S.functional({ input, dtype } as never, (given: unknown, { apply }) => {
    const x = given as Record<string, unknown>;
    const outputs: Record<string, unknown> = {};
    models.forEach((model, index) => {
      const alone = model.inputs[0].key === undefined;
      const own = alone
        ? x[name(index, undefined)]
        : Object.fromEntries(model.inputs.map(({ key }) => [key, x[name(index, key)]]));
      const result = (apply as unknown as (x: unknown, layer: unknown) => unknown)(own, model);
      if (model.outputs[0].key === undefined) outputs[name(index, undefined)] = result;
      else
        for (const { key } of model.outputs)
          outputs[name(index, key)] = (result as Record<string, unknown>)[key as string];
    });
    return outputs as never;
  }) as unknown as AnyModel;
}

const models = Object.values(LAYERS).flatMap((make) => make());
const plain = models.filter(({ states }) => states.size === 0);
const half = Math.ceil(plain.length / 2);
const groups = [plain.slice(0, half), plain.slice(half)];

test.each(groups.map((group, index) => [index, group] as const))("group %i", async (index, group) => {
  const random = createRandom(7 + index).uniform;
  const model = together(group);
  const trainer = trained(model, engine, random);
  const { load } = await opened(trainer, `layers${index}`, { batches: [2] });
  const { predict } = await load();
  for (const batch of [1, 3]) {
    const inputs = randomInputs(model, batch, random);
    const wanted = trainer.predictSync(inputs as never) as unknown as Record<string, Float32Array>;
    const got = predict(inputs) as Record<string, Float32Array>;
    expect(Object.keys(got)).toEqual(Object.keys(wanted));
    for (const [name, values] of Object.entries(wanted)) {
      expect(new Uint32Array(got[name].buffer), name).toEqual(new Uint32Array(values.buffer));
    }
  }
  trainer.dispose();
});

test("a model that keeps states is refused", async () => {
  const kept = models.filter(({ states }) => states.size > 0);
  expect(kept.length).toBeGreaterThan(0);
  for (const model of kept) {
    const trainer = trained(model, engine, createRandom(1).uniform);
    await expect(toStandalone(trainer as unknown as Ours)).rejects.toThrow(
      /must keep nothing from call to call, got .* with the states 0\./,
    );
    trainer.dispose();
  }
});
