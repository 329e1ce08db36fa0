// What a user downloads stays within its budgets: scripts/sizes.mjs bundles programs with esbuild and weighs them.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

test("kernels, the facade of a simple program, and what a bundler can leave out", async () => {
  const script = fileURLToPath(new URL("../scripts/sizes.mjs", import.meta.url));
  const output = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, [script], (error, out) => (error ? reject(new Error(out)) : resolve(out)));
  });
  expect(output.match(/\d+ bytes gzipped, budget \d+/g)).toHaveLength(4);
});
