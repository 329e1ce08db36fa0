// What a run has measured: kept in a file by --save, and read by --from, so that a table can be made of several runs.
import { readFile } from "node:fs/promises";
import { writeFileAtomic } from "../src/platform/files.js";
import { UsageError } from "./options.js";
import { type Entry, type Environment, showEnvironment } from "./report.js";
import { workloads } from "./workloads.js";

export interface Session {
  readonly environment: Environment;
  /** The most rounds that a contestant had. */
  readonly rounds: number;
  readonly entries: readonly Entry[];
}

/** Workloads by their names. */
interface SavedSession extends Omit<Session, "entries"> {
  readonly entries: readonly (Omit<Entry, "workload"> & { readonly workload: string })[];
}

export async function saveSession(file: string, { entries, ...others }: Session): Promise<void> {
  const saved: SavedSession = {
    ...others,
    entries: entries.map((entry) => ({ ...entry, workload: entry.workload.name })),
  };
  await writeFileAtomic(file, Buffer.from(`${JSON.stringify(saved, null, 1)}\n`));
}

/** Throws UsageError where a file is not what --save writes. */
export async function readSession(file: string): Promise<Session> {
  const text = await readFile(file, "utf8").catch((error: Error) => {
    throw new UsageError(`--from: cannot read "${file}": ${error.message}`);
  });
  const { environment, rounds, entries } = parseSession(file, text);
  return {
    environment,
    rounds,
    entries: entries.map((entry) => {
      const workload = workloads.find(({ name }) => name === entry.workload);
      if (workload === undefined) {
        throw new UsageError(`--from: "${file}" has the workload "${entry.workload}", which is not there any more`);
      }
      return { ...entry, workload };
    }),
  };
}

function parseSession(file: string, text: string): SavedSession {
  try {
    const saved: SavedSession = JSON.parse(text);
    if (Array.isArray(saved.entries) && typeof saved.environment === "object") return saved;
  } catch {}
  throw new UsageError(`--from: "${file}" must be a file that --save wrote`);
}

/** Those that the table is made of: each workload as the last session that has it, in the order of the workloads. */
export function latestEntries(sessions: readonly Session[]): Entry[] {
  return workloads.flatMap(({ name }) => {
    const has = ({ workload }: Entry) => workload.name === name;
    return sessions.findLast(({ entries }) => entries.some(has))?.entries.filter(has) ?? [];
  });
}

/** A line about the machine and what was done; one for each kind of run, if they differ. */
export function describeSessions(sessions: readonly Session[], isShown: (name: string) => boolean): string {
  const entries = latestEntries(sessions);
  const kinds = new Map<string, Session[]>();
  for (const session of sessions) {
    const { day, node, v8, processor } = session.environment;
    const kind = JSON.stringify([day, node, v8, processor, session.rounds]);
    kinds.set(kind, [...(kinds.get(kind) ?? []), session]);
  }
  const lines = [...kinds.values()].map((alike) => {
    const [first, ...others] = alike.map(({ environment }) => environment);
    const here = entries.filter((entry) => alike.some((session) => session.entries.includes(entry)));
    const how = `${showEnvironment([first, ...others], here)}, medians of up to ${alike[0].rounds} rounds in turns`;
    const names = [...new Set(here.map(({ workload }) => workload.name))].filter(isShown);
    return kinds.size === 1 ? how : `${names.map((name) => `\`${name}\``).join(", ")}: ${how}`;
  });
  return lines.join(".\n\n");
}
