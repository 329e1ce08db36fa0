// Every option says in its docstring what it is if it is not given, and in what a duration or a size is measured. Where a table
// reads the options, the default that is said is the table's.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../src/", import.meta.url));

interface Option {
  /** SgdOptions.momentum */
  readonly name: string;
  readonly doc: string;
  readonly optional: boolean;
  readonly type: string;
}

const sources = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => readFileSync(join(root, name), "utf8"));

const options: readonly Option[] = sources.flatMap((text) =>
  [...text.matchAll(/^export interface (\w*Options)\b[^{]*\{\n([\s\S]*?)^\}$/gm)].flatMap(([, of = "", body = ""]) =>
    [...body.matchAll(/((?:^ {2}\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?)^ {2}(?:readonly )?(\w+)(\??): ([\s\S]*?);$/gm)].map(
      ([, doc = "", name = "", mark, type = ""]): Option => ({
        name: `${of}.${name}`,
        doc: doc.replace(/\s*\n\s*\*?\s*/g, " "),
        optional: mark === "?" && type !== "never",
        type,
      }),
    ),
  ),
);

test("there are options", () => {
  expect(options.length).toBeGreaterThan(800);
  expect(options.filter(({ optional }) => optional).length).toBeGreaterThan(600);
});

test("each that may be left out says what it is then", () => {
  const silent = options.filter(({ optional, doc }) => optional && !/\bdefault/i.test(doc));
  expect(silent.map(({ name }) => name)).toEqual([]);
});

/** Names of what is measured in something, and what it may be measured in: by the name, or by the docstring. */
const MEASURED =
  /time(?!s)|timeout|interval|lease|wait|delay|duration|patience|cooldown|minutes|memory|bytes|every|after/i;
const UNITS =
  /\b(ms|millisecond|second|minute|hour|day|epoch|step|round|call|byte|[KMG]i?B|sample|trial|row|score|value)s?\b|Ms$|Bytes$/i;

test("each that is a duration or a size has its unit, in its name or its docstring", () => {
  const measured = options.filter(
    ({ name, type }) => MEASURED.test(name.split(".")[1] ?? "") && /\bnumber\b/.test(type),
  );
  expect(measured.length).toBeGreaterThan(10);
  const bare = measured.filter(({ name, doc }) => !UNITS.test(doc) && !UNITS.test(name));
  expect(bare.map(({ name }) => name)).toEqual([]);
});

/** `epsilon: number(1e-8, …)` in a table of AdamOptions: what is said must be 1e-8. */
const defaults = sources.flatMap((text) =>
  [...text.matchAll(/^const \w+ = \{\n?((?:(?!^const )[\s\S])*?)\} satisfies OptionsOf<(\w+)>;$/gm)].flatMap(
    ([, body = "", of = ""]) =>
      [
        ...body.matchAll(
          /(\w+): (?:integer|number|flag|choice|decay|learningRate|unchecked)\((-?[\d.]+(?:e-?\d+)?|true|false|"\w+")[,)]/g,
        ),
      ].map(([, name, value = ""]) => ({ name: `${of}.${name}`, value })),
  ),
);

test("the default that is said is that of the table which reads the option", () => {
  expect(defaults.length).toBeGreaterThan(200);
  const docs = new Map(options.map(({ name, doc }) => [name, doc]));
  const wrong = defaults.filter(({ name, value }) => {
    const doc = docs.get(name);
    if (doc === undefined) return false;
    const said = [
      ...doc.replaceAll(/(?<=\d),(?=\d{3})/g, "").matchAll(/-?\d+(?:\.\d+)?(?:e-?\d+)?|true|false|"\w+"/g),
    ].map(([text]) => text);
    return (
      !said.some((text) => text === value || Number(text) === Number(value)) &&
      !(value === "0" && /none|no /i.test(doc))
    );
  });
  expect(wrong.map(({ name, value }) => `${name}: ${value}: ${docs.get(name)}`)).toEqual([]);
});

test("docs/training.md has a line for each option of compile and fit", () => {
  const page = readFileSync(new URL("../../docs/training.md", import.meta.url), "utf8");
  const lines = new Set([...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name));
  const wanted = options.flatMap(({ name }) => {
    const [of = "", own = ""] = name.split(".");
    return ["TrainingOptions", "PredictingOptions", "EngineOptions", "FitOptions"].includes(of) ? [own] : [];
  });
  expect(wanted.length).toBeGreaterThan(20);
  expect(wanted.filter((name) => !lines.has(name))).toEqual([]);
});
