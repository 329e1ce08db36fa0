// What goes to stdout and what to stderr: files, words for people, an object for programs.
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { bytesOf, outputOf, program, resultOf, run, temporaryFolder } from "./processes.js";

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

const unfinished = (): string[] => readdirSync(cwd).filter((name) => name.endsWith(".tmp"));
const start = (...args: string[]) => spawn(process.execPath, [program, ...args], { cwd, stdio: "pipe" });

describe.skipIf(process.platform === "win32")("whoever reads goes away", () => {
  /** Reads a little of stdout, then closes it. What is said to be read is never read to its end. */
  async function readALittle(...args: string[]): Promise<{ code: number; stderr: string }> {
    const child = start(...args);
    let stderr = "";
    child.stderr.on("data", (piece) => (stderr += piece));
    const closed = once(child, "exit");
    await once(child.stdout, "data");
    child.stdout.destroy();
    const [code] = await closed;
    return { code, stderr };
  }

  test("rows that nobody reads end the command, without a word", async () => {
    writeFileSync(file("many.csv"), `size,kind,tall\n${trees.join("").repeat(1000)}`);
    expect(await readALittle("predict", "model.safetensors", "many.csv", "--keep", "all")).toEqual({
      code: 0,
      stderr: "",
    });
  });

  test("words that nobody reads keep no model from being saved", async () => {
    const ended = await readALittle(...TRAIN, "--output", "unheard.safetensors");
    expect(ended).toEqual({ code: 0, stderr: "" });
    expect(readFileSync(file("unheard.safetensors"))).toEqual(readFileSync(file("model.safetensors")));
  });

  test.skipIf(!existsSync("/dev/full"))("a full disk behind stdout is an error in one sentence", async () => {
    const child = spawn(
      "/bin/sh",
      ["-c", '"$0" "$1" predict model.safetensors trees.csv > /dev/full', process.execPath, program],
      { cwd },
    );
    let stderr = "";
    child.stderr.on("data", (piece) => (stderr += piece));
    const [code] = await once(child, "close");
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^steepest: cannot write to stdout: no space left on the disk.*\n$/),
    ]);
  });
});

describe.skipIf(process.platform === "win32")("what a command writes", () => {
  test.each(["SIGINT", "SIGTERM"] as const)("%s leaves nothing of it, and what was there before", async (signal) => {
    writeFileSync(file("answers.csv"), "before");
    const child = start("predict", "model.safetensors", "-", "--output", "answers.csv");
    child.stdin.write(`size,kind,tall\n${trees.join("").repeat(50)}`);
    await expect.poll(unfinished).toHaveLength(1);
    child.kill(signal);
    expect(await once(child, "close")).toEqual([null, signal]);
    expect([unfinished(), readFileSync(file("answers.csv"), "utf8")]).toEqual([[], "before"]);
  });

  test("a link stays a link, permissions stay, and a device is no file to be replaced", async () => {
    writeFileSync(file("real.csv"), "before");
    chmodSync(file("real.csv"), 0o640);
    symlinkSync("real.csv", file("link.csv"));
    await resultOf(["predict", "model.safetensors", "trees.csv", "--output", "link.csv"], { cwd });
    expect(lstatSync(file("link.csv")).isSymbolicLink()).toBe(true);
    expect(readFileSync(file("real.csv"), "utf8")).toMatch(/^prediction\n/);
    expect(statSync(file("real.csv")).mode & 0o777).toBe(0o640);
    await resultOf(["predict", "model.safetensors", "trees.csv", "--output", "/dev/null"], { cwd });
    expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
  });

  test("a folder in its place is refused before any work", async () => {
    mkdirSync(file("folder"));
    for (const args of [
      ["train", "none.csv", "--target", "tall", "--output", "folder"],
      ["train", "none.csv", "--target", "tall", "--report", "folder"],
      ["digits", "--save", "folder", "--data", "none"],
      ["report", "none.jsonl", "--output", "folder"],
      ["predict", "model.safetensors", "none.csv", "--output", "folder"],
    ]) {
      const { code, stderr } = await run(args, { cwd });
      expect([code, stderr]).toEqual([
        1,
        expect.stringMatching(/^steepest \w+: cannot write file "folder" .*: this is a folder: name a file in it\n$/),
      ]);
    }
  });

  // The system lets its first user write anywhere.
  test.skipIf(process.getuid?.() === 0)("a folder that may not be written to is refused before any work", async () => {
    mkdirSync(file("locked"), { mode: 0o555 });
    for (const args of [
      ["train", "none.csv", "--target", "tall", "--output", "locked/model.safetensors"],
      ["digits", "--save", "locked/digits.safetensors", "--data", "none"],
      ["predict", "model.safetensors", "none.csv", "--output", "locked/answers.csv"],
      ["convert", "model.safetensors", "locked/model.npz"],
    ]) {
      const { code, stderr } = await run(args, { cwd });
      expect([code, stderr]).toEqual([1, expect.stringMatching(/cannot write file "locked\/.*permission denied/)]);
    }
  });
});

test("help COMMAND is COMMAND --help", async () => {
  const [one, other] = await Promise.all([run(["help", "train"], { cwd }), run(["train", "--help"], { cwd })]);
  expect(one).toEqual(other);
  expect(one).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/^usage: steepest train /) });
});
