// Runs an example: npm run example -- NAME [options]. Without a name lists them. Exit code 2: called wrongly.
//
// The first line of an example is its summary; a line "// Options: --name N …" declares options, all whole numbers.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = new URL("../examples/", import.meta.url);

function readExamples() {
  const files = readdirSync(folder).filter((file) => file.endsWith(".ts"));
  return files.sort().map((file) => {
    const [summary, ...lines] = readFileSync(new URL(file, folder), "utf8").split("\n");
    const options = lines.find((line) => line.startsWith("// Options: ")) ?? "";
    return {
      name: file.slice(0, -3),
      summary: summary.replace(/^\/\/ /, ""),
      usage: options.replace("// Options: ", ""),
      options: Array.from(options.matchAll(/--([a-z-]+) N/g), ([, name]) => name),
    };
  });
}

function usage(examples) {
  const lines = examples.map(({ name, summary, usage }) => {
    const indent = " ".repeat(19);
    return `  ${name.padEnd(17)}${summary}${usage && `\n${indent}${usage}`}`;
  });
  return `usage: npm run example -- NAME [options]\n\n${lines.join("\n")}`;
}

/** What is wrong with an example's arguments, if anything: `--name N` or `--name=N`. */
function findMistake(example, args) {
  const words = args.flatMap((arg) => (arg.startsWith("--") ? arg.split("=") : [arg]));
  for (let i = 0; i < words.length; i += 2) {
    const [option, value] = words.slice(i, i + 2);
    if (!example.options.some((name) => option === `--${name}`)) return `"${example.name}" has no option "${option}"`;
    if (!/^[1-9]\d{0,8}$/.test(value)) return `${option} must be a whole number of at least 1, got "${value ?? ""}"`;
  }
  return undefined;
}

function main([name, ...args]) {
  const examples = readExamples();
  if (name === undefined || name === "--help" || name === "-h") {
    console.log(usage(examples));
    return 0;
  }
  const example = examples.find((one) => one.name === name);
  const mistake = example === undefined ? `there is no example "${name}"` : findMistake(example, args);
  if (mistake !== undefined) {
    console.error(`${mistake}\n\n${usage(examples)}`);
    return 2;
  }
  const file = fileURLToPath(new URL(`${name}.ts`, folder));
  return spawnSync(process.execPath, ["--import", "tsx", file, ...args], { stdio: "inherit" }).status ?? 1;
}

process.exitCode = main(process.argv.slice(2));
