// Standalone files as a program has them: written somewhere, imported from there.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { saveStandalone } from "steepest/standalone";
import { afterAll } from "vitest";

export type Ours = Parameters<typeof saveStandalone>[0];
export type Options = Parameters<typeof saveStandalone>[2];

/** What a file exports. */
export interface Opened {
  load(wasm?: unknown): Promise<{ predict(x: unknown): never }>;
}

const MODULES = fileURLToPath(new URL("../everywhere/node_modules/", import.meta.url));
const ending = process.platform === "win32" ? ".exe" : "";
const system = `${process.platform}-${process.arch}`;
const bunSystem = system.replace("arm64", "aarch64");

/** Programs that run a file, with what stands before it: this Node, and those of test/everywhere that are there. */
export const PROGRAMS: readonly (readonly [program: string, ...flags: string[]])[] = [
  [process.execPath],
  ...(
    [
      [`${MODULES}node20-${system}/bin/node${ending}`],
      [`${MODULES}node26-${system}/bin/node${ending}`],
      [`${MODULES}@deno/${system}-glibc/deno${ending}`, "run", "--no-prompt"],
      [`${MODULES}@oven/bun-${bunSystem}/bin/bun${ending}`],
    ] as const
  ).filter(([program]) => existsSync(program) && program !== process.execPath),
];

export const folder = mkdtempSync(join(tmpdir(), "steepest-standalone-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes the files of a trainer and imports the module. */
export async function opened(trainer: unknown, name: string, options?: Options): Promise<Opened & { files: string[] }> {
  const files = await saveStandalone(trainer as Ours, join(folder, `${name}.mjs`), options);
  const module = (await import(pathToFileURL(join(folder, `${name}.mjs`)).href)) as Opened;
  return { load: module.load, files };
}
