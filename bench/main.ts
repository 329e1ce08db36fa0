// The benchmark: check, then time, then report.
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { writeFileAtomic } from "../src/platform/files.js";
import { type Options, parseOptions, UsageError, usage } from "./options.js";
import { type Entry, recordsOf, showEnvironment, showTable } from "./report.js";
import { whyUnavailable } from "./steepest.js";
import { QUICK, type Schedule, type Summary, summarize, THOROUGH, timeInTurns } from "./timing.js";
import type { Contestant, Implementation, Workload } from "./workload.js";

/** Where the benchmark writes, and its clock; tests have their own. */
export interface Surroundings {
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
  readonly now?: () => number;
  readonly schedule?: Schedule;
}

const terminal: Surroundings = { print: console.log, printError: console.error };

/** Returns the exit code: 0 done; 1 something that was asked for failed or is not there; 2 called wrongly. */
export async function main(args: readonly string[], surroundings: Surroundings = terminal): Promise<number> {
  const { print, printError } = surroundings;
  try {
    const options = parseOptions(args);
    if (options.help) {
      print(usage());
      return 0;
    }
    if (options.json !== undefined) await checkFolder(options.json);
    return await runBenchmark(options, surroundings);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    printError(`bench: ${error.message}\n\n${usage()}`);
    return 2;
  }
}

async function runBenchmark(options: Options, surroundings: Surroundings): Promise<number> {
  const { print, printError } = surroundings;
  const environment = showEnvironment();
  for (const name of options.missing) printError(`${name}: not built yet, see --help`);
  const implementations = options.implementations.filter((implementation) => {
    const reason = whyUnavailable(implementation);
    if (reason !== undefined) printError(`${implementation}: ${reason}`);
    return reason === undefined;
  });
  const entries: Entry[] = [];
  for (const workload of options.workloads) {
    printError(`${workload.name} …`);
    entries.push(
      ...measure(workload, implementations, { schedule: options.quick ? QUICK : THOROUGH, ...surroundings }),
    );
  }
  if (entries.length > 0) print(`${environment}\n\n${showTable(entries)}`);
  if (options.json !== undefined) {
    await writeFileAtomic(options.json, Buffer.from(`${JSON.stringify(recordsOf(entries), null, 2)}\n`));
  }
  const failed = entries.some(({ outcome }) => "error" in outcome);
  return failed || options.missing.length > 0 || entries.length === 0 ? 1 : 0;
}

/** Checks all implementations of a workload, then times those that are right. */
export function measure(
  workload: Workload,
  implementations: readonly Implementation[],
  { printError, now, schedule = THOROUGH }: Omit<Surroundings, "print">,
): Entry[] {
  const contestants = new Map<Implementation, Contestant>();
  const errors = new Map<Implementation, string>();
  for (const implementation of implementations) {
    try {
      contestants.set(implementation, workload.prepare(implementation));
    } catch (error) {
      errors.set(implementation, (error as Error).message);
      printError(`${workload.name} ${implementation}: ${error}`);
    }
  }
  const timed = new Map<Implementation, Summary>();
  try {
    const samples = timeInTurns([...contestants.values()], schedule, now);
    [...contestants.keys()].forEach((implementation, i) => {
      timed.set(implementation, summarize(samples[i]));
    });
  } catch (error) {
    for (const implementation of contestants.keys()) errors.set(implementation, (error as Error).message);
    printError(`${workload.name}: ${error}`);
  } finally {
    for (const contestant of contestants.values()) contestant.dispose();
  }
  return implementations.map((implementation) => ({
    workload,
    implementation,
    outcome: timed.get(implementation) ?? { error: errors.get(implementation) ?? "" },
  }));
}

/** Minutes of measuring should not end in a folder that is not there. */
async function checkFolder(file: string): Promise<void> {
  const folder = dirname(file);
  const found = await stat(folder).catch(() => undefined);
  if (!found?.isDirectory()) throw new UsageError(`--json: there is no folder "${folder}": make it first`);
}
