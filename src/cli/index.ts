#!/usr/bin/env node
// The command line: a command and its options. Exit code 0: done; 1: it failed; 2: it was called wrongly.
import "../platform/nodeKernels.js";
import "../platform/nodeThreads.js";
import { clusterUsage, runCluster } from "./cluster.js";
import { digitsUsage, runDigits } from "./digits.js";
import { UsageError } from "./options.js";
import { reportUsage, runReport } from "./report.js";
import { runWorker, workerUsage } from "./worker.js";

interface Command {
  readonly usage: string;
  readonly summary: string;
  run(args: readonly string[]): Promise<void>;
}

const commands: Record<string, Command> = {
  digits: { usage: digitsUsage, summary: "train and test a digit classifier on MNIST", run: runDigits },
  report: { usage: reportUsage, summary: "write the logs of runs as one HTML page", run: runReport },
  worker: { usage: workerUsage, summary: "train shards of a cluster's runs", run: runWorker },
  cluster: { usage: clusterUsage, summary: "show, pause, resume and stop the runs of a cluster", run: runCluster },
};

const usage = `usage: steepest <command> [options]

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(12)} ${summary}`)
  .join("\n")}

steepest <command> --help lists a command's options.`;

async function main([name, ...args]: readonly string[]): Promise<number> {
  const command = Object.hasOwn(commands, name ?? "") ? commands[name] : undefined;
  if (name === "--help" || name === "-h") {
    console.log(usage);
    return 0;
  }
  if (command === undefined) {
    console.error(`steepest: ${name === undefined ? "no command given" : `unknown command "${name}"`}\n\n${usage}`);
    return 2;
  }
  if (args.includes("--help") || args.includes("-h")) {
    console.log(command.usage);
    return 0;
  }
  try {
    await command.run(args);
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`steepest ${name}: ${error.message}\n\n${command.usage}`);
      return 2;
    }
    console.error(`steepest ${name}: ${(error as Error).message}`);
    if (process.env.STEEPEST_DEBUG) console.error(error);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
