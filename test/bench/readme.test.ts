import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UsageError } from "../../bench/options.js";
import { checkPlace, MARKERS, showFigures, writeFigures } from "../../bench/readme.js";
import type { Entry } from "../../bench/report.js";
import type { Metric, Workload } from "../../bench/workload.js";

const [BEGIN, END] = MARKERS;

describe("the place in the file", () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "steepest-readme-"));
    file = join(folder, "README.md");
  });
  afterEach(() => rm(folder, { recursive: true }));

  test("is between the markers; the rest stays, and writing again changes nothing", async () => {
    await writeFile(file, `# Title\n\nbefore\n${BEGIN}\nold\nfigures\n${END}\nafter ${BEGIN}\n`);
    await checkPlace(file);
    await writeFigures(file, () => "new\nfigures");
    const expected = `# Title\n\nbefore\n${BEGIN}\n\nnew\nfigures\n\n${END}\nafter ${BEGIN}\n`;
    expect(await readFile(file, "utf8")).toBe(expected);
    await writeFigures(file, () => "new\nfigures");
    expect(await readFile(file, "utf8")).toBe(expected);
    expect(await readdir(folder)).toEqual(["README.md"]);
  });

  const remedy = `put ${BEGIN} and ${END} on lines of their own, where the figures go`;
  test.each([
    ["", `there are no lines ${BEGIN} and ${END}: ${remedy}`],
    [`${BEGIN}\n`, `there is no line ${END}: ${remedy}`],
    [`${END}\n`, `there is no line ${BEGIN}: ${remedy}`],
    [`a line with ${BEGIN}\n${END}\n`, `there is no line ${BEGIN}: ${remedy}`],
    [`${END}\n${BEGIN}\n`, `there must be one line ${BEGIN}, and after it one ${END}`],
    [`${BEGIN}\n${END}\n${BEGIN}\n`, `there must be one line ${BEGIN}, and after it one ${END}`],
  ])("is refused in %j, which stays as it is", async (text, message) => {
    await writeFile(file, text);
    await expect(checkPlace(file)).rejects.toThrow(new UsageError(`--readme: in "${file}" ${message}`));
    await expect(writeFigures(file, () => "new")).rejects.toThrow(UsageError);
    expect(await readFile(file, "utf8")).toBe(text);
  });

  test("may name what it shows", async () => {
    const begin = "<!-- bench:begin columns: pytorch-1, steepest-wide-1; rows: gemm-64,xor -->";
    await writeFile(file, `${begin}\n${END}\n`);
    await checkPlace(file);
    const seen: unknown[] = [];
    await writeFigures(file, (choice) => {
      seen.push(choice);
      return "new";
    });
    expect(seen).toEqual([{ columns: ["pytorch-1", "steepest-wide-1"], rows: ["gemm-64", "xor"] }]);
    expect(await readFile(file, "utf8")).toBe(`${begin}\n\nnew\n\n${END}\n`);
    for (const wrong of ["columns: pytorch; rows: xor", "columns: pytorch-1; rows: xor, gemm"]) {
      await writeFile(file, `<!-- bench:begin ${wrong} -->\n${END}\n`);
      const name = wrong.includes("gemm") ? "gemm" : "pytorch";
      await expect(checkPlace(file)).rejects.toThrow(`the first line names "${name}", which is not there`);
    }
  });

  test("must be in a file that can be read", async () => {
    await expect(checkPlace(file)).rejects.toThrow(UsageError);
    await expect(checkPlace(file)).rejects.toThrow(/^--readme: cannot read ".*README.md": ENOENT/);
  });
});

test("the figures: machine, a row a workload, a column for whoever was timed, remarks", () => {
  const workload = (name: string, metric: Metric, work: number): Workload => ({
    name,
    description: `what ${name} is`,
    metric,
    work,
    prepare: () => expect.fail("not called"),
  });
  const [tiny, step, rate] = [
    workload("tiny", "step-ms", 1),
    workload("step", "step-ms", 1),
    workload("rate", "gflops", 12e6),
  ];
  const median = (ms: number) => ({ best: ms, lowerQuartile: ms, median: ms, upperQuartile: ms, samples: 1 });
  const entries: Entry[] = [
    { workload: tiny, implementation: "steepest-strict-1", outcome: median(0.000_565_4) },
    { workload: tiny, implementation: "javascript", outcome: median(1.2345) },
    { workload: tiny, implementation: "jax-js", outcome: { leftOut: "not installed" } },
    { workload: step, implementation: "steepest-strict-1", outcome: median(0.39) },
    { workload: step, implementation: "javascript", outcome: { error: "wrong" } },
    { workload: step, implementation: "brain.js", outcome: { ...median(593.4), version: "2.0", note: "online" } },
    { workload: step, implementation: "jax-js", outcome: { leftOut: "not installed" } },
    { workload: rate, implementation: "steepest-strict-1", outcome: median(0.3) },
    { workload: rate, implementation: "brain.js", outcome: { leftOut: "no product" } },
    { workload: rate, implementation: "jax-js", outcome: { leftOut: "not installed" } },
  ];
  expect(showFigures(entries, "2026-11-21, a machine").split("\n")).toEqual([
    "2026-11-21, a machine.",
    "",
    "| median | steepest-strict-1 | javascript | brain.js |",
    "|---|---:|---:|---:|",
    "| `tiny`: what tiny is, µs | 0.565 | 1235 | – |",
    "| `step`: what step is, ms | 0.390 | failed | 593 |",
    "| `rate`: what rate is, GFLOP/s | 40.0 | – | – |",
    "",
    "Peers: brain.js 2.0.",
    "",
    "Not quite the same work:",
    "",
    "- brain.js: online (step)",
    "",
    "Left out:",
    "",
    "- jax-js: not installed (everywhere)",
    "- brain.js: no product (rate)",
  ]);
});

test("chosen figures: these rows and columns in this order, without remarks", () => {
  const workload = (name: string): Workload => ({ ...({} as Workload), name, description: name, metric: "step-ms" });
  const timed = (name: string, implementation: Entry["implementation"], ms: number): Entry => ({
    workload: workload(name),
    implementation,
    outcome: { best: ms, lowerQuartile: ms, median: ms, upperQuartile: ms, samples: 1, version: "1" },
  });
  const entries = [
    timed("xor", "steepest-strict-1", 1),
    timed("xor", "pytorch-1", 2),
    timed("cnn", "steepest-strict-1", 3),
    timed("cnn", "javascript", 4),
    timed("gru", "steepest-strict-1", 5),
    { workload: workload("cnn"), implementation: "pytorch-1", outcome: { leftOut: "no" } } as const,
  ];
  const choice = { columns: ["pytorch-1", "steepest-wide-1", "steepest-strict-1"], rows: ["cnn", "lstm", "xor"] };
  expect(showFigures(entries, "a machine", choice).split("\n")).toEqual([
    "a machine.",
    "",
    "| median | pytorch-1 | steepest-strict-1 |",
    "|---|---:|---:|",
    "| `cnn`: cnn, ms | – | 3.00 |",
    "| `xor`: xor, ms | 2.00 | 1.00 |",
  ]);
});

describe("the figures in the repository", () => {
  const root = new URL("../../", import.meta.url);

  test("docs/benchmarks.md has the place for them", async () => {
    await expect(checkPlace(fileURLToPath(new URL("docs/benchmarks.md", root)))).resolves.toBeUndefined();
  });

  const figuresOf = async (name: string) => {
    const text = await readFile(new URL(name, root), "utf8");
    const cells = (line: string) => line.split("|").map((cell) => cell.trim());
    const lines = text.slice(text.indexOf("<!-- bench:begin"), text.indexOf(END)).split("\n");
    const [head, ...rows] = lines.filter((line) => line.startsWith("| ")).map(cells);
    return { environment: lines.filter((line) => line.includes("medians of")), head, rows };
  };

  test("README's few are those of docs/benchmarks.md", async () => {
    const [few, all] = [await figuresOf("README.md"), await figuresOf("docs/benchmarks.md")];
    expect(few.rows.length).toBeGreaterThan(2);
    expect(few.head.length).toBeGreaterThan(4);
    for (const row of few.rows) {
      const other = all.rows.find(([, name]) => name === row[1]) ?? expect.fail(row[1]);
      expect(row).toEqual(few.head.map((column) => other[all.head.indexOf(column)]));
    }
    expect(all.environment).toEqual(expect.arrayContaining(few.environment));
  });

  test("README has its place too", async () => {
    await expect(checkPlace(fileURLToPath(new URL("README.md", root)))).resolves.toBeUndefined();
  });
});
