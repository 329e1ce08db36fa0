// steepest worker and steepest cluster as somebody meets them who calls them wrongly: what is wrong, what would be right, exit code 2.
// What they do with a Redis is in run.mjs.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run, temporaryFolder } from "../cli/processes.js";

const cwd = temporaryFolder();
writeFileSync(join(cwd, "broken.mjs"), "export default { model: 1 ");
writeFileSync(join(cwd, "empty.mjs"), "export default 3;");
writeFileSync(join(cwd, "seeded.mjs"), "export default { seed: 1 };");

// Nobody listens at port 1.
const NOWHERE = ["--redis", "redis://127.0.0.1:1"];

test.concurrent.each<[args: string[], code: number, says: RegExp]>([
  [["worker"], 2, /--job must be the file of a job, got none/],
  [["worker", "--job", "x.mjs", "--threads", "0"], 2, /--threads must be a whole number from 1 to \d+, got "0"/],
  [["worker", "--job", "x.mjs", "--lock", "soon"], 2, /--lock must be a number above 0, got "soon"/],
  [["worker", "--job", "x.mjs", "--colour", "red"], 2, /--colour/],
  [["worker", "--job", "none.mjs"], 1, /cannot read file ".*none\.mjs": no such file or folder/],
  [
    ["worker", "--job", "broken.mjs"],
    1,
    /the job's file must be a module that can be loaded, got an error of ".*broken\.mjs"/,
  ],
  [["worker", "--job", "empty.mjs"], 1, /a job must be an object \{ model, loss, optimizer, shard \}, got 3/],
  [["worker", "--job", "seeded.mjs"], 1, /seed must be left out of a job, got 1: it is an option of distribute/],
  [["cluster"], 2, /must be told status, pause, resume, stop or forget, got nothing/],
  [["cluster", "dance"], 2, /must be told status, pause, resume, stop or forget, got dance/],
  [["cluster", "pause"], 2, /pause must be told one run, by its name/],
  [["cluster", "status", "digits"], 2, /status takes no run/],
  [["cluster", "status", "--every", "0"], 2, /--every must be a number above 0, got "0"/],
  [["cluster", "pause", "digits", "--every", "1"], 2, /--every goes with status alone/],
  [["cluster", "status", "--redis", "nowhere"], 1, /connection must be an address such as "redis:\/\/localhost:6379"/],
  [
    ["cluster", "status", ...NOWHERE],
    1,
    /Redis must answer at 127\.0\.0\.1:1, got ".*ECONNREFUSED.*": check the address/,
  ],
])("steepest %j", async (args, code, says) => {
  const ended = await run(args, { cwd });
  expect(ended.stderr).toMatch(says);
  expect(ended.stderr).not.toMatch(/\n {4}at /); // no stack
  expect(ended.code).toBe(code);
  expect(ended.stdout).toBe("");
});

test.concurrent.each([
  ["worker", ["--job", "--redis", "--threads", "--name", "--lock", "--json"]],
  ["cluster", ["status", "pause", "resume", "stop", "forget", "--redis", "--json", "--every"]],
])("steepest %s --help lists what there is", async (command, words) => {
  const { code, stdout } = await run([command, "--help"], { cwd });
  for (const word of words) expect(stdout).toContain(word);
  expect(code).toBe(0);
});
