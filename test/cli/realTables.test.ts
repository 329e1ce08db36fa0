// Real files, as they were published (vega-datasets, BSD-3-Clause; each one's source is in its package): trained on, scored, predicted.
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { resultOf, run, temporaryFolder } from "./processes.js";

const cwd = temporaryFolder();
const file = (name: string): string => join(cwd, name);
const published = (name: string): string =>
  fileURLToPath(new URL(`../../node_modules/vega-datasets/data/${name}`, import.meta.url));

type Scores = Record<string, number>;

/** Trains, scores all rows, predicts them; the lines of the answers. */
async function through(
  name: string,
  rows: number,
  ...options: string[]
): Promise<{ scores: Scores; answers: string[] }> {
  const reading = options.slice(options.indexOf("--") + 1);
  const training = options.slice(0, options.indexOf("--"));
  const trained = await resultOf(["train", name, ...training, ...reading, "--seed", "1"], { cwd });
  expect(trained.samples).toBe(rows);
  const { samples, metrics } = await resultOf(["evaluate", "model.safetensors", name, ...reading], { cwd });
  expect(samples).toBe(rows);
  const { code, stdout, stderr } = await run(["predict", "model.safetensors", name, ...reading], { cwd });
  expect([code, stderr]).toEqual([0, ""]);
  return { scores: metrics as unknown as Scores, answers: stdout.trimEnd().split("\n").slice(1) };
}

test("airports: quotes around names with commas and with doubled quotes", async () => {
  copyFileSync(published("airports.csv"), file("airports.csv"));
  expect(readFileSync(file("airports.csv"), "utf8")).toContain('"W. H. ""Bud"" Barron"');
  const { scores, answers } = await through(
    ...([
      "airports.csv",
      3376,
      "--target",
      "longitude",
      "--drop",
      "iata,name,city,country",
      "--epochs",
      "8",
      "--",
    ] as const),
  );
  // A state says much of where an airport is.
  expect(scores.rSquared).toBeGreaterThan(0.8);
  expect(answers).toHaveLength(3376);
});

/** The films as spreadsheets write them, in the letters of western Europe: titles with quotes, commas and accents, many values missing. */
function films(): { readonly text: string; readonly rows: number } {
  const all: Record<string, unknown>[] = JSON.parse(readFileSync(published("movies.json"), "utf8"));
  const names = ["Title", "Major Genre", "MPAA Rating", "Production Budget", "IMDB Votes", "IMDB Rating"];
  const kept = all.filter((film) => film["IMDB Rating"] !== null && !/[^\0-\xff]/.test(String(film.Title)));
  const cell = (value: unknown) =>
    /[",]/.test(String(value ?? "")) ? `"${String(value).replaceAll('"', '""')}"` : String(value ?? "");
  const lines = kept.map((film) => names.map((name) => cell(film[name])).join(","));
  return { text: `${names.join(",")}\r\n${lines.join("\r\n")}\r\n`, rows: kept.length };
}

test("films: missing values, accents, in windows-1252 and in UTF-16", async () => {
  const { text, rows } = films();
  expect(text).toMatch(/,,/);
  expect(text).toMatch(/^"[^"\r\n]+, [^\r\n]*"/m);
  expect(text).toMatch(/[\xc0-\xff]/);
  writeFileSync(file("films.csv"), Buffer.from(text, "latin1"));
  const options = ["--target", "IMDB Rating", "--epochs", "8", "--"];
  const { scores, answers } = await through("films.csv", rows, ...options, "--encoding", "windows-1252");
  expect(scores.rSquared).toBeGreaterThan(0.15);
  expect(answers).toHaveLength(rows);
  // In another encoding the same table gives the same answers.
  writeFileSync(file("films16.csv"), Buffer.from(`\ufeff${text}`, "utf16le"));
  const again = await run(["predict", "model.safetensors", "films16.csv"], { cwd });
  expect(again.stdout.trimEnd().split("\n").slice(1)).toEqual(answers);
  const kept = await run(["predict", "model.safetensors", "films16.csv", "--keep", "Title"], { cwd });
  expect(kept.stdout).toMatch(/[à-ÿÀ-Ý]/);
  const reading = ["--encoding", "windows-1252"];
  const titles = await run(["predict", "model.safetensors", "films.csv", ...reading, "--keep", "Title"], { cwd });
  expect(titles.stdout).toBe(kept.stdout);
});

test("unemployment: tabs between the values", async () => {
  copyFileSync(published("unemployment.tsv"), file("unemployment.tsv"));
  const { answers } = await through("unemployment.tsv", 3218, "--target", "rate", "--epochs", "3", "--");
  expect(answers).toHaveLength(3218);
});
