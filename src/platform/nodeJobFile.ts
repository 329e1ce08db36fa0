// A job's file: loaded, and what its machine must have in common with others.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { contractOf } from "../cluster/contract.js";
import type { LoadedJob } from "../cluster/host.js";
import { SteepestError } from "../engine/errors.js";
import { type FilePath, pathOf, readFileBytes } from "./files.js";
import { kernelFile } from "./nodeKernels.js";

const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

export async function loadJobFile(where: string, address: unknown): Promise<LoadedJob> {
  const path = resolve(pathOf(where, address as FilePath));
  const bytes = await readFileBytes(path);
  const contract = contractOf(digestOf(await readFile(kernelFile("strict.wasm"))), digestOf(bytes));
  let loaded: { default?: unknown };
  try {
    loaded = await import(/* webpackIgnore: true */ pathToFileURL(path).href);
  } catch (cause) {
    throw new SteepestError(
      `${where}: the job's file must be a module that can be loaded, got an error of ${JSON.stringify(path.slice(-200))}: ${(cause as Error).message}`,
      { cause },
    );
  }
  return { job: loaded.default, contract };
}
