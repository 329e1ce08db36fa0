// The command line of the benchmark.
import { parseArgs } from "node:util";
import { IMPLEMENTATIONS, type Implementation, type Workload } from "./workload.js";
import { notBuiltYet, workloads } from "./workloads.js";

/** A mistake in how the benchmark was called: prints the usage, exit code 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

export interface Options {
  /** Where the records go as JSON. */
  readonly json: string | undefined;
  readonly workloads: readonly Workload[];
  /** Names that were asked for, and wait for what they measure. */
  readonly missing: readonly string[];
  readonly implementations: readonly Implementation[];
  readonly quick: boolean;
  readonly help: boolean;
}

/** Throws UsageError for unknown options and names. */
export function parseOptions(args: readonly string[]): Options {
  const { json, workloads: names, implementations, quick = false, help = false } = parse(args);
  if (json === "") throw new UsageError("--json needs a file name");
  const selected = names === undefined ? workloads.map(({ name }) => name) : listOf("workloads", names).flatMap(expand);
  return {
    json,
    workloads: workloads.filter(({ name }) => selected.includes(name)),
    missing: Object.keys(notBuiltYet).filter((name) => selected.includes(name)),
    implementations: selectImplementations(implementations),
    quick,
    help,
  };
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        json: { type: "string" },
        workloads: { type: "string" },
        implementations: { type: "string" },
        quick: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError((error as Error).message.split(". To specify")[0]);
  }
}

function listOf(option: string, text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.includes("")) throw new UsageError(`--${option} must be names with commas between, got "${text}"`);
  return names;
}

/** A workload's name is itself; the beginning of several (`gemm`, `mnist-32`) is all of them. */
function expand(name: string): string[] {
  const known = [...workloads.map((workload) => workload.name), ...Object.keys(notBuiltYet)];
  if (known.includes(name)) return [name];
  const members = known.filter((other) => other.startsWith(`${name}-`));
  if (members.length > 0) return members;
  throw new UsageError(`--workloads: there is no "${name}": there are ${known.join(", ")}`);
}

function selectImplementations(text: string | undefined): readonly Implementation[] {
  if (text === undefined) return IMPLEMENTATIONS;
  const names = listOf("implementations", text);
  const unknown = names.find((name) => !IMPLEMENTATIONS.some((known) => known === name));
  if (unknown !== undefined) {
    throw new UsageError(`--implementations: there is no "${unknown}": there are ${IMPLEMENTATIONS.join(", ")}`);
  }
  return IMPLEMENTATIONS.filter((name) => names.includes(name));
}

export function usage(): string {
  const row = (name: string, text: string) => `  ${name.padEnd(22)} ${text}`;
  return [
    "usage: npm run bench -- [options]",
    "",
    "Checks the results of each implementation, then times them in turns. Exit code 0: done; 1: a check failed, or",
    "a workload is not built yet; 2: called wrongly.",
    "",
    row("--workloads a,b", "only these, or all that begin so: gemm (default all)"),
    row("--implementations a,b", `of ${IMPLEMENTATIONS.join(", ")} (default all)`),
    row("--quick", "fewer and shorter rounds: rough figures"),
    row("--json FILE", "write records {workload, implementation, metric, value, unit}: medians"),
    row("--help", "this text"),
    "",
    "workloads:",
    ...workloads.map(({ name, description }) => row(name, description)),
    ...Object.entries(notBuiltYet).map(([name, description]) => row(name, `not built yet: ${description}`)),
  ].join("\n");
}
