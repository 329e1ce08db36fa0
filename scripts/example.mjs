// Runs an example: npm run example -- NAME [options]. Without a name lists them. Exit code 1: it failed or missed its
// target; 2: called wrongly. The examples and their options (whole numbers, all of them) stand in examples/list.json.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = new URL("../examples/", import.meta.url);
const examples = JSON.parse(readFileSync(new URL("list.json", folder), "utf8"));
const optionsOf = ({ options = "" }) => Array.from(options.matchAll(/--([a-z-]+) N/g), ([, name]) => name);

function usage() {
  const lines = examples.map(({ name, shows, options = "" }) => {
    const indent = " ".repeat(19);
    return `  ${name.padEnd(17)}${shows}${options && `\n${indent}${options}`}`;
  });
  return `usage: npm run example -- NAME [--quick] [options]\n\n${lines.join("\n")}`;
}

/** What is wrong with an example's arguments, if anything: `--quick`, `--name N` or `--name=N`. */
function findMistake(example, args) {
  const words = args
    .filter((arg) => arg !== "--quick")
    .flatMap((arg) => (arg.startsWith("--") ? arg.split("=") : [arg]));
  for (let i = 0; i < words.length; i += 2) {
    const [option, value] = words.slice(i, i + 2);
    if (!optionsOf(example).some((name) => option === `--${name}`))
      return `"${example.name}" has no option "${option}"`;
    if (!/^[1-9]\d{0,8}$/.test(value)) return `${option} must be a whole number of at least 1, got "${value ?? ""}"`;
  }
  return undefined;
}

function main([name, ...args]) {
  if (name === undefined || name === "--help" || name === "-h") {
    console.log(usage());
    return 0;
  }
  const example = examples.find((one) => one.name === name);
  const mistake = example === undefined ? `there is no example "${name}"` : findMistake(example, args);
  if (mistake !== undefined) {
    console.error(`${mistake}\n\n${usage()}`);
    return 2;
  }
  const file = fileURLToPath(new URL(`${name}.ts`, folder));
  return spawnSync(process.execPath, ["--import", "tsx", file, ...args], { stdio: "inherit" }).status ?? 1;
}

process.exitCode = main(process.argv.slice(2));
