#!/usr/bin/env node
// The command line: a command and its options. Exit code 0: done; 1: it failed; 2: it was called wrongly.
import "../platform/nodeData.js";
import "../platform/nodeKernels.js";
import "../platform/nodeThreads.js";
import { VERSION } from "../engine/copies.js";
import { codeOf } from "../platform/disk.js";
import { explain } from "../platform/files.js";
import { benchCommand } from "./bench.js";
import { clusterCommand } from "./cluster.js";
import { convertCommand, exportCommand } from "./convert.js";
import { digitsCommand } from "./digits.js";
import { evaluateCommand } from "./evaluate.js";
import { inspectCommand } from "./inspect.js";
import { type AnyCommand, CommanderError, programOf, UsageError, usageErrorOf } from "./options.js";
import { predictCommand } from "./predict.js";
import { reportCommand } from "./report.js";
import { serveCommand } from "./serve.js";
import { areWordsBesides, columnsOf } from "./terminal.js";
import { trainCommand } from "./train.js";
import { workerCommand } from "./worker.js";

const commands: Readonly<Record<string, AnyCommand>> = {
  train: trainCommand,
  predict: predictCommand,
  evaluate: evaluateCommand,
  serve: serveCommand,
  inspect: inspectCommand,
  convert: convertCommand,
  export: exportCommand,
  bench: benchCommand,
  digits: digitsCommand,
  report: reportCommand,
  worker: workerCommand,
  cluster: clusterCommand,
};

/** All commands, for those who named none. */
function listOf(all: Readonly<Record<string, AnyCommand>>): string {
  const lines = Object.entries(all).map(([name, { summary }]) => [`  ${name}`, summary]);
  return `${columnsOf(lines)}\n\nsteepest <command> --help lists a command's options.`;
}

/** `help train` is `train --help`. */
const helped = (args: readonly string[]): readonly string[] =>
  args[0] === "help" ? [...args.slice(1), "--help"] : args;

async function main(given: readonly string[]): Promise<number> {
  const args = helped(given);
  const program = programOf(commands, VERSION);
  const command = program.commands.find((one) => one.name() === args[0]);
  const name = command === undefined ? "steepest" : `steepest ${command.name()}`;
  const misuse = (message: string): number => {
    const called = command ?? program;
    const rest = command === undefined ? `\n${listOf(commands)}` : `${name} --help lists its options.`;
    console.error(`${name}: ${message}\nusage: ${name} ${called.usage()}\n${rest}`);
    return 2;
  };
  try {
    await program.parseAsync([...args], { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof UsageError) return misuse(error.message);
    if (error instanceof CommanderError) {
      const message = usageErrorOf(error);
      return message === undefined ? 0 : misuse(message);
    }
    // Errors of the library say where; that is the command already if it is its own.
    const { message } = error as Error;
    const own = `${args[0]}: `;
    console.error(`${name}: ${message.startsWith(own) ? message.slice(own.length) : message}`);
    if (process.env.STEEPEST_DEBUG) console.error(error);
    return 1;
  }
}

// Whoever reads the output may have enough of it: `steepest predict … | head`. A command whose result is a file goes on.
process.stdout.on("error", (error) => {
  if (areWordsBesides()) return;
  if (codeOf(error) === "EPIPE") process.exit(0);
  console.error(`steepest: ${explain("cannot write to stdout", error, "name a file").message}`);
  process.exit(1);
});
process.stderr.on("error", () => {}); // nobody is left to say it to

process.exitCode = await main(process.argv.slice(2));
