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
  /** All that are held. */
  programs(): readonly StepProgram[];
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
  let last: { use: ProgramUse; feed: Feed; batch: number; program: StepProgram } | undefined;
  const drop = (key: string): void => {
    programs.get(key)?.dispose();
    programs.delete(key);
    last = undefined;
  };
  return {
    get(use, feed, batch) {
      // A trainer that was disposed of between two slices must take no memory again.
      checkOpen(state);
      const known = last?.use === use && last.batch === batch && sameFeed(last.feed, feed);
      if (known && last?.program.version === state.arena.version) return last.program;
      // A program is named by all that its instructions hold.
      const key = `${use} ${keyOf(feed)} ${batch}`;
      let program = programs.get(key);
      if (program?.version !== state.arena.version) {
        drop(key);
        const [oldest] = programs.keys();
        if (programs.size >= MOST_PROGRAMS) drop(oldest);
        program = MAKERS[use](state, feed, batch);
      }
      // The one used longest ago comes first, and is the next to go.
      programs.delete(key);
      programs.set(key, program);
      last = { use, feed, batch, program };
      return program;
    },
    programs: () => [...programs.values()],
    clear() {
      for (const key of [...programs.keys()]) drop(key);
    },
  };
}

function sameFeed(a: Feed, b: Feed): boolean {
  if (a.format !== b.format) return false;
  if (a.kind === "gathered") return b.kind === "gathered" && a.whole === b.whole;
  return b.kind === "staged" && samePlaces(a.x, b.x) && samePlaces(a.y, b.y);
}

function samePlaces(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** All that a program's instructions hold of a feed: gathered data may be stored anywhere, staged samples may not. */
function keyOf(feed: Feed): string {
  const shapes = feed.format.inputs.map(({ shape }) => shape.join("x"));
  return feed.kind === "gathered" ? `gathered ${feed.whole} ${shapes}` : `staged ${feed.x} ${feed.y} ${shapes}`;
}
