// Standalone files as a program has them: written somewhere, imported from there.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { saveStandalone } from "steepest/standalone";
import { afterAll } from "vitest";

export type Ours = Parameters<typeof saveStandalone>[0];
export type Options = Parameters<typeof saveStandalone>[2];

/** What a file exports. */
export interface Opened {
  load(wasm?: unknown): Promise<{ predict(x: unknown): never }>;
}

export const folder = mkdtempSync(join(tmpdir(), "steepest-standalone-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes the files of a trainer and imports the module. */
export async function opened(trainer: unknown, name: string, options?: Options): Promise<Opened & { files: string[] }> {
  const files = await saveStandalone(trainer as Ours, join(folder, `${name}.mjs`), options);
  const module = (await import(pathToFileURL(join(folder, `${name}.mjs`)).href)) as Opened;
  return { load: module.load, files };
}
