// The tables of docs/from*.md: whatever they say is called here can be called, with the entry that they name.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as steepest from "steepest";
import * as callbacks from "steepest/callbacks";
import * as data from "steepest/data";
import * as graph from "steepest/graph";
import * as images from "steepest/images";
import * as io from "steepest/io";
import * as onnx from "steepest/onnx";
import * as report from "steepest/report";
import * as search from "steepest/search";
import * as text from "steepest/text";
import { expect, test } from "vitest";

const docs = fileURLToPath(new URL("../../docs/", import.meta.url));
const pages = readdirSync(docs).filter((name) => /^from[A-Z].*\.md$/.test(name));
const entries: Record<string, object> = {
  steepest,
  "steepest/callbacks": callbacks,
  "steepest/data": data,
  "steepest/graph": graph,
  "steepest/images": images,
  "steepest/io": io,
  "steepest/onnx": onnx,
  "steepest/report": report,
  "steepest/search": search,
  "steepest/text": text,
};

/** Cells of the second column. */
const cellsOf = (page: string) =>
  [...readFileSync(docs + page, "utf8").matchAll(/^\| [^\n]*? \| ((?:`[^`]*`|[^|`])*) \|$/gm)]
    .map(([, cell]) => cell as string)
    .filter((cell) => cell !== "here" && !cell.startsWith("-"));

test("there are pages for those who come from elsewhere", () => expect(pages.length).toBeGreaterThanOrEqual(4));

test.each(pages)("%s says what there is", (page) => {
  const trainer = steepest.compileSync(steepest.sequential({ input: [1] }, steepest.dense(1)), {
    loss: steepest.meanSquaredError(),
    optimizer: steepest.sgd(),
  });
  const cells = cellsOf(page);
  expect(cells.length).toBeGreaterThan(15);
  for (const cell of cells) {
    const named = [...cell.matchAll(/of `(steepest\/\w+)`/g)].map(([, entry]) => entry as string);
    const there = [steepest, ...named.map((entry) => entries[entry] ?? {})].flatMap(Object.keys);
    for (const [, code = ""] of cell.matchAll(/`([^`]*)`/g)) {
      for (const [, method = ""] of code.matchAll(/\btrainer\.(\w+)/g)) expect(trainer, cell).toHaveProperty(method);
      for (const [, name = ""] of code.matchAll(/(?<![.\w])(\w+)\(/g))
        if (name !== "for") expect(there, cell).toContain(name);
    }
    // A name alone, with its entry: "`jsonLog` of `steepest/callbacks`".
    for (const [, name = "", entry = ""] of cell.matchAll(/`(\w+)` of `(steepest\/\w+)`/g))
      expect(Object.keys(entries[entry] ?? {}), cell).toContain(name);
  }
  trainer.dispose();
});
