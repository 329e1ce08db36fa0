// A search that goes on from its journal gives what one gives that was never stopped.
import { execFile, spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { hyperband, integers, type Journal, latinHypercube, randomSearch, search, uniform } from "steepest/search";
import { afterAll, describe, expect, test } from "vitest";
import trial from "./fixtures/trial.mjs";

const folder = mkdtempSync(join(tmpdir(), "steepest-journal-"));
afterAll(() => rmSync(folder, { recursive: true }));

const space = { x: uniform(-1, 1), y: integers(0, 9) };
const strategy = hyperband({ maxBudget: 9 });
const options = { strategy, seed: 3 };

class Memory implements Journal {
  constructor(public text = "") {}
  read = () => this.text;
  append = async (text: string) => {
    await turn();
    this.text += text;
  };
}

/** How often the function is called, besides the result. */
const counted = async (journal: Journal | string, more: object = {}) => {
  let calls = 0;
  const run = (input: Parameters<typeof trial>[0]) => {
    calls += 1;
    return trial(input);
  };
  const result = await search(space, run, { ...options, journal, ...more });
  return { calls, trials: result.trials, best: result.best, table: result.table() };
};

const whole = new Memory();
const expected = await counted(whole, { concurrency: 4 });

test("a line for the search and one for each trial; a finished search runs nothing again", async () => {
  expect(whole.text.trim().split("\n")).toHaveLength(1 + expected.trials.length);
  expect(expected.calls).toBe(expected.trials.length);
  const before = whole.text;
  expect(await counted(whole)).toEqual({ ...expected, calls: 0 });
  expect(whole.text).toBe(before);
});

test("it goes on at every line, with other trials at once, and ends with a journal that is whole", async () => {
  const lines = whole.text.slice(1).split("\n");
  for (let kept = 0; kept <= lines.length; kept++) {
    const journal = new Memory(
      lines
        .slice(0, kept)
        .map((line) => `\n${line}`)
        .join(""),
    );
    expect(await counted(journal, { concurrency: 1 + (kept % 4) })).toEqual({
      ...expected,
      calls: expected.calls - Math.max(0, kept - 1),
    });
    expect(journal.text.slice(1).split("\n").sort()).toEqual([...lines].sort());
  }
});

test("a torn line is run again, wherever it is torn: the head, a trial, and torn twice", async () => {
  const head = whole.text.slice(1).split("\n")[0].length + 1;
  const cuts = [1, 2, 20, head - 1, head, head + 1, head + 2, head + 30, whole.text.length - 60, whole.text.length - 1];
  for (const cut of cuts) {
    const journal = new Memory(whole.text.slice(0, cut));
    expect((await counted(journal, { concurrency: 8 })).trials).toEqual(expected.trials);
    // And once more: what was torn is still in there.
    const torn = new Memory(journal.text.slice(0, -7));
    expect(await counted(torn, { concurrency: 8 })).toMatchObject({ calls: 1, trials: expected.trials });
    expect(await counted(torn)).toMatchObject({ calls: 0, trials: expected.trials });
  }
});

test("of two lines of a trial the first counts", async () => {
  const lines = whole.text.slice(1).split("\n");
  const again = lines.find((line) => line.includes('"score"')) as string;
  const journal = new Memory(`${whole.text}\n${again.replace(/"score":[^,]*/, '"score":-1000')}`);
  expect(await counted(journal)).toEqual({ ...expected, calls: 0 });
});

test("one append has ended before the next begins, however many trials run", async () => {
  const journal = new Memory();
  let [open, most] = [0, 0];
  const append = async (text: string) => {
    most = Math.max(most, ++open);
    await journal.append(text);
    open -= 1;
  };
  await counted({ read: journal.read, append }, { concurrency: 8 });
  expect(most).toBe(1);
});

describe("it is refused, and not written to", () => {
  const refused = async (journal: Memory, run: () => Promise<unknown>, message: RegExp) => {
    const before = journal.text;
    await expect(run()).rejects.toThrow(message);
    expect(journal.text).toBe(before);
  };
  const again = (other: object) => search(space, trial, { ...options, journal: whole, ...other });

  test("if it is of another search", async () => {
    await refused(whole, () => again({ seed: 4 }), /journal must be of this search, got one with another seed \(3\)/);
    await refused(whole, () => again({ direction: "maximize" }), /another direction \("minimize"\)/);
    await refused(
      whole,
      () => again({ strategy: randomSearch({ trials: 2 }) }),
      /another strategy \(\{"kind":"hyperband"/,
    );
    const run = () => search({ ...space, y: integers(0, 8) }, trial, { ...options, journal: whole });
    await refused(whole, run, /another space/);
  });

  test("if it is none", async () => {
    for (const text of ["hello\n", '{"a":1}\n', "3", '\n{"format":"steepest search 2"}']) {
      const other = new Memory(text);
      await refused(other, () => counted(other), /journal must be empty, or of a search, got/);
    }
  });

  test("if its trials are others", async () => {
    const changed = new Memory(whole.text.replace(/"parameters":\{"x":[^,]*,/, '"parameters":{"x":0,'));
    await refused(changed, () => counted(changed), /must have the trials of this search, got another trial \d+/);
    const longer = new Memory(whole.text.replace('"budget":1,', '"budget":2,'));
    await refused(longer, () => counted(longer), /must have the trials of this search, got another trial \d+/);
  });
});

test("what an append throws ends the search", async () => {
  const full = { read: () => "", append: () => Promise.reject(new Error("no space")) };
  await expect(counted(full)).rejects.toThrow("no space");
  await expect(counted(join(folder, "nosuch", "journal"))).rejects.toThrow(
    /search: journal must be a file that can be read and written, got ".*" \(ENOENT\)/,
  );
  await expect(counted(folder)).rejects.toThrow(
    /journal must be a file that can be read and written, got ".*" \(EISDIR\)/,
  );
});

const source = fileURLToPath(new URL("../../src/platform/nodeSearch.ts", import.meta.url));
const program = (journal: string) => `
import { hyperband, integers, search, uniform } from ${JSON.stringify(`file://${source}`)};
const result = await search(
  { x: uniform(-1, 1), y: integers(0, 9) },
  new URL(${JSON.stringify(new URL("./fixtures/trial.mjs", import.meta.url).href)}),
  { strategy: hyperband({ maxBudget: 9 }), seed: 3, concurrency: 2, workers: "processes", journal: ${JSON.stringify(journal)} },
);
console.log(JSON.stringify(result.trials));
`;

test("a process that is killed again and again comes to the same end", async () => {
  const [file, journal] = [join(folder, "program.mjs"), join(folder, "killed.jsonl")];
  writeFileSync(file, program(journal));
  const args = ["--import", "tsx", file];
  const linesOf = () => (existsSync(journal) ? readFileSync(journal, "utf8").split("\n").length : 0);
  for (const lines of [3, 9, 15]) {
    const child = spawn(process.execPath, args, { stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)));
    while (linesOf() < lines) await turn();
    child.kill("SIGKILL");
    expect(await ended).toBe("SIGKILL");
    // As a kill within a write would leave it.
    appendFileSync(journal, '\n{"number":21,"sco');
  }
  expect(linesOf()).toBeLessThan(1 + expected.trials.length);
  const printed = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, args, (error, out) => (error ? reject(error) : resolve(out)));
  });
  expect(JSON.parse(printed)).toEqual(JSON.parse(JSON.stringify(expected.trials)));
});

test("a Latin hypercube goes on too", async () => {
  const journal = new Memory();
  const run = (more: object = {}) => search(space, trial, { strategy: latinHypercube({ trials: 7 }), ...more });
  const { trials } = await run({ journal });
  const half = new Memory(journal.text.split("\n").slice(0, 4).join("\n"));
  expect((await run({ journal: half })).trials).toEqual(trials);
  expect((await run()).trials).toEqual(trials);
});
