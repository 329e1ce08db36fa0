// What goes to stdout and what to stderr: files, words for people, an object for programs.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { bytesOf, outputOf, resultOf, run, temporaryFolder } from "./processes.js";

const cwd = temporaryFolder();
const file = (name: string): string => join(cwd, name);
const TRAIN = ["train", "trees.csv", "--target", "tall", "--epochs", "3", "--seed", "2"];
const trees = Array.from({ length: 60 }, (_, i) => `${(i * 37) % 50},${["oak", "ash"][i % 2]},${(i * 37) % 50 > 24}\n`);

beforeAll(async () => {
  writeFileSync(file("trees.csv"), `size,kind,tall\n${trees.join("")}`);
  await resultOf(TRAIN, { cwd });
});

test("a model on stdout has the bytes of the file; words and the object go to stderr", async () => {
  const { stdout, stderr, code } = await bytesOf([...TRAIN, "--output", "-", "--json"], { cwd });
  expect([code, stdout.equals(readFileSync(file("model.safetensors")))]).toEqual([0, true]);
  expect(stderr).toMatch(/binary: scores of 9 rows that were held back/);
  const named = await resultOf(TRAIN, { cwd });
  expect(JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "")).toEqual({ ...named, model: null });
  // Without --json it is the same: stdout is the file's alone.
  const plain = await bytesOf([...TRAIN, "--output", "-"], { cwd });
  expect(plain.stdout.equals(stdout)).toBe(true);
  expect(plain.stderr).not.toMatch(/\n\{/);
});

test.each([
  [["convert", "model.safetensors", "-", "--to", "npz", "--json"], { from: "model.safetensors", to: null }],
  [
    ["export", "model.safetensors", "-", "--json"],
    { model: "model.safetensors", files: [], classes: ["false", "true"] },
  ],
])("%j: the file on stdout, the object in the last line of stderr", async (args, expected) => {
  const { code, stdout, stderr } = await bytesOf(args, { cwd });
  expect(JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "")).toMatchObject(expected);
  const silent = args.filter((one) => one !== "--json");
  expect([code, Buffer.compare(stdout, await outputOf(silent, { cwd }))]).toEqual([0, 0]);
});

test("report --json has the page and the logs that are in it", async () => {
  const record = { type: "epoch", epoch: 1, step: 4, samples: 8, durationMs: 1, samplesPerSecond: 8000, loss: 0.5 };
  writeFileSync(file("run.jsonl"), `${JSON.stringify(record)}\n`);
  const args = ["report", "run.jsonl", "--output", "page.html", "--title", "Oaks", "--json"];
  const { code, stdout, stderr } = await run(args, { cwd });
  expect([code, stderr]).toEqual([0, "wrote page.html, with 1 run\n"]);
  expect(JSON.parse(stdout)).toEqual({ report: "page.html", title: "Oaks", logs: ["run.jsonl"] });
  expect(readFileSync(file("page.html"), "utf8")).toContain("Oaks");
});
