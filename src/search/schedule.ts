// Which trial is next. The order in which trials end changes nothing: a rung's best go on once all of it have ended.
import type { Bracket } from "./strategies.js";
import type { Task, Trial } from "./trial.js";

export interface Schedule {
  /** How many trials there are at most: fewer if too many fail to fill a later rung. */
  readonly total: number;
  /** The next trial that can run: of those, the one with the lowest number. */
  take(): Task<unknown> | undefined;
  finish(trial: Trial<unknown>): void;
}

/** A bracket on its way. */
interface Progress {
  readonly bracket: Bracket;
  readonly index: number;
  /** The number of the bracket's first set of parameters. */
  readonly firstConfiguration: number;
  /** The number of the rung's first trial. */
  first: number;
  rung: number;
  readonly waiting: Task<unknown>[];
  /** How many of the rung have not ended. */
  open: number;
  ended: Trial<unknown>[];
}

/** @param compare Negative if the first is better. */
export function scheduleOf(
  brackets: readonly Bracket[],
  compare: (a: Trial<unknown>, b: Trial<unknown>) => number,
): Schedule {
  let [number, configuration] = [0, 0];
  const all = brackets.map((bracket, index): Progress => {
    const progress: Progress = {
      bracket,
      index,
      firstConfiguration: configuration,
      first: number,
      rung: 0,
      waiting: [],
      open: 0,
      ended: [],
    };
    begin(progress, [...bracket.configurations.keys()]);
    configuration += bracket.configurations.length;
    number += bracket.rungs.reduce((sum, { count }) => sum + count, 0);
    return progress;
  });
  return {
    total: number,
    take: () => all.find(({ waiting }) => waiting.length > 0)?.waiting.shift(),
    finish(trial) {
      const progress = all[trial.bracket];
      progress.ended.push(trial);
      if (--progress.open > 0) return;
      const { bracket, ended, firstConfiguration } = progress;
      const next = bracket.rungs[progress.rung + 1];
      if (next === undefined) return;
      const best = ended.filter(({ score }) => score !== undefined).sort(compare);
      progress.first += bracket.rungs[progress.rung].count;
      progress.rung += 1;
      begin(
        progress,
        best.slice(0, next.count).map(({ configuration }) => configuration - firstConfiguration),
      );
    },
  };
}

/** Makes the trials of a rung, of these configurations of the bracket. */
function begin(progress: Progress, chosen: readonly number[]): void {
  const { bracket, index, firstConfiguration, first } = progress;
  const { budget } = bracket.rungs[progress.rung];
  chosen.forEach((one, i) => {
    const { parameters, seed } = bracket.configurations[one];
    const configuration = firstConfiguration + one;
    progress.waiting.push({ number: first + i, configuration, bracket: index, parameters, seed, budget });
  });
  progress.open = chosen.length;
  progress.ended = [];
}
