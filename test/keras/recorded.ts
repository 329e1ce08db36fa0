// What record.mjs and record.py have written, and how it is compared.
import { readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
import { compileSync, type Engine, type Model } from "steepest";
import { expect } from "vitest";

interface Values {
  readonly name: string;
  readonly data: readonly number[];
}

export interface Recorded {
  readonly inputs: readonly Values[];
  readonly outputs: readonly Pick<Values, "data">[];
}

export interface RecordedJson extends Recorded {
  readonly json: {
    readonly modelTopology: Record<string, unknown>;
    readonly weightsManifest: readonly { readonly paths: readonly string[]; readonly weights: readonly object[] }[];
  };
  readonly weights: string;
}

const read = (name: string) => JSON.parse(readFileSync(new URL(`../golden/${name}.json`, import.meta.url), "utf8"));

export const ofTensorFlowJs: Readonly<Record<string, RecordedJson>> = read("tensorFlowJs");

const packed: Readonly<Record<"keras" | "h5", Readonly<Record<string, string>>>> & {
  readonly own: Recorded & { readonly file: string };
  readonly masked: Recorded & { readonly file: string };
} = read("keras");

const unpacked = (text: string): Uint8Array => new Uint8Array(inflateSync(Buffer.from(text, "base64")));

export const archives = Object.entries(packed.keras).map(([name, text]) => [name, unpacked(text)] as const);
export const olderFiles = Object.entries(packed.h5).map(([name, text]) => [name, unpacked(text)] as const);
export const own = { ...packed.own, bytes: unpacked(packed.own.file) };
export const masked = { ...packed.masked, bytes: unpacked(packed.masked.file) };

/** Holds a model's predictions against those that were recorded, all within 1e-5 of an output's largest. */
export async function expectPredictions(engine: Engine, model: Model, { inputs, outputs }: Recorded): Promise<void> {
  const trainer = compileSync(model as never, { engine });
  const given = inputs.map(({ name, data }) => [name, Float32Array.from(data)] as const);
  const x = given.length === 1 ? given[0][1] : Object.fromEntries(given);
  const made = (await trainer.predict(x as never)) as unknown;
  trainer.dispose();
  const all = ArrayBuffer.isView(made) ? [made as Float32Array] : Object.values(made as Record<string, Float32Array>);
  expect(all.length).toBe(outputs.length);
  all.forEach((output, index) => {
    const { data } = outputs[index];
    const largest = Math.max(...data.map(Math.abs));
    expect(output.length).toBe(data.length);
    const worst = data.reduce((most, value, at) => Math.max(most, Math.abs(output[at] - value)), 0);
    expect(worst / largest, `output ${index}`).toBeLessThan(1e-5);
    expect(output.every(Number.isFinite)).toBe(true);
  });
}
