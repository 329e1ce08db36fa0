// Beam search: the likeliest sequences that a model can continue, a few at a time.
import { checkFunction, DataError, ModelError, showValue } from "../engine/errors.js";
import { isArrayOf } from "../engine/kind.js";
import { integer, number, type OptionRule, type OptionsOf, readOptions } from "../engine/options.js";
import { exp, log } from "../engine/portableMath.js";

export interface BeamSearchOptions {
  /** The ids that each sequence begins with, such as [start]. Default: none. */
  start?: readonly number[];
  /** The id that ends a sequence. It is in the result. */
  end: number;
  /** How many sequences are continued at a time. Default 4. */
  width?: number;
  /** The largest number of ids that are added. */
  maxLength: number;
  /** A sequence's log probability is divided by (ids added)^lengthPenalty: above 0 longer ones win more often. Default 0. */
  lengthPenalty?: number;
}

const isId = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const idList: OptionRule<readonly number[]> = (where, name, value = []) => {
  if (isArrayOf(value, isId)) return [...value];
  throw new ModelError(`${where}: ${name} must be an array of ids such as [1], got ${showValue(value)}`);
};

const OPTIONS = {
  start: idList,
  end: integer(undefined, { min: 0 }),
  width: integer(4, { min: 1 }),
  maxLength: integer(undefined, { min: 1 }),
  lengthPenalty: number(0),
} satisfies OptionsOf<BeamSearchOptions>;

export interface Beam {
  /** All ids, with those it began with and the one that ends it. */
  readonly ids: readonly number[];
  /** The sum of the log probabilities of the ids that were added. */
  readonly logProbability: number;
  /** What beams are sorted by: see `lengthPenalty`. */
  readonly score: number;
  /** Whether it came to its end; else it was cut off at `maxLength`. */
  readonly ended: boolean;
}

/**
 * Gives the logits of the next id for each prefix, one row after another. `parents[i]` says which prefix of the call before
 * `prefixes[i]` continues, for models that keep a state for each.
 */
export type NextLogits = (
  prefixes: readonly (readonly number[])[],
  parents: readonly number[],
) => ArrayLike<number> | Promise<ArrayLike<number>>;

interface Open {
  readonly ids: readonly number[];
  readonly logProbability: number;
  readonly parent: number;
}

/**
 * The likeliest sequences, best first, at most `width`. Searching ends if no open sequence can become better than those that
 * have ended, or at `maxLength`. Of equal ones the one with the smaller ids is first.
 *
 * @throws {ModelError} For wrong options; {DataError} if the logits are NaN or +Infinity, or not whole rows.
 * @see A. Graves, "Sequence Transduction with Recurrent Neural Networks" (2012).
 * @example
 * // Ids 0 and 1, of which 1 ends: 0.6 to go on, 0.4 to end.
 * const next = (prefixes: readonly (readonly number[])[]) => prefixes.flatMap(() => [Math.log(0.6), Math.log(0.4)]);
 * const [best] = await beamSearch(next, { end: 1, maxLength: 3, width: 2 });
 * // best.ids: [1], with a probability of 0.4; [0, 1] has 0.24
 */
export async function beamSearch(next: NextLogits, options: BeamSearchOptions): Promise<Beam[]> {
  checkFunction("beamSearch", "next", next);
  const { start, end, width, maxLength, lengthPenalty } = readOptions("beamSearch", options, OPTIONS);
  const scoreOf = (logProbability: number, added: number) => logProbability / exp(lengthPenalty * log(added));
  let open: Open[] = [{ ids: start, logProbability: 0, parent: 0 }];
  const ended: Beam[] = [];
  for (let added = 1; added <= maxLength && open.length > 0; added++) {
    const prefixes = open.map(({ ids }) => [...ids]);
    const logits = await next(
      prefixes,
      open.map(({ parent }) => parent),
    );
    const candidates = extend(open, logits, end, width);
    open = [];
    for (const candidate of candidates) {
      const { ids, logProbability } = candidate;
      if (ids.at(-1) !== end) open.push(candidate);
      else ended.push({ ids, logProbability, score: scoreOf(logProbability, added), ended: true });
    }
    ended.sort((a, b) => b.score - a.score);
    ended.splice(width);
    // What an open one can reach at best: probabilities only fall, and a penalty counts most for the longest.
    const longest = lengthPenalty > 0 ? maxLength : added + 1;
    const reach = Math.max(...open.map(({ logProbability }) => scoreOf(logProbability, longest)));
    if (ended.length === width && reach <= ended[width - 1].score) return ended;
  }
  const rest = open.map(({ ids, logProbability }) => ({
    ids,
    logProbability,
    score: scoreOf(logProbability, ids.length - start.length),
    ended: false,
  }));
  return [...ended, ...rest].sort((a, b) => b.score - a.score).slice(0, width);
}

/** The best continuations: as many open ones as the width, and those among them that end. */
function extend(open: readonly Open[], logits: ArrayLike<number>, end: number, width: number): Open[] {
  const classes = checkRows(logits, open.length, end);
  const candidates: { parent: number; id: number; logProbability: number }[] = [];
  open.forEach(({ logProbability }, parent) => {
    const row = Array.from({ length: classes }, (_, id) => logits[parent * classes + id]);
    const largest = row.reduce((a, b) => Math.max(a, b));
    const norm = largest + log(row.reduce((sum, logit) => sum + exp(logit - largest), 0));
    row.forEach((logit, id) => {
      if (logit > -Infinity) candidates.push({ parent, id, logProbability: logProbability + (logit - norm) });
    });
  });
  candidates.sort((a, b) => b.logProbability - a.logProbability || a.parent - b.parent || a.id - b.id);
  const chosen: typeof candidates = [];
  let going = 0;
  for (const candidate of candidates) {
    if (going === width) break;
    if (candidate.id !== end) going += 1;
    chosen.push(candidate);
  }
  return chosen.map(({ parent, id, logProbability }) => ({ ids: [...open[parent].ids, id], logProbability, parent }));
}

/** The number of classes: as many logits for each prefix. */
function checkRows(logits: ArrayLike<number>, rows: number, end: number): number {
  const length = Number((logits as ArrayLike<number> | undefined)?.length);
  const classes = length / rows;
  if (typeof logits !== "object" || !Number.isInteger(classes) || classes <= end) {
    throw new DataError(
      `beamSearch: next must give a row of logits for each of ${rows} prefixes, the end ${end} among them, got ${showValue(logits)}`,
    );
  }
  for (let row = 0; row < rows; row++) {
    let finite = false;
    for (let at = row * classes; at < (row + 1) * classes; at++) {
      const logit: unknown = logits[at];
      if (typeof logit !== "number" || Number.isNaN(logit) || logit === Infinity) {
        throw new DataError(`beamSearch: each logit must be finite, or -Infinity, got ${showValue(logit)} at ${at}`);
      }
      finite ||= logit > -Infinity;
    }
    if (!finite) throw new DataError(`beamSearch: one logit of a row must be finite, got only -Infinity in row ${row}`);
  }
  return classes;
}
