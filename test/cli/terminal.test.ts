// The program on a terminal: bars and colours are there, and nowhere else. What makes the terminal is `script` of util-linux.
import { execFile, execFileSync } from "node:child_process";
import { createWriteStream, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { encodeNpy } from "steepest/io";
import { beforeAll, describe, expect, test } from "vitest";
import { program, resultOf, run, temporaryFolder } from "./processes.js";

const cwd = temporaryFolder();
const file = (name: string): string => join(cwd, name);
const text = (name: string): string => readFileSync(file(name), "utf8");

function hasScript(): boolean {
  try {
    return execFileSync("script", ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).includes(
      "util-linux",
    );
  } catch {
    return false;
  }
}

/** The environment without what says how a terminal is: that must not follow from where the tests run. */
function clean(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const { NO_COLOR, FORCE_COLOR, COLORTERM, CI, ...rest } = process.env;
  return { ...rest, SHELL: "/bin/sh", TERM: "xterm-256color", ...more };
}

interface Shown {
  readonly code: number;
  /** All that the terminal got, of stdout and stderr. */
  readonly screen: string;
}

/** Runs a line of the shell on a terminal. `steepest` in it is the program. */
function onTerminal(line: string, env: Readonly<Record<string, string>> = {}, see = (_: string) => {}): Promise<Shown> {
  const command = `steepest() { "${process.execPath}" "${program}" "$@"; }; ${line}`;
  return new Promise((resolve) => {
    const options = { cwd, env: clean(env) };
    const child = execFile("script", ["-qec", command, "/dev/null"], options, (error, stdout) => {
      resolve({ code: error === null ? 0 : Number(error.code), screen: stdout });
    });
    let screen = "";
    child.stdout?.on("data", (piece) => {
      screen += piece;
      see(screen);
    });
    child.stdin?.end();
  });
}

/** Writes to what a command reads, and knows what the terminal has so far. */
type Feed = (write: (piece: string | Uint8Array) => void, screen: () => string) => Promise<void>;

/** The same, with stdin from a pipe. */
async function fedOnTerminal(line: string, feed: Feed): Promise<Shown> {
  const pipe = `pipe${pipes++}`;
  execFileSync("mkfifo", [file(pipe)]);
  let screen = "";
  const ended = onTerminal(`{ ${line}; } < ${pipe}`, {}, (text) => {
    screen = text;
  });
  const stream = createWriteStream(file(pipe));
  await feed(
    (piece) => void stream.write(piece),
    () => screen,
  );
  stream.end();
  return ended;
}

/** One piece after another until the screen shows something, then the rest. */
const until =
  (shown: RegExp, pieces: readonly (string | Uint8Array)[]): Feed =>
  async (write, screen) => {
    for (const piece of pieces) {
      write(piece);
      if (!shown.test(screen())) await pause(20);
    }
  };

let pipes = 0;
const COLOUR = new RegExp(`${"\u001b"}\\[[\\d;]*m`);
const BAR = /\d%/;
const TRAIN = "steepest train trees.csv --target tall --epochs 20 --seed 2";
const rows = Array.from({ length: 900 }, (_, i) => `${(i * 37) % 50},${["oak", "ash"][i % 2]},${(i * 37) % 50 > 24}\n`);
// For more time than any start of a process takes.
const table = ["size,kind,tall\n", ...Array.from({ length: 5 }, () => rows).flat()];

beforeAll(async () => {
  const rows = Array.from(
    { length: 900 },
    (_, i) => `${(i * 37) % 50},${["oak", "ash"][i % 2]},${(i * 37) % 50 > 24}\n`,
  );
  writeFileSync(file("trees.csv"), `size,kind,tall\n${rows.join("")}`);
  await resultOf(["train", "trees.csv", "--target", "tall", "--epochs", "1"], { cwd });
});

describe.skipIf(!hasScript())("on a terminal (script of util-linux makes it)", () => {
  test("train has bars and colours, and leaves the cursor and the wrapping of lines alone", async () => {
    const { code, screen } = await onTerminal(TRAIN);
    expect(code).toBe(0);
    expect(screen).toMatch(/epoch 1\/20 .{24} \d+% {2}loss/);
    expect(screen).toMatch(/epoch 20\/20 {2}loss/);
    expect(screen).toContain("\u001b[32msaved\u001b[39m model.safetensors");
    for (const change of ["\u001b[?25l", "\u001b[?7l"]) expect(screen).not.toContain(change);
  });

  test.each<[string, Record<string, string>, { bar: boolean; colours: boolean }]>([
    ["NO_COLOR", { NO_COLOR: "1" }, { bar: true, colours: false }],
    ["TERM=dumb", { TERM: "dumb" }, { bar: false, colours: false }],
    ["TERM=dumb and FORCE_COLOR", { TERM: "dumb", FORCE_COLOR: "1" }, { bar: false, colours: true }],
  ])("%s", async (_, env, { bar, colours }) => {
    const { code, screen } = await onTerminal(TRAIN, env);
    expect([code, BAR.test(screen), COLOUR.test(screen)]).toEqual([0, bar, colours]);
    const { screen: help } = await onTerminal("steepest train --help", env);
    expect([COLOUR.test(help), help.includes("examples:")]).toEqual([colours, true]);
  });

  test("what is redirected gets neither, and the other stream keeps both", async () => {
    const { screen } = await onTerminal(`${TRAIN} --json > result.json`);
    expect(JSON.parse(text("result.json")).task).toBe("binary");
    expect([BAR.test(screen), COLOUR.test(screen)]).toEqual([true, true]);
    const silent = await onTerminal(`${TRAIN} --json 2> words.txt`);
    expect(JSON.parse(silent.screen).task).toBe("binary");
    expect(text("words.txt")).toContain("saved model.safetensors");
    expect([BAR.test(text("words.txt")), COLOUR.test(text("words.txt"))]).toEqual([false, false]);
  });

  test.concurrent.each([
    ["predict", "predict model.safetensors - --output slow.csv", /predict {2}[\d,]+ rows {2}[\d.]+ (KiB|B)/],
    ["predict into a file", "predict model.safetensors - > slow2.csv", /predict {2}[\d,]+ rows/],
    ["evaluate", "evaluate model.safetensors -", /evaluate {2}[\d,]+ rows {2}[\d.]+ (KiB|B)/],
    ["train", "train - --target tall --epochs 1 --output slow.safetensors", /read {2}[\d,]+ rows {2}[\d.]+ (KiB|B)/],
  ])("%s shows how many rows it has read, if that takes more than a second", async (_, line, shown) => {
    const { code, screen } = await fedOnTerminal(`steepest ${line}`, until(shown, table));
    expect(screen).toMatch(shown);
    expect(code).toBe(0);
  });

  test("convert shows how many bytes it has read, bench where it is", async () => {
    const bytes = encodeNpy({ shape: [10_000], data: new Float32Array(10_000) });
    const pieces = Array.from({ length: bytes.length / 16 }, (_, at) => bytes.subarray(16 * at, 16 * at + 16));
    const shown = /convert {2}read [\d.]+ (KiB|B)/;
    const converted = await fedOnTerminal("steepest convert - slow.npz", until(shown, pieces));
    expect(converted.screen).toMatch(shown);
    expect(converted.code).toBe(0);
    const { code, screen } = await onTerminal("steepest bench --seconds 0.4");
    expect([code, screen]).toEqual([0, expect.stringMatching(/bench .{24} \d+% {2}\w+ {2}[\d.]+ s left/)]);
  });

  test("beside rows there is no bar, nor beside a pager", async () => {
    for (const more of ["", " | cat"]) {
      const { screen } = await fedOnTerminal(`steepest predict model.safetensors -${more}`, async (write, screen) => {
        write(table.slice(0, 2000).join(""));
        while (!screen().includes("true")) await pause(20);
        await pause(1100); // after which there would be one
        write(table.slice(2000).join(""));
      });
      expect(screen).toMatch(/^prediction\r\n((true|false)\r\n){4500}$/);
    }
  });

  test("bytes that are no text are refused", async () => {
    for (const line of [
      "train trees.csv --target tall --output -",
      "convert model.safetensors - --to npz",
      "export model.safetensors -",
    ]) {
      const { code, screen } = await onTerminal(`steepest ${line}`);
      expect(code).toBe(2);
      expect(screen).toMatch(/stdout must be a file or a program for what is no text, got a terminal: add > FILE/);
    }
  });
});

test("FORCE_COLOR has colours in a pipe too, NO_COLOR comes before it, and there are no bars", async () => {
  const args = ["train", "trees.csv", "--target", "tall", "--epochs", "2"];
  const forced = await run(args, { cwd, env: { ...clean({ FORCE_COLOR: "1" }), NO_COLOR: "" } });
  expect([forced.code, forced.stdout.includes("\u001b[32msaved"), BAR.test(forced.stdout)]).toEqual([0, true, false]);
  const both = await run(args, { cwd, env: { FORCE_COLOR: "1", NO_COLOR: "1" } });
  expect(both.stdout + both.stderr).not.toContain("\u001b");
});
