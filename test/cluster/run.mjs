// npm run test:cluster -- [--quick] [--json FILE] [--require-all] [CASE …]: trainings over a Redis of their own, while workers,
// coordinators, Redis and cables are killed, frozen, cut and damaged. Each must end with the bits of the run that one process does alone.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { casesOf } from "./cases.mjs";

const { values: given, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    "require-all": { type: "boolean", default: false },
    json: { type: "string" },
    node: { type: "string", multiple: true, default: [process.execPath] },
  },
});
const results = [];

function whyNoRedis() {
  try {
    execFileSync("redis-server", ["--version"], { stdio: "ignore" });
    return undefined;
  } catch {
    return given["require-all"] ? undefined : "redis-server is not installed";
  }
}

let [passed, failed, skipped] = [0, 0, 0];
for (const [name, { quick, missing, run }] of Object.entries(casesOf(given))) {
  if (wanted.length > 0 ? !wanted.some((word) => name.includes(word)) : given.quick && !quick) continue;
  // What is missing may be required; what the system does not permit cannot.
  const reason = whyNoRedis() ?? missing?.();
  if (reason !== undefined) {
    console.log(`skipped: ${name} (${reason})`);
    skipped += 1;
    continue;
  }
  const begin = performance.now();
  let result;
  try {
    result = { passed: true, ...(await run()) };
    passed += 1;
  } catch (error) {
    result = { passed: false, error: error.message };
    failed += 1;
  }
  const seconds = Math.round((performance.now() - begin) / 100) / 10;
  results.push({ case: name, ...result, seconds });
  console.log(
    `${result.passed ? "passed" : "FAILED"}: ${name} (${seconds} s)${result.error ? `\n${result.error}` : ""}`,
  );
  if (given.json) writeFileSync(given.json, `${JSON.stringify(results, null, 2)}\n`);
}
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exit(failed > 0 ? 1 : 0);
