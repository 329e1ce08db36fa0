// The benchmark: check, then time, then report.
import { spawnSync } from "node:child_process";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { writeFileAtomic } from "../src/platform/files.js";
import { type Children, createChildren, thisTree } from "./children.js";
import { disposeEngines, whyUnavailable } from "./engines.js";
import { checkHistory, writeHistory } from "./history.js";
import { type Options, parseOptions, UsageError, usage } from "./options.js";
import { runOnNode } from "./otherNode.js";
import { type PeerContestant, startPeer } from "./peer.js";
import { commandOf, isPeer, type PeerCommand, type PeerName, peersFolder } from "./peerList.js";
import { checkPlace, showFigures, writeFigures } from "./readme.js";
import { type Entry, type Outcome, readEnvironment, recordsOf, showRemarks, showTable } from "./report.js";
import { openRevision, type Revision, RevisionError, type RevisionPlaces } from "./revision.js";
import { describeSessions, latestEntries, readSession, type Session, saveSession } from "./session.js";
import { QUICK, type Schedule, summarize, THOROUGH, timeInTurns } from "./timing.js";
import {
  type Competitor,
  type Contestant,
  type Implementation,
  LeftOut,
  prepareIn,
  type RemoteContestant,
  variantOf,
  type Workload,
  type Yardstick,
} from "./workload.js";

/** Where the benchmark writes, its clock, how peers are started, and what cannot run here; tests have their own. */
export interface Surroundings {
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
  readonly now?: () => number;
  readonly schedule?: Schedule;
  readonly commandOf?: (name: PeerName) => PeerCommand | { readonly leftOut: string };
  readonly whyUnavailable?: (implementation: Implementation) => string | undefined;
  readonly openRevision?: (name: string, places: RevisionPlaces) => Promise<Revision>;
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
    if (options.node !== undefined) return await runOnNode(options.node, args);
    for (const option of ["json", "save"] as const) await checkFolder(option, options[option]);
    for (const file of options.readme?.files ?? []) {
      await checkPlace(file);
      await checkHistory(file);
    }
    const sessions =
      options.from === undefined
        ? [await runBenchmark(options, surroundings)]
        : await Promise.all(options.from.map(readSession));
    return await report(sessions, options, surroundings);
  } catch (error) {
    if (error instanceof RevisionError) {
      printError(`bench: ${error.message}`);
      return 1;
    }
    if (!(error instanceof UsageError)) throw error;
    printError(`bench: ${error.message}\n\n${usage()}`);
    return 2;
  }
}

async function runBenchmark(options: Options, surroundings: Surroundings): Promise<Session> {
  const { print, printError } = surroundings;
  const open = surroundings.openRevision ?? openRevision;
  const other = options.against === undefined ? undefined : await open(options.against, { say: printError });
  if (other !== undefined) print(`${other.commit} is ${other.description}\n`);
  const environment = readEnvironment();
  const schedule = surroundings.schedule ?? (options.quick ? QUICK : THOROUGH);
  const entries: Entry[] = [];
  try {
    for (const workload of options.workloads) {
      printError(`${workload.name} …`);
      const own = surroundings.schedule ?? workload.schedule ?? schedule;
      entries.push(...(await measure(workload, options.implementations, { ...surroundings, schedule: own }, other)));
    }
  } finally {
    await disposeEngines();
  }
  return { environment, rounds: schedule.rounds, entries };
}

/** Prints the table, writes the files that were asked for, and returns the exit code. */
async function report(
  sessions: readonly Session[],
  { json, readme, save }: Options,
  { print, printError }: Surroundings,
): Promise<number> {
  const entries = latestEntries(sessions);
  const timed = entries.filter(({ outcome }) => !("leftOut" in outcome));
  const remarks = showRemarks(entries);
  const environment = describeSessions(sessions, () => true);
  if (timed.length > 0) print([environment, showTable(timed), ...remarks].join("\n\n"));
  else for (const remark of remarks) printError(remark);
  if (json !== undefined) {
    await writeFileAtomic(json, Buffer.from(`${JSON.stringify(recordsOf(entries), null, 2)}\n`));
  }
  if (save !== undefined) await saveSession(save, sessions[0]);
  const shown = entries.filter(({ workload }) => readme?.workloads.includes(workload));
  if (shown.some(({ outcome }) => "median" in outcome)) {
    const how = describeSessions(sessions, (name) => shown.some(({ workload }) => workload.name === name));
    for (const file of readme?.files ?? []) {
      await writeFigures(file, (choice) => showFigures(shown, how, choice));
      await writeHistory(file, sessions, (entry) => shown.includes(entry));
    }
  }
  const failed = entries.some(({ outcome }) => "error" in outcome);
  return failed || timed.length === 0 ? 1 : 0;
}

/**
 * Checks all implementations of a workload, then times those that are right: where there is another revision, beside what
 * it makes of them.
 */
export async function measure(
  workload: Workload,
  implementations: readonly (Implementation | PeerName)[],
  { printError, now, schedule = THOROUGH, ...given }: Omit<Surroundings, "print">,
  other?: Revision,
): Promise<Entry[]> {
  const contestants = new Map<Competitor, Contestant | RemoteContestant | PeerContestant>();
  const outcomes = new Map<Competitor, Outcome>();
  const fail = (implementation: Competitor, error: unknown): void => {
    printError(`${workload.name} ${implementation}: ${error}`);
    outcomes.set(implementation, { error: (error as Error).message });
  };
  const children = createChildren(workload.name);
  const preparations = preparationsOf(workload, implementations, given, children, other);
  try {
    for (const [competitor, prepare] of preparations) {
      try {
        contestants.set(competitor, await prepare());
      } catch (error) {
        if (error instanceof LeftOut) outcomes.set(competitor, { leftOut: error.message });
        else fail(competitor, error);
      }
    }
    const results = await timeInTurns([...contestants.values()], schedule, now);
    [...contestants].forEach(([competitor, contestant], i) => {
      const result = results[i];
      if (result instanceof Error) {
        fail(competitor, result);
        return;
      }
      const about = "version" in contestant ? contestant : undefined;
      const { version, note, libraries } = about ?? {};
      outcomes.set(competitor, { ...summarize(result), version, note, libraries });
    });
  } finally {
    for (const contestant of contestants.values()) contestant.dispose();
    children.end();
  }
  return [...preparations.keys()].map((implementation) => {
    const outcome = outcomes.get(implementation) ?? { error: "not timed" };
    return { workload, implementation, outcome };
  });
}

/** How each competitor is made ready. */
function preparationsOf(
  workload: Workload,
  implementations: readonly (Implementation | PeerName)[],
  given: Pick<Surroundings, "commandOf" | "whyUnavailable">,
  children: Children,
  other: Revision | undefined,
): Map<Competitor, () => Promise<Contestant | RemoteContestant | PeerContestant>> {
  const preparations = new Map<Competitor, () => Promise<Contestant | RemoteContestant | PeerContestant>>();
  for (const name of implementations) {
    if (isPeer(name)) {
      preparations.set(name, () => preparePeer(workload, (given.commandOf ?? commandOf)(name)));
      continue;
    }
    const build = variantOf(name)?.build;
    const isAlone = build === "wide" || (other !== undefined && build !== undefined);
    const own: (Implementation | Yardstick)[] = [name];
    if (workload.yardstick !== undefined && build !== undefined) own.push(`${name}/${workload.yardstick.name}`);
    for (const one of own) {
      preparations.set(one, async () => {
        const unavailable = (given.whyUnavailable ?? whyUnavailable)(name);
        if (unavailable !== undefined) throw new LeftOut(unavailable);
        return isAlone ? children.prepare(one, thisTree) : prepareIn(workload, one);
      });
    }
    if (other !== undefined && build !== undefined) {
      preparations.set(`${name}@${other.commit}`, () => children.prepare(name, other));
    }
  }
  return preparations;
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
async function checkFolder(option: string, file: string | undefined): Promise<void> {
  if (file === undefined) return;
  const folder = dirname(file);
  const found = await stat(folder).catch(() => undefined);
  if (!found?.isDirectory()) throw new UsageError(`--${option}: there is no folder "${folder}": make it first`);
}
