// Models of TensorFlow.js, recorded by record.mjs with what they predict.
import { readFileSync } from "node:fs";
import { compileSync, createEngineSync, type Model } from "steepest";
import { fromTensorFlowJs } from "steepest/keras";
import { afterAll, describe, expect, test } from "vitest";

interface Recorded {
  readonly json: { readonly weightsManifest: readonly { readonly paths: readonly string[] }[] } & Record<string, unknown>;
  readonly weights: string;
  readonly inputs: readonly { readonly name: string; readonly shape: readonly number[]; readonly data: readonly number[] }[];
  readonly outputs: readonly { readonly shape: readonly number[]; readonly data: readonly number[] }[];
}

const recorded: Readonly<Record<string, Recorded>> = JSON.parse(
  readFileSync(new URL("../golden/tensorFlowJs.json", import.meta.url), "utf8"),
);
const engine = createEngineSync();
afterAll(() => engine.dispose());

/** What a model predicts for the recorded inputs, output by output. */
async function predicted(model: Model, { inputs }: Pick<Recorded, "inputs">): Promise<readonly Float32Array[]> {
  const trainer = compileSync(model as never, { engine });
  const given = inputs.map(({ name, data }) => {
    const inner = model.inputShape as unknown;
    expect(Array.isArray(inner) ? [name] : Object.keys(inner as object)).toContain(name);
    return [name, Float32Array.from(data)] as const;
  });
  const x = given.length === 1 ? given[0][1] : Object.fromEntries(given);
  const made = (await trainer.predict(x as never)) as unknown;
  trainer.dispose();
  return ArrayBuffer.isView(made) ? [made as Float32Array] : Object.values(made as Record<string, Float32Array>);
}

describe("a model of TensorFlow.js predicts what it does there", () => {
  test.each(Object.keys(recorded))("%s", async (name) => {
    const { json, weights, outputs, inputs } = recorded[name];
    const { model } = await fromTensorFlowJs(json, { weights: Buffer.from(weights, "base64") });
    const made = await predicted(model, { inputs });
    expect(made.length).toBe(outputs.length);
    made.forEach((output, index) => {
      const { data } = outputs[index];
      const largest = Math.max(...data.map(Math.abs));
      expect(output.length).toBe(data.length);
      data.forEach((value, at) => expect(Math.abs(output[at] - value), `${index}: ${at}`).toBeLessThan(1e-5 * largest));
    });
  });
});
