// A search: a strategy's trials, run, recorded, and compared.
import { ModelError, SteepestError, showValue } from "../engine/errors.js";
import {
  choice,
  fn,
  integer,
  type OptionRule,
  type OptionsOf,
  optional,
  readOptions,
  unchecked,
} from "../engine/options.js";
import type { AbortSignalLike } from "../train/options.js";
import { searchHost, type WorkerKind } from "./host.js";
import { type Journal, journalFrom, type OpenJournal, openJournal } from "./journal.js";
import { functionRunner, workerRunner } from "./run.js";
import { type Schedule, scheduleOf } from "./schedule.js";
import { checkSpace, type ParametersOf, type Space } from "./space.js";
import { bracketsOf, checkStrategy, type Strategy } from "./strategies.js";
import { tableOf } from "./table.js";
import type { Runner, ScoredTrial, Task, Trial, TrialInput } from "./trial.js";

/** A path, or a `file:` URL such as `new URL("trial.js", import.meta.url)`. */
export type Address = string | { readonly href: string; readonly protocol: string };

/** What is searched over: gives the score of some parameters. */
export type SearchedFunction<P> = (trial: TrialInput<P>) => number | Promise<number>;

/** How far a search is. */
export interface SearchProgress<P> {
  /** Trials that have ended, those of the journal among them. */
  readonly finished: number;
  /** How many there will be, or a few less if trials fail. */
  readonly total: number;
  /** The best so far. */
  readonly best: ScoredTrial<P> | undefined;
}

export interface SearchOptions<P> {
  /** `randomSearch({ trials: 20 })`, `gridSearch`, `latinHypercube`, `successiveHalving` or `hyperband`. */
  strategy: Strategy;
  /** Whether small scores are good, or large ones. Default "minimize". */
  direction?: "minimize" | "maximize";
  /** Of the parameters that are drawn, and of the trials' seeds. Default 0. */
  seed?: number;
  /** How many trials run at once. Default 1. The result does not depend on it. */
  concurrency?: number;
  /** What runs a module's trials (Node). Threads share a process, and end with it. Default "threads". */
  workers?: WorkerKind;
  /** How often a trial is repeated whose worker was lost, before it counts as failed. Default 1. */
  retries?: number;
  /** Where trials are written, to go on from after a break: an object, or under Node a file's path. Default: nowhere. */
  journal?: Journal | Address | undefined;
  /** Whether a trial that fails is a row of the result, or ends the search. Default "record". */
  failures?: "record" | "throw";
  /** Ends the search by throwing the signal's reason. What has ended is in the journal. Default none. */
  signal?: AbortSignalLike | undefined;
  /** Called after each trial, but not for those of the journal. Default: nothing. */
  onTrial?: ((trial: Trial<P>, progress: SearchProgress<P>) => void) | undefined;
  /** Called for each score that a trial reports on its way. Default: nothing. */
  onReport?: ((score: number, trial: number) => void) | undefined;
}

export interface SearchResult<P> {
  /** The trial with the best score; of equal ones that with the largest budget, then the first. */
  readonly best: ScoredTrial<P>;
  /** All trials by number. */
  readonly trials: readonly Trial<P>[];
  /** The trials as lines of text, the best first. */
  table(options?: { rows?: number }): string;
}

const OPTIONS = {
  strategy: unchecked<Strategy>(),
  direction: choice("minimize", ["minimize", "maximize"]),
  seed: integer(0, { min: 0 }),
  concurrency: integer(1, { min: 1, max: 1024 }),
  workers: choice("threads", ["threads", "processes"]),
  retries: integer(1, { min: 0 }),
  journal: unchecked<Journal | Address | undefined>(),
  failures: choice("record", ["record", "throw"]),
  signal: optional(abortSignal),
  onTrial: optional(fn<(trial: Trial<never>, progress: SearchProgress<never>) => void>()),
  onReport: optional(fn<(score: number, trial: number) => void>()),
} satisfies OptionsOf<SearchOptions<never>>;

const TABLE_OPTIONS = { rows: optional(integer(undefined, { min: 1 })) };

/** Signals of other realms, and those of a library's own class, are accepted too. */
function abortSignal(...[where, name, value]: Parameters<OptionRule<unknown>>): AbortSignalLike {
  const { aborted, addEventListener, throwIfAborted } = (value ?? {}) as Partial<AbortSignalLike>;
  const methods = typeof addEventListener === "function" && typeof throwIfAborted === "function";
  if (typeof aborted === "boolean" && methods) return value as AbortSignalLike;
  throw new ModelError(
    `${where}: ${name} must be an AbortSignal, got ${showValue(value)}: hand in the signal of new AbortController()`,
  );
}

/**
 * Searches a space for the parameters with the best score. The same seed gives the same trials in every engine, whatever
 * runs them and however many run at once, if the function's score depends on what it is given alone.
 *
 * @param space Dimensions by the names of the parameters.
 * @param run Gives the score of a trial; or, under Node, the address of a module whose default export does, which is run
 * in threads or processes. What it throws, and what is no finite number, makes a trial that failed.
 * @throws {ModelError} For a wrong space, strategy or option; {SteepestError} if the journal is of another search or cannot be
 * written, if the module has no such function, or if no trial gave a score.
 * @example
 * const { best } = await search(
 *   { rate: logUniform(1e-3, 1), units: integers(4, 64) },
 *   ({ parameters: { rate, units } }) => Math.abs(Math.log10(rate) + 2) + units / 64,
 *   { strategy: randomSearch({ trials: 20 }) },
 * );
 */
export async function search<const S extends Space>(
  space: S,
  run: SearchedFunction<ParametersOf<S>> | Address,
  options: SearchOptions<ParametersOf<S>>,
): Promise<SearchResult<ParametersOf<S>>> {
  checkSpace("search", space);
  const read = readOptions("search", options, OPTIONS);
  const strategy = checkStrategy("search", read.strategy);
  const brackets = bracketsOf("search", space, strategy, read.seed);
  const journal = journalFrom("search", read.journal);
  const runner = runnerOf(run as SearchedFunction<never> | Address, read);
  const { direction, seed } = read;
  try {
    read.signal?.throwIfAborted();
    const opened = journal && (await openJournal("search", journal, { space, strategy, seed, direction }));
    const compare = comparison(direction);
    const schedule = scheduleOf(brackets, compare);
    const trials = await runAll({ ...read, schedule, runner, journal: opened, compare });
    return resultOf(trials as Trial<ParametersOf<S>>[], compare);
  } finally {
    runner.close();
  }
}

function runnerOf(
  run: SearchedFunction<never> | Address,
  { workers, retries }: { workers: WorkerKind; retries: number },
): Runner {
  if (typeof run === "function") {
    const checked = fn<SearchedFunction<never>>()("search", "run", run);
    return functionRunner(checked);
  }
  const host = searchHost();
  if (host === undefined) {
    throw new ModelError(`search: run must be a function, as there are no workers here, got ${showValue(run)}`);
  }
  return workerRunner(host, { where: "search", module: host.moduleOf("search", run), kind: workers, retries });
}

type Comparison = (a: Trial<unknown>, b: Trial<unknown>) => number;

/** Negative if the first is better: by score, then by the larger budget, then by number. */
function comparison(direction: "minimize" | "maximize"): Comparison {
  const worst = direction === "minimize" ? Infinity : -Infinity;
  const sign = direction === "minimize" ? 1 : -1;
  return (a, b) => {
    const [first, second] = [a.score ?? worst, b.score ?? worst];
    if (first !== second) return sign * (first < second ? -1 : 1);
    return b.budget - a.budget || a.number - b.number;
  };
}

interface Run {
  readonly schedule: Schedule;
  readonly runner: Runner;
  readonly journal: OpenJournal | undefined;
  readonly compare: Comparison;
  readonly concurrency: number;
  readonly failures: "record" | "throw";
  readonly signal: AbortSignalLike | undefined;
  readonly onTrial: ((trial: Trial<never>, progress: SearchProgress<never>) => void) | undefined;
  readonly onReport: ((score: number, trial: number) => void) | undefined;
}

/** What has ended so far. */
interface Tally {
  finished: number;
  best: Trial<unknown> | undefined;
}

/** Runs all trials, and gives them by number. */
function runAll(run: Run): Promise<Trial<unknown>[]> {
  const { schedule, concurrency, signal } = run;
  const trials: Trial<unknown>[] = [];
  const tally: Tally = { finished: 0, best: undefined };
  return new Promise((resolve, reject) => {
    let running = 0;
    let ended = false;
    const end = (settle: () => void): void => {
      if (ended) return;
      ended = true;
      signal?.removeEventListener("abort", abort);
      settle();
    };
    const abort = (): void => {
      try {
        signal?.throwIfAborted();
      } catch (reason) {
        end(() => reject(reason));
      }
    };
    const finish = (trial: Trial<unknown>): void => {
      running -= 1;
      trials.push(trial);
      schedule.finish(trial);
      fill();
    };
    const fill = (): void => {
      while (!ended && running < concurrency) {
        const task = schedule.take();
        if (task === undefined) break;
        running += 1;
        runOne(task, run, tally, () => ended).then(
          (trial) => trial && finish(trial),
          (error) => end(() => reject(error)),
        );
      }
      if (running === 0) end(() => resolve(trials.sort((a, b) => a.number - b.number)));
    };
    signal?.addEventListener("abort", abort);
    fill();
  });
}

/** What became of one trial; `undefined` if the search ended meanwhile. */
async function runOne(
  task: Task<unknown>,
  { runner, journal, failures, compare, schedule, onTrial, onReport }: Run,
  tally: Tally,
  isEnded: () => boolean,
): Promise<Trial<unknown> | undefined> {
  const known = journal?.outcomeOf(task);
  const { cause, ...outcome } =
    known === undefined
      ? await runner.run(task, (score) => {
          if (!isEnded()) onReport?.(score, task.number);
        })
      : { ...known, cause: undefined };
  if (isEnded()) return undefined;
  if (outcome.error !== undefined && failures === "throw") {
    throw new SteepestError(`search: trial ${task.number} must give a score, got ${outcome.error}`, { cause });
  }
  const trial = { ...task, ...outcome };
  if (known === undefined) await journal?.write(task, outcome);
  if (isEnded()) return undefined;
  tally.finished += 1;
  const { best = trial } = tally;
  if (trial.score !== undefined && compare(trial, best) <= 0) tally.best = trial;
  if (known === undefined) {
    const progress = { finished: tally.finished, total: schedule.total, best: tally.best };
    onTrial?.(trial as Trial<never>, progress as SearchProgress<never>);
  }
  return trial;
}

function resultOf<P>(trials: readonly Trial<P>[], compare: Comparison): SearchResult<P> {
  const order = [...trials].sort(
    (a, b) => Number(a.score === undefined) - Number(b.score === undefined) || compare(a, b),
  );
  const [best] = order;
  if (best.score === undefined) {
    throw new SteepestError(
      `search: a trial must give a score, got ${trials.length} that failed, the first of them: ${trials[0].error}`,
    );
  }
  return {
    best: best as ScoredTrial<P>,
    trials,
    table(options = {}) {
      const { rows = order.length } = readOptions("table", options, TABLE_OPTIONS);
      return tableOf(order.slice(0, rows));
    },
  };
}
