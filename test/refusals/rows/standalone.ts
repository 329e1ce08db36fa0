// A row for each export of "steepest/standalone".
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as S from "steepest";
import * as standalone from "steepest/standalone";
import type { Row } from "../sweep.js";

const trainer = S.compileSync(S.sequential({ input: [3] }, S.dense(2)), { seed: 1 });
const path = join(mkdtempSync(join(tmpdir(), "steepest-standalone-")), "model.mjs");
// Every text is a path: one that may be written stands for all.
const within = (given: unknown) => (typeof given === "string" && given !== "" ? path : given) as string;
// Not gone into: its methods are its own.
const held = Object.create(trainer) as typeof trainer;
const given = (one: unknown) => (one === held ? trainer : one) as typeof trainer;

export const standaloneRows: readonly Row[] = [
  {
    name: "toStandalone",
    call: ((of: unknown, ...rest: []) => standalone.toStandalone(given(of), ...rest)) as never,
    good: () => [held, { format: "wasm-file", output: "raw", batches: [2] }],
    optional: ["1"],
  },
  {
    name: "saveStandalone",
    where: ["toStandalone"],
    call: ((of: unknown, to: unknown, ...rest: []) =>
      standalone.saveStandalone(given(of), within(to), ...rest)) as never,
    good: () => [held, path, { format: "module" }],
    optional: ["2"],
  },
];

export const namesOfStandalone = Object.keys(standalone);
