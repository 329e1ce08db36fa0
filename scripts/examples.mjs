// Runs all examples of examples/list.json, each in a process of its own, and says which reached their
// targets. Exit code 0: all did; 1: one did not; 2: called wrongly.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, stripVTControlCharacters } from "node:util";
import { inLanes } from "./lanes.mjs";

const usage = `usage: npm run examples -- [options]

  --quick        short runs, with targets that fit them
  --only NAME    this example; can be given several times
  --json FILE    writes name, file, target, reached, passed, seconds (and error) of each
  --gallery FILE writes a page with what each printed: its pictures and numbers
  --verbose      prints what the examples print, of those that pass too
  --folder DIR   another folder of examples with a list.json`;

const options = {
  quick: { type: "boolean", default: false },
  only: { type: "string", multiple: true, default: [] },
  json: { type: "string" },
  gallery: { type: "string" },
  verbose: { type: "boolean", default: false },
  folder: { type: "string", default: fileURLToPath(new URL("../examples/", import.meta.url)) },
  help: { type: "boolean", short: "h", default: false },
};

/** Runs one and gives its record. What passes is one that ends well and has reported a number that will do. */
function run({ name }, { folder, quick }) {
  const file = join(folder, `${name}.ts`);
  const start = performance.now();
  const child = spawn(process.execPath, ["--import", "tsx", file, ...(quick ? ["--quick"] : [])], {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let output = "";
  let verdict;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  // The loader sends messages of its own.
  child.on("message", (message) => {
    if (message.verdict?.name === name) verdict = message.verdict;
  });
  return new Promise((done) => {
    child.on("close", (code, signal) => {
      const seconds = Number(((performance.now() - start) / 1000).toFixed(1));
      const { target = null, reached = null } = verdict ?? {};
      const ended = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
      const error =
        verdict === undefined ? `${ended} and reported nothing` : verdict.passed && code !== 0 ? ended : null;
      const passed = error === null && verdict.passed;
      done({ record: { name, file: `${name}.ts`, target, reached, passed, seconds, error }, output });
    });
  });
}

const shortOf = (number) => Number(number.toPrecision(4));

/** The gallery: a table of how far each example came; then what each shows, and all that it printed. */
function galleryOf(chosen, records, outputs, quick) {
  const cells = (text) => text.replaceAll("|", "\\|");
  const rows = records.map(({ name, target, reached, passed, seconds, error }) => {
    const came = reached === null ? "–" : `${shortOf(reached)}${passed ? "" : " (missed)"}`;
    return `| [${name}](#${name.toLowerCase()}) | ${came} | ${cells(error ?? target.text)} | ${seconds} |`;
  });
  const where = `Node ${process.versions.node} on ${process.platform} ${process.arch}, ${availableParallelism()} cores`;
  const parts = [
    "# Gallery",
    `What the examples print, with their pictures and numbers, as one run of them${quick ? ", shortened," : ""} gave them: ${where}.`,
    ["| example | reached | target | seconds |", "|---|---|---|---|", ...rows].join("\n"),
  ];
  for (const { name, shows } of chosen) {
    const { target, reached, passed, seconds, error } = records.find((record) => record.name === name);
    const came = error ?? `${target.text}; reached: ${shortOf(reached)}${passed ? "" : " (missed)"}`;
    // Colours are for terminals.
    const output = stripVTControlCharacters(outputs.get(name)).trimEnd();
    const source = `Its program is [${name}.ts](../examples/${name}.ts).`;
    parts.push(`## ${name}`, shows ?? "", `${came}; ${seconds} s.`, source, `\`\`\`\`text\n${output}\n\`\`\`\``);
  }
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

function write(file, text) {
  mkdirSync(dirname(resolve(file)), { recursive: true });
  writeFileSync(file, text);
}

function lineOf({ name, target, reached, passed, seconds, error }) {
  const shown = reached === null ? "–" : String(Number(reached.toPrecision(4)));
  const words = error ?? target.text;
  return `${passed ? "passed" : "MISSED"}  ${name.padEnd(17)}${shown.padStart(11)}  ${seconds.toFixed(1).padStart(6)} s  ${words}`;
}

async function main(args) {
  const { values } = parseArgs({ args, options });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const list = JSON.parse(readFileSync(resolve(values.folder, "list.json"), "utf8"));
  const unknown = values.only.find((name) => list.every((example) => example.name !== name));
  if (unknown !== undefined) {
    throw new Error(`there is no example "${unknown}": take one of ${list.map(({ name }) => name).join(", ")}`);
  }
  const chosen = list.filter(({ name }) => values.only.length === 0 || values.only.includes(name));
  const outputs = new Map();
  console.log(`        ${"example".padEnd(17)}${"reached".padStart(11)}  ${"time".padStart(8)}  target`);
  // Short runs are there to be over soon: two at a time. Long ones say how long they take.
  const records = await inLanes(values.quick ? 2 : 1, chosen, async (example) => {
    const { record, output } = await run(example, values);
    outputs.set(record.name, output);
    console.log(lineOf(record));
    if (!record.passed || values.verbose) console.log(`\n${output.trimEnd().replace(/^/gm, "    ")}\n`);
    return record;
  });
  if (values.json !== undefined) write(values.json, `${JSON.stringify(records, undefined, 2)}\n`);
  if (values.gallery !== undefined) write(values.gallery, galleryOf(chosen, records, outputs, values.quick));
  const passed = records.filter((record) => record.passed).length;
  const seconds = records.reduce((sum, record) => sum + record.seconds, 0);
  console.log(`${seconds.toFixed(0)} s in all: ${passed} passed, ${records.length - passed} failed`);
  return passed === records.length ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`${error.message.split(". To specify")[0]}\n\n${usage}`);
  process.exitCode = 2;
}
