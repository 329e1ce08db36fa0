// From logits by time step to labels, for models that were trained with ctc(): the likeliest path, or the likeliest labels.
import { DataError, ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { integer, type OptionRule, type OptionsOf, type ReadOptions, readOptions } from "../engine/options.js";
import { exp, log } from "../engine/portableMath.js";

export interface CtcDecodeOptions {
  /** Shape of one sample's logits: [time, classes]. */
  shape: readonly [time: number, classes: number];
  /** The class that stands for no label. Default 0. */
  blank?: number;
  /** Time steps of each sample that count, each 0 to `time`. Default all. */
  lengths?: ArrayLike<number>;
}

export interface CtcBeamDecodeOptions extends CtcDecodeOptions {
  /** How many sequences of labels are continued at a time. Default 16. */
  width?: number;
}

export interface CtcBeam {
  readonly labels: readonly number[];
  /** Logarithm of the probability of these labels, of all paths that the search has kept: a lower bound, exact if `width` suffices. */
  readonly logProbability: number;
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 1;

const shapeRule: OptionRule<readonly [number, number]> = (where, name, value) => {
  if (Array.isArray(value) && value.length === 2 && isSize(value[0]) && isSize(value[1])) return [value[0], value[1]];
  throw new ModelError(`${where}: ${name} must be [time, classes], such as [50, 11], got ${showValue(value)}`);
};

const lengthsRule: OptionRule<ArrayLike<number> | undefined> = (where, name, value) => {
  const isList = Array.isArray(value) || (ArrayBuffer.isView(value) && kindOf(value) !== "DataView");
  if (value === undefined || isList) return value as ArrayLike<number> | undefined;
  throw new ModelError(`${where}: ${name} must be an array of whole numbers, got ${showValue(value)}`);
};

const GREEDY = {
  shape: shapeRule,
  blank: integer(0, { min: 0 }),
  lengths: lengthsRule,
} satisfies OptionsOf<CtcDecodeOptions>;

const BEAM = {
  shape: shapeRule,
  blank: integer(0, { min: 0 }),
  lengths: lengthsRule,
  width: integer(16, { min: 1 }),
} satisfies OptionsOf<CtcBeamDecodeOptions>;

/** The rows that count of each sample. Throws where sizes do not fit, or a row has no classes to choose from. */
function rowsOf(
  where: string,
  logits: ArrayLike<number>,
  { shape: [time, classes], blank, lengths }: ReadOptions<typeof GREEDY>,
): number[][][] {
  if (blank >= classes) {
    throw new ModelError(`${where}: blank must be one of the ${classes} classes, got ${blank}`);
  }
  const count = Number((logits as ArrayLike<number> | undefined)?.length) / (time * classes);
  if (typeof logits !== "object" || !Number.isInteger(count)) {
    throw new DataError(
      `${where}: logits must be flat, ${time} · ${classes} values for each sample, got ${showValue(logits)}`,
    );
  }
  if (lengths !== undefined && lengths.length !== count) {
    throw new DataError(`${where}: lengths must be one for each of the ${count} samples, got ${lengths.length}`);
  }
  return Array.from({ length: count }, (_, sample) => {
    const length: unknown = lengths === undefined ? time : lengths[sample];
    if (!Number.isSafeInteger(length) || (length as number) < 0 || (length as number) > time) {
      throw new DataError(
        `${where}: a length must be a whole number from 0 to ${time}, got ${showValue(length)} at ${sample}`,
      );
    }
    return Array.from({ length: length as number }, (_, t) => {
      const first = (sample * time + t) * classes;
      return Array.from({ length: classes }, (_, i) => checkLogit(where, logits[first + i], first + i));
    });
  });
}

function checkLogit(where: string, logit: unknown, at: number): number {
  if (typeof logit === "number" && logit < Infinity) return logit;
  throw new DataError(`${where}: each logit must be finite, or -Infinity, got ${showValue(logit)} at ${at}`);
}

/**
 * The labels of the likeliest path of each sample: the largest logit of each time step, repeats merged, blanks left out. Of
 * equals the first class is taken. Fast; where several paths share a result, `ctcBeamDecode` may find likelier labels.
 *
 * @param logits Of samples one behind another, `[batch, time, classes]`, as `predict()` gives them.
 * @throws {ModelError} For wrong options; {DataError} for logits that do not fit, or are NaN or +Infinity.
 * @example
 * // Class 0 is the blank. Steps: 1, 1, blank, 1.
 * ctcGreedyDecode([0, 5, 0, 5, 5, 0, 0, 5], { shape: [4, 2] }); // [[1, 1]]
 */
export function ctcGreedyDecode(logits: ArrayLike<number>, options: CtcDecodeOptions): number[][] {
  const read = readOptions("ctcGreedyDecode", options, GREEDY);
  return rowsOf("ctcGreedyDecode", logits, read).map((rows) => {
    const path = rows.map((row) => row.reduce((best, logit, i) => (logit > row[best] ? i : best), 0));
    return path.filter((label, t) => label !== read.blank && label !== path[t - 1]);
  });
}

/** Labels so far, as a branch of the tree of all that were looked at, and logarithms of probabilities after a step. */
interface Prefix {
  readonly parent: Prefix | undefined;
  readonly label: number;
  readonly children: Map<number, Prefix>;
  /** Of the paths that end in a blank, and of those that end in the last label. */
  onBlank: number;
  onLabel: number;
  /** The same after the step that is being taken. */
  nextBlank: number;
  nextLabel: number;
}

function startPrefix(parent: Prefix | undefined, label: number): Prefix {
  const nothing = { onBlank: -Infinity, onLabel: -Infinity, nextBlank: -Infinity, nextLabel: -Infinity };
  return { parent, label, children: new Map(), ...nothing };
}

/**
 * The likeliest labels of each sample, best first, at most `width`: paths that give the same labels are added up. With a
 * `width` as large as the number of all sequences of labels it is exact. The same bits in every engine.
 *
 * @param logits Of samples one behind another, `[batch, time, classes]`, as `predict()` gives them.
 * @throws {ModelError} For wrong options; {DataError} for logits that do not fit, or are NaN or +Infinity, or only -Infinity
 *   in a row.
 * @see A. Graves, "Sequence Transduction with Recurrent Neural Networks" (2012); A. Hannun et al. (2014), prefix beam search.
 * @example
 * // Two steps, blank 0.6 and label 0.4: the likeliest path is of blanks (0.36), but three paths give the label (0.64).
 * const row = [Math.log(0.6), Math.log(0.4)];
 * const [[best]] = ctcBeamDecode([...row, ...row], { shape: [2, 2] });
 * // best.labels: [1]
 */
export function ctcBeamDecode(logits: ArrayLike<number>, options: CtcBeamDecodeOptions): CtcBeam[][] {
  const where = "ctcBeamDecode";
  const { width, ...read } = readOptions(where, options, BEAM);
  return rowsOf(where, logits, read).map((rows) => {
    const root = startPrefix(undefined, -1);
    root.onBlank = 0;
    let beam: Prefix[] = [root];
    for (const row of rows) beam = extend(beam, logShares(where, row), read.blank, width);
    return beam.map((prefix) => ({ labels: labelsOf(prefix), logProbability: logAdd(prefix.onBlank, prefix.onLabel) }));
  });
}

/** One more time step, of which `row` has the logarithms of probabilities. */
function extend(beam: readonly Prefix[], row: readonly number[], blank: number, width: number): Prefix[] {
  const reached = new Set<Prefix>(beam);
  for (const prefix of beam) {
    const total = logAdd(prefix.onBlank, prefix.onLabel);
    prefix.nextBlank = logAdd(prefix.nextBlank, total + row[blank]);
    for (const [label, share] of row.entries()) {
      if (label === blank || share === -Infinity) continue;
      // Right behind itself, a label goes on; only behind a blank it is another.
      const isSame = label === prefix.label;
      if (isSame) prefix.nextLabel = logAdd(prefix.nextLabel, prefix.onLabel + share);
      const from = isSame ? prefix.onBlank : total;
      if (from === -Infinity) continue;
      const child = childOf(prefix, label);
      child.nextLabel = logAdd(child.nextLabel, from + share);
      reached.add(child);
    }
  }
  const scored = [...reached].map((prefix) => {
    [prefix.onBlank, prefix.onLabel] = [prefix.nextBlank, prefix.nextLabel];
    [prefix.nextBlank, prefix.nextLabel] = [-Infinity, -Infinity];
    return { prefix, score: logAdd(prefix.onBlank, prefix.onLabel) };
  });
  const possible = scored.filter(({ score }) => score > -Infinity);
  possible.sort((a, b) => b.score - a.score || compareLabels(labelsOf(a.prefix), labelsOf(b.prefix)));
  return possible.slice(0, width).map(({ prefix }) => prefix);
}

function childOf(prefix: Prefix, label: number): Prefix {
  const known = prefix.children.get(label);
  if (known !== undefined) return known;
  const child = startPrefix(prefix, label);
  prefix.children.set(label, child);
  return child;
}

function labelsOf(prefix: Prefix): number[] {
  const labels: number[] = [];
  for (let at = prefix; at.parent !== undefined; at = at.parent) labels.push(at.label);
  return labels.reverse();
}

/** Of equally likely ones the smaller labels are first, and the shorter ones. */
function compareLabels(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((label, i) => label !== b[i]);
  return at < 0 || at >= b.length ? a.length - b.length : a[at] - b[at];
}

/** Logarithms of softmax(row). */
function logShares(where: string, row: readonly number[]): number[] {
  const largest = row.reduce((a, b) => Math.max(a, b));
  if (largest === -Infinity) throw new DataError(`${where}: one logit of a row must be finite, got only -Infinity`);
  const total = log(row.reduce((sum, logit) => sum + exp(logit - largest), 0));
  return row.map((logit) => logit - largest - total);
}

/** ln(e^a + e^b) */
function logAdd(a: number, b: number): number {
  const [high, low] = a > b ? [a, b] : [b, a];
  return low === -Infinity ? high : high + log(1 + exp(low - high));
}
