// The journal of a search: a line of JSON for the search, and one for each trial that has ended.
import { checkFunction, ModelError, SteepestError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { searchHost } from "./host.js";
import type { Outcome, Task } from "./trial.js";

/** Where a search writes what it has done. Any object with these will do, such as one over a page's storage. */
export interface Journal {
  /** All text so far; "" if there is none. */
  read(): string | Promise<string>;
  /** Adds text at the end. A trial counts once this has resolved. */
  append(text: string): void | Promise<void>;
}

/** What a journal must agree in. */
export interface JournalHead {
  readonly space: unknown;
  readonly strategy: unknown;
  readonly seed: number;
  readonly direction: string;
}

const FORMAT = "steepest search 1";

/** The journal that an option names: an object, or under Node a file. */
export function journalFrom(where: string, given: unknown): Journal | undefined {
  if (given === undefined) return undefined;
  if (kindOf(given) === "Object" || typeof (given as Partial<Journal> | null)?.read === "function") {
    checkFunction(where, "journal.read", (given as Partial<Journal>).read);
    checkFunction(where, "journal.append", (given as Partial<Journal>).append);
    return given as Journal;
  }
  const host = searchHost();
  if (host !== undefined) return host.journalOf(where, given);
  throw new ModelError(
    `${where}: journal must be an object with read and append, as there are no files here, got ${showValue(given)}`,
  );
}

/** A journal that has been read: what it knows, and where the rest is written. */
export interface OpenJournal {
  /** What became of this trial in an earlier run. Throws SteepestError if the journal has another trial under its number. */
  outcomeOf(task: Task<unknown>): Outcome | undefined;
  write(task: Task<unknown>, outcome: Outcome): Promise<void>;
}

/** Reads a journal, or begins it. Throws SteepestError if it is the journal of another search, or none. */
export async function openJournal(where: string, journal: Journal, head: JournalHead): Promise<OpenJournal> {
  const text = await journal.read();
  if (typeof text !== "string") throw new ModelError(`${where}: journal.read must give text, got ${showValue(text)}`);
  const own = JSON.stringify({ format: FORMAT, ...head });
  const lines = text.split("\n").filter((line) => line !== "");
  // Torn while the first line was written: nothing is known yet.
  const begun = lines.findIndex((line) => !own.startsWith(line) || line === own);
  if (begun >= 0) checkHead(where, lines[begun], own);
  const known = new Map<number, TrialLine>();
  for (const line of begun < 0 ? [] : lines.slice(begun + 1)) {
    const trial = trialOf(line);
    if (trial !== undefined && !known.has(trial.number)) known.set(trial.number, trial);
  }
  // One line after another, whichever trial ends first. A line begins with the break, so that it never joins a torn one.
  let last = Promise.resolve();
  const append = (line: string): Promise<void> => {
    last = last.then(() => journal.append(`\n${line}`));
    return last;
  };
  if (begun < 0) await append(own);
  return {
    outcomeOf(task) {
      const line = known.get(task.number);
      if (line === undefined) return undefined;
      const same = line.budget === task.budget && JSON.stringify(line.parameters) === JSON.stringify(task.parameters);
      if (!same) {
        throw new SteepestError(
          `${where}: journal must have the trials of this search, got another trial ${task.number}: it was changed, or is of another version: begin a new one`,
        );
      }
      return { score: line.score, error: line.error, reports: line.reports };
    },
    write({ number, parameters, budget }, { score, error, reports }) {
      return append(JSON.stringify({ number, parameters, budget, score, error, reports }));
    },
  };
}

interface TrialLine extends Outcome {
  readonly number: number;
  readonly parameters: unknown;
  readonly budget: number;
}

/** What a line says; `undefined` for one that was torn, whose trial is run again. */
function trialOf(line: string): TrialLine | undefined {
  const value = parsed(line) as Partial<TrialLine> | undefined;
  const { number, score, error, reports } = value ?? {};
  const isWhole =
    Number.isSafeInteger(number) &&
    Array.isArray(reports) &&
    (typeof score === "number" ? error === undefined : score === undefined && typeof error === "string");
  return isWhole ? (value as TrialLine) : undefined;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line) ?? undefined;
  } catch {
    return undefined;
  }
}

function checkHead(where: string, line: string, own: string): void {
  if (line === own) return;
  const head = parsed(line) as Record<string, unknown> | undefined;
  if (head?.format !== FORMAT) {
    throw new SteepestError(
      `${where}: journal must be empty, or of a search, got ${showValue(line)} as its first line: name another`,
    );
  }
  const mine = JSON.parse(own) as Record<string, unknown>;
  const other = Object.keys(mine).filter((name) => JSON.stringify(head[name]) !== JSON.stringify(mine[name]));
  const seen = other.map((name) => JSON.stringify(head[name]) ?? "none").join(", ");
  throw new SteepestError(
    `${where}: journal must be of this search, got one with another ${other.join(" and ")} (${seen.length > 200 ? `${seen.slice(0, 200)}…` : seen}): continue with the same options, or begin a new journal`,
  );
}
