// train, predict and evaluate as a user meets them: real files in, files and lines out.
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parse } from "csv-parse/sync";
import { compile, crossEntropy } from "steepest";
import { readCsv, type TableTransformData, tableTransformFrom } from "steepest/data";
import { loadModel } from "steepest/io";
import { accuracy } from "steepest/metrics";
import { beforeAll, describe, expect, test } from "vitest";
import { type Ended, resultOf, run, temporaryFolder } from "./processes.js";

const cwd = temporaryFolder();
const weather = fileURLToPath(new URL("../../node_modules/vega-datasets/data/seattle-weather.csv", import.meta.url));
const file = (name: string): string => join(cwd, name);
const lines = (text: string): string[] => text.trimEnd().split("\n");

/** What a spreadsheet may write: quotes with delimiters, breaks and quotes in them, letters beyond ASCII, missing values. */
function pubs(delimiter: string): string {
  const street = (i: number) =>
    [`"Rue de l'Église${delimiter} ${i}"`, `"Am ""Markt"" ${i}"`, `"first\nsecond ${i}"`][i % 3];
  const rows = Array.from({ length: 240 }, (_, i) => {
    const beer = 2 + ((i * 37) % 50) / 10;
    const town = ["Köln", "Zürich", "Málaga"][i % 3];
    const price = i % 11 === 5 ? "NA" : beer.toFixed(1);
    const smoke = i % 13 === 6 ? "" : i % 2 === 0 ? "yes" : "no";
    return [i, street(i), town, price, smoke, beer > 4.4 || town === "Zürich" ? "dear" : "cheap"].join(delimiter);
  });
  return `${["id", "street", "town", "beer", "smoke", "cost"].join(delimiter)}\n${rows.join("\n")}\n`;
}

const TRAIN = ["--target", "cost", "--drop", "id", "--epochs", "40", "--seed", "3"];
let trained: Ended;
beforeAll(async () => {
  writeFileSync(file("pubs.csv"), pubs(","));
  trained = await run(
    ["train", "pubs.csv", ...TRAIN, "--output", "pubs.safetensors", "--report", "pubs.html", "--json"],
    { cwd },
  );
});

describe("steepest train", () => {
  test("finds the task and the columns, saves, reports, and says so in the last line", () => {
    expect(trained.code, trained.stderr).toBe(0);
    expect(lines(trained.stdout)).toHaveLength(1);
    const result = JSON.parse(trained.stdout);
    expect(result).toMatchObject({
      ...{ task: "binary", target: "cost", samples: 240, parts: { training: 168, validation: 36, test: 36 } },
      ...{ classes: ["cheap", "dear"], model: "pubs.safetensors", report: "pubs.html" },
    });
    expect(Object.keys(result.metrics)).toEqual([
      "accuracy",
      "precision",
      "recall",
      "f1",
      "rocAuc",
      "averagePrecision",
      "logLoss",
    ]);
    expect(result.metrics.accuracy).toBeGreaterThan(0.85);
    expect(result.baseline.accuracy).toBeLessThan(0.7);
    expect(trained.stderr).toMatch(/street +text +0 .* left out/);
    expect(trained.stderr).toMatch(/beer +number +22 /);
    expect(trained.stderr).toMatch(/town +category +0 .* 3 features, one-hot/);
    expect(readFileSync(file("pubs.html"), "utf8")).toMatch(/"type":"evaluation"/);
  });

  test("the scores are those of the part that was held back", async () => {
    const { model } = await loadModel(file("pubs.safetensors"));
    const { test: held } = await readCsv(readFileSync(file("pubs.csv")), {
      ...{ target: "cost", columns: { id: "drop" }, seed: 3 },
    });
    const predictor = await compile(model, { loss: crossEntropy() });
    const probabilities = await predictor.predict(held.x);
    predictor.dispose();
    const answers = Array.from(held.y, (_, row) => Number(probabilities[2 * row + 1] > probabilities[2 * row]));
    expect(held.y).toHaveLength(36);
    expect(JSON.parse(trained.stdout).metrics.accuracy).toBe(accuracy(answers, [...held.y]));
  });

  test.each([
    ["UTF-8 with a mark", (text: string) => Buffer.from(`\ufeff${text}`), []],
    ["UTF-16", (text: string) => Buffer.from(`\ufeff${text}`, "utf16le"), []],
    ["windows-1252", (text: string) => Buffer.from(text, "latin1"), ["--encoding", "windows-1252"]],
    ["line breaks of Windows", (text: string) => Buffer.from(text.replaceAll("\n", "\r\n")), []],
  ])("%s, with semicolons, gives the same model", async (name, encode, options) => {
    const path = `${name.replaceAll(/\W/g, "")}.csv`;
    writeFileSync(file(path), encode(pubs(";")));
    const output = `${path}.safetensors`;
    const { metrics } = await resultOf(["train", path, ...TRAIN, ...options, "--output", output], { cwd });
    expect(metrics).toEqual(JSON.parse(trained.stdout).metrics);
    expect(readFileSync(file(output)).equals(readFileSync(file("pubs.safetensors")))).toBe(true);
  });

  test("regression and several classes, of a file of weather", async () => {
    copyFileSync(weather, file("weather.csv"));
    const numbers = await resultOf(
      ["train", "weather.csv", "--target", "temp_max", "--epochs", "15", "--output", "max.safetensors"],
      { cwd },
    );
    expect(numbers).toMatchObject({ task: "regression", samples: 1461, classes: [] });
    const { rSquared, rootMeanSquaredError } = numbers.metrics as Record<string, number>;
    expect(rSquared).toBeGreaterThan(0.7);
    expect(rootMeanSquaredError).toBeLessThan(
      (numbers.baseline as { rootMeanSquaredError: number }).rootMeanSquaredError / 2,
    );
    const input = readFileSync(weather, "utf8");
    const classes = await resultOf(["train", "-", "--target", "weather", "--epochs", "15", "--hidden", "24"], {
      cwd,
      input,
    });
    expect(classes).toMatchObject({ task: "classes", classes: ["drizzle", "fog", "rain", "snow", "sun"] });
    expect((classes.metrics as Record<string, number>).accuracy).toBeGreaterThan(0.7);
    expect(existsSync(file("model.safetensors"))).toBe(true);
  });

  test("for people: a table, no progress without a terminal, no colours without one", async () => {
    const { code, stdout, stderr } = await run(
      ["train", "pubs.csv", ...TRAIN, "--epochs", "3", "--output", "short.safetensors"],
      { cwd },
    );
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/trained 3 epochs of 168 rows in [\d.]+ s; the model is that of epoch \d/);
    expect(stdout).toMatch(/binary: scores of 36 rows that were held back\n {2}accuracy +0\.\d+\n/);
    expect(stdout).toMatch(/always "\w+", the most frequent class: accuracy 0\.\d+/);
    expect(stdout).toMatch(/saved short\.safetensors/);
    expect(stdout).not.toContain("\u001b");
    expect(stdout).not.toMatch(/epoch 1\/3/);
  });
});

describe("steepest predict", () => {
  test("answers each row, in its place, with what the library answers", async () => {
    const { code, stdout, stderr } = await run(
      ["predict", "pubs.safetensors", "pubs.csv", "--keep", "id,street", "--probabilities"],
      { cwd },
    );
    expect([code, stderr]).toEqual([0, ""]);
    const [head, ...rows] = parse(stdout) as string[][];
    expect(head).toEqual(["id", "street", "prediction", "p(cheap)", "p(dear)"]);
    const given = parse(pubs(","), { columns: true }) as Record<string, string>[];
    expect(rows.map(([id, street]) => [id, street])).toEqual(given.map(({ id, street }) => [id, street]));
    const { model, preprocessing } = await loadModel(file("pubs.safetensors"));
    const transform = tableTransformFrom(preprocessing.table as TableTransformData);
    const predictor = await compile(model, { loss: crossEntropy() });
    const expected = await predictor.predict(transform.transform(given));
    predictor.dispose();
    expect(rows.map((row) => row[2])).toEqual(transform.decode(expected));
    expect(rows.flatMap((row) => row.slice(3).map((text) => Math.fround(Number(text))))).toEqual([...expected]);
  });

  test("from stdin to JSON lines, and into a file that is there when it is whole", async () => {
    const input = pubs(",");
    const { code, stdout } = await run(["predict", "pubs.safetensors", "-", "--as", "jsonl", "--keep", "town"], {
      cwd,
      input,
    });
    expect(code).toBe(0);
    const answers = lines(stdout).map((line) => JSON.parse(line));
    expect(answers).toHaveLength(240);
    expect(Object.keys(answers[1])).toEqual(["town", "prediction"]);
    expect(answers[1].town).toBe("Zürich");
    const result = await resultOf(["predict", "pubs.safetensors", "pubs.csv", "--output", "answers.csv"], { cwd });
    expect(result).toEqual({ rows: 240, model: "pubs.safetensors", output: "answers.csv" });
    expect(lines(readFileSync(file("answers.csv"), "utf8"))).toEqual([
      "prediction",
      ...answers.map((one) => one.prediction),
    ]);
    // A table that breaks in its middle leaves what was there.
    writeFileSync(file("torn.csv"), `${input}1,2,3\n`);
    const torn = await run(["predict", "pubs.safetensors", "torn.csv", "--output", "answers.csv"], { cwd });
    expect([torn.code, torn.stdout]).toEqual([1, ""]);
    expect(torn.stderr).toMatch(/each row must have 6 values, got 3 in line 322/);
    expect(lines(readFileSync(file("answers.csv"), "utf8"))).toHaveLength(241);
    expect(readdirSync(cwd).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  test("rows may lack the target and have more columns; what they lack besides is named", async () => {
    const input = "smoke,beer,town,else\nyes,6.5,Köln,1\n,,Bern,2\n";
    const { code, stdout, stderr } = await run(["predict", "pubs.safetensors", "-"], { cwd, input });
    expect(code, stderr).toBe(0);
    expect(lines(stdout)).toHaveLength(3);
    expect(lines(stdout)[1]).toBe("dear");
    const lacking = await run(["predict", "pubs.safetensors", "-"], { cwd, input: "beer,town\n6.5,Köln\n" });
    expect(lacking.code).toBe(1);
    expect(lacking.stderr).toMatch(/^steepest predict: the rows must have the columns .* got none named smoke/);
    const wrong = await run(["predict", "pubs.safetensors", "-"], {
      cwd,
      input: "smoke,beer,town\nyes,6.5,Köln\nno,much,Köln\n",
    });
    expect([wrong.code, wrong.stderr]).toEqual([
      1,
      expect.stringMatching(/column "beer": each value must be a number, got "much" in line 3/),
    ]);
  });
});

describe("steepest export", () => {
  test("a module takes the rows of the table, and says what steepest predict says", async () => {
    const { files } = await resultOf(["export", "--standalone", "pubs.safetensors", "pubs.mjs"], { cwd });
    expect(files).toEqual(["pubs.d.mts", "pubs.mjs"]);
    const { load } = await import(pathToFileURL(file("pubs.mjs")).href);
    const { predictRows, predict, features } = await load();
    const rows = parse(pubs(","), { columns: true });
    const { stdout } = await run(["predict", "pubs.safetensors", "pubs.csv", "--probabilities"], { cwd });
    const answers = parse(stdout, { columns: true }) as Record<string, string>[];
    expect(predictRows(rows)).toEqual(answers.map(({ prediction }) => prediction));
    const probabilities = answers.flatMap((row) =>
      ["p(cheap)", "p(dear)"].map((name) => Math.fround(Number(row[name]))),
    );
    expect([...predict(features(rows))]).toEqual(probabilities);
  });

  test("an ONNX file takes features, which are listed", async () => {
    const { code, stdout } = await run(["export", "pubs.safetensors", "pubs.onnx"], { cwd });
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^wrote pubs\.onnx\ntakes 5 features, in this order:\n {2}town=Köln +1 of its category, 0 of/,
    );
    expect(stdout).toMatch(/\n {2}beer +\(value - [\d.]+\) \/ [\d.]+; a missing one counts as [\d.]+\n/);
    expect(stdout).toMatch(/\ngives a score for each class, in the order cheap, dear\n$/);
    const { features, classes, table } = await resultOf(["export", "pubs.safetensors", "pubs.onnx"], { cwd });
    const transform = tableTransformFrom(table as TableTransformData);
    expect([features, classes]).toEqual([transform.features, ["cheap", "dear"]]);
  });
});

describe("steepest evaluate", () => {
  test("scores all rows of a file, and refuses one without the target", async () => {
    const result = await resultOf(["evaluate", "pubs.safetensors", "pubs.csv"], { cwd });
    expect(result).toMatchObject({ task: "binary", target: "cost", samples: 240 });
    const { stdout } = await run(["predict", "pubs.safetensors", "pubs.csv", "--keep", "cost"], { cwd });
    const rows = lines(stdout)
      .slice(1)
      .map((line) => line.split(","));
    const right = rows.filter(([truth, answer]) => truth === answer).length;
    expect((result.metrics as Record<string, number>).accuracy).toBe(right / 240);
    const lacking = await run(["evaluate", "pubs.safetensors", "-"], { cwd, input: "smoke,beer,town\nyes,6.5,Köln\n" });
    expect([lacking.code, lacking.stderr]).toEqual([1, expect.stringMatching(/must have the columns cost/)]);
  });

  test("the model or the table from stdin: the same scores", async () => {
    const { metrics, samples } = await resultOf(["evaluate", "pubs.safetensors", "pubs.csv"], { cwd });
    const model = readFileSync(file("pubs.safetensors"));
    expect(await resultOf(["evaluate", "-", "pubs.csv"], { cwd, input: model })).toMatchObject({ metrics, samples });
    const table = readFileSync(file("pubs.csv"));
    expect(await resultOf(["evaluate", "pubs.safetensors", "-"], { cwd, input: table })).toMatchObject({
      metrics,
      samples,
    });
    const torn = await run(["evaluate", "-", "pubs.csv"], { cwd, input: model.subarray(0, 900) });
    expect([torn.code, torn.stdout, torn.stderr]).toEqual([1, "", expect.stringMatching(/^steepest evaluate: .*"-"/)]);
  });

  test("of one class only, what ranks is null", async () => {
    const input = "smoke,beer,town,cost\nyes,6.5,Köln,dear\nno,6.4,Köln,dear\n";
    const { metrics } = await resultOf(["evaluate", "pubs.safetensors", "-"], { cwd, input });
    expect(metrics).toMatchObject({ rocAuc: null, accuracy: expect.any(Number) });
  });
});

test("a folder that is not there is named, by train before anything is read", async () => {
  for (const args of [
    ["train", "none.csv", "--target", "cost", "--output", "no/file"],
    ["train", "none.csv", "--target", "cost", "--report", "no/file"],
    ["predict", "pubs.safetensors", "pubs.csv", "--output", "no/file"],
  ]) {
    const { code, stdout, stderr } = await run(args, { cwd });
    expect([code, stdout]).toEqual([1, ""]);
    const message = 'cannot write file "no/file"';
    expect(stderr).toMatch(
      new RegExp(`^steepest ${args[0]}: ${message} .*no such file or folder: make its folder first`),
    );
  }
});

describe("called wrongly", () => {
  test.each([
    [["train", "pubs.csv"], /--target must name the column to predict, got none/],
    [["train", "pubs.csv", "--target", "cost", "--test", "1"], /--test must be a number from 0 to below 1, got "1"/],
    [["train", "pubs.csv", "--target", "cost", "--validation", "0.5", "--test", "0.5"], /leave rows to train on/],
    [
      ["train", "pubs.csv", "--target", "cost", "--size", "huge"],
      /--size must be auto, linear, small, medium or large, got "huge"/,
    ],
    [["train", "pubs.csv", "--taget", "cost"], /unknown option '--taget' \(did you mean --target\?\)/],
    [["predict", "pubs.safetensors"], /missing required argument 'data'/],
    [["predict", "pubs.safetensors", "pubs.csv", "--as", "xml"], /--as must be "", csv or jsonl, got "xml"/],
    [["evaluate", "pubs.safetensors", "-", "--format", "parquet"], /parquet must be a file/],
    [["predct"], /unknown command 'predct' \(did you mean predict\?\)/],
  ])("%j: exit code 2, and how it is called", async (args, message) => {
    const { code, stdout, stderr } = await run(args, { cwd });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/usage: steepest/);
  });

  test.each([
    [["train", "pubs.csv", "--target", "price"], /target must name a column, got "price": the columns are id, street/],
    [["train", "none.csv", "--target", "price"], /none\.csv" \(ENOENT\): there is no such file/],
    [
      ["train", "pubs.csv", "--target", "town", "--task", "binary"],
      /two classes for --task binary, got 3: Köln, Málaga, Zürich/,
    ],
    [["predict", "none.safetensors", "pubs.csv"], /none\.safetensors.*no such file/],
    [["predict", "pubs.csv", "pubs.csv"], /pubs\.csv/],
    [
      ["predict", "pubs.safetensors", "pubs.csv", "--keep", "name"],
      /--keep must name columns of the table, got "name"/,
    ],
    [
      ["predict", "pubs.safetensors", "pubs.csv", "--output", "no/where.csv"],
      /cannot write file .*no such file or folder: make its folder first/,
    ],
  ])("%j fails: exit code 1, in one sentence", async (args, message) => {
    const { code, stdout, stderr } = await run(args, { cwd });
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  test("--help has examples, and --version the version", async () => {
    const { code, stdout } = await run(["predict", "--help"], { cwd });
    expect(code).toBe(0);
    expect(stdout).toMatch(/usage: steepest predict \[options\] <model> <data>/);
    expect(stdout).toMatch(/examples:\n {2}steepest predict model\.safetensors new\.csv\n/);
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    expect(await run(["--version"], { cwd })).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  });
});
