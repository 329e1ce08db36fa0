// The benchmark: check, then time, then report.
import { spawnSync } from "node:child_process";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { writeFileAtomic } from "../src/platform/files.js";
import { type Options, parseOptions, UsageError, usage } from "./options.js";
import { type PeerContestant, startPeer } from "./peer.js";
import { commandOf, isPeer, type PeerCommand, type PeerName, peersFolder } from "./peerList.js";
import { checkPlace, showFigures, writeFigures } from "./readme.js";
import { type Entry, type Outcome, recordsOf, showEnvironment, showRemarks, showTable } from "./report.js";
import { disposeEngines, whyUnavailable } from "./steepest.js";
import { QUICK, type Schedule, summarize, THOROUGH, timeInTurns } from "./timing.js";
import {
  type Competitor,
  type Contestant,
  type Implementation,
  LeftOut,
  type RemoteContestant,
  type Workload,
} from "./workload.js";

/** Where the benchmark writes, its clock, how peers are started, and what cannot run here; tests have their own. */
export interface Surroundings {
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
  readonly now?: () => number;
  readonly schedule?: Schedule;
  readonly commandOf?: (name: PeerName) => PeerCommand | { readonly leftOut: string };
  readonly whyUnavailable?: (implementation: Implementation) => string | undefined;
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
    if (options.installPeers) return installPeers();
    if (options.json !== undefined) await checkFolder(options.json);
    if (options.readme !== undefined) await checkPlace(options.readme.file);
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
  const schedule = surroundings.schedule ?? (options.quick ? QUICK : THOROUGH);
  const entries: Entry[] = [];
  try {
    for (const workload of options.workloads) {
      printError(`${workload.name} …`);
      const own = surroundings.schedule ?? workload.schedule ?? schedule;
      entries.push(...(await measure(workload, options.implementations, { ...surroundings, schedule: own })));
    }
  } finally {
    await disposeEngines();
  }
  const timed = entries.filter(({ outcome }) => !("leftOut" in outcome));
  const remarks = showRemarks(entries);
  if (timed.length > 0) print([environment, showTable(timed), ...remarks].join("\n\n"));
  else for (const remark of remarks) printError(remark);
  if (options.json !== undefined) {
    await writeFileAtomic(options.json, Buffer.from(`${JSON.stringify(recordsOf(entries), null, 2)}\n`));
  }
  const shown = entries.filter(({ workload }) => options.readme?.workloads.includes(workload));
  if (options.readme !== undefined && shown.some(({ outcome }) => "median" in outcome)) {
    const how = `${environment}, medians of up to ${schedule.rounds} rounds in turns`;
    await writeFigures(options.readme.file, showFigures(shown, how));
  }
  const failed = entries.some(({ outcome }) => "error" in outcome);
  return failed || timed.length === 0 ? 1 : 0;
}

/** Checks all implementations of a workload, then times those that are right. */
export async function measure(
  workload: Workload,
  implementations: readonly Competitor[],
  { printError, now, schedule = THOROUGH, ...given }: Omit<Surroundings, "print">,
): Promise<Entry[]> {
  const contestants = new Map<Competitor, Contestant | RemoteContestant | PeerContestant>();
  const outcomes = new Map<Competitor, Outcome>();
  const fail = (implementation: Competitor, error: unknown): void => {
    printError(`${workload.name} ${implementation}: ${error}`);
    outcomes.set(implementation, { error: (error as Error).message });
  };
  for (const implementation of implementations) {
    try {
      const contestant = isPeer(implementation)
        ? await preparePeer(workload, (given.commandOf ?? commandOf)(implementation))
        : await prepareOwn(workload, implementation, (given.whyUnavailable ?? whyUnavailable)(implementation));
      contestants.set(implementation, contestant);
    } catch (error) {
      if (error instanceof LeftOut) outcomes.set(implementation, { leftOut: error.message });
      else fail(implementation, error);
    }
  }
  try {
    const results = await timeInTurns([...contestants.values()], schedule, now);
    [...contestants].forEach(([implementation, contestant], i) => {
      const result = results[i];
      if (result instanceof Error) {
        fail(implementation, result);
        return;
      }
      const { version, note } = "version" in contestant ? contestant : { version: undefined, note: undefined };
      outcomes.set(implementation, { ...summarize(result), version, note });
    });
  } finally {
    for (const contestant of contestants.values()) contestant.dispose();
  }
  return implementations.map((implementation) => {
    const outcome = outcomes.get(implementation) ?? { error: "not timed" };
    return { workload, implementation, outcome };
  });
}

async function prepareOwn(
  workload: Workload,
  implementation: Implementation,
  unavailable: string | undefined,
): Promise<Contestant | RemoteContestant> {
  if (unavailable !== undefined) throw new LeftOut(unavailable);
  return workload.prepare(implementation);
}

async function preparePeer(
  workload: Workload,
  command: PeerCommand | { readonly leftOut: string },
): Promise<PeerContestant> {
  if (workload.forPeers === undefined) throw new LeftOut("nothing to compare");
  if ("leftOut" in command) throw new LeftOut(command.leftOut);
  return startPeer(command, await workload.forPeers());
}

/** Without the packages' own scripts: none of them needs one. */
function installPeers(): number {
  const args = ["install", "--prefix", peersFolder, "--ignore-scripts"];
  const { status } = spawnSync("npm", args, { stdio: "inherit", shell: process.platform === "win32" });
  return status === 0 ? 0 : 1;
}

/** Minutes of measuring should not end in a folder that is not there. */
async function checkFolder(file: string): Promise<void> {
  const folder = dirname(file);
  const found = await stat(folder).catch(() => undefined);
  if (!found?.isDirectory()) throw new UsageError(`--json: there is no folder "${folder}": make it first`);
}
