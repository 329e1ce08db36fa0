// The programs of a trainer, made when they are first asked for.
import {
  evaluationProgram,
  type Feed,
  gradientProgram,
  predictionProgram,
  rawPredictionProgram,
  type StepProgram,
  trainingProgram,
} from "./programs.js";
import { checkOpen, type State } from "./state.js";

/** Programs by use, feed and batch size; recorded again when the arena has moved. */
export interface ProgramCache {
  get(use: ProgramUse, feed: Feed, batch: number): StepProgram;
  clear(): void;
}

const MAKERS = {
  train: trainingProgram,
  evaluate: evaluationProgram,
  gradients: gradientProgram,
  predict: predictionProgram,
  "predict raw": rawPredictionProgram,
} satisfies Record<string, (state: State, feed: Feed, batch: number) => StepProgram>;

export type ProgramUse = keyof typeof MAKERS;

const MOST_PROGRAMS = 16;

export function createProgramCache(state: State): ProgramCache {
  const programs = new Map<string, StepProgram>();
  // What was asked for last is mostly asked for next: found without making its key.
  let last:
    | { use: ProgramUse; x: number; y: number; shuffled: boolean; batch: number; program: StepProgram }
    | undefined;
  const drop = (key: string): void => {
    programs.get(key)?.dispose();
    programs.delete(key);
    last = undefined;
  };
  return {
    get(use, feed, batch) {
      // A trainer that was disposed of between two slices must take no memory again.
      checkOpen(state);
      const { x, y } = feed.kind === "staged" ? feed : feed.data;
      const shuffled = feed.kind === "resident" && feed.shuffled;
      const same =
        last?.use === use && last.x === x && last.y === y && last.shuffled === shuffled && last.batch === batch;
      if (same && last?.program.version === state.arena.version) return last.program;
      // A program is named by all that its instructions hold: the addresses it reads from, and the batch.
      const key = `${use} ${feed.kind} ${shuffled} ${x} ${y} ${batch}`;
      let program = programs.get(key);
      if (program?.version !== state.arena.version) {
        drop(key);
        const [oldest] = programs.keys();
        if (programs.size >= MOST_PROGRAMS) drop(oldest);
        program = MAKERS[use](state, feed, batch);
        programs.set(key, program);
      }
      last = { use, x, y, shuffled, batch, program };
      return program;
    },
    clear() {
      for (const key of [...programs.keys()]) drop(key);
    },
  };
}
