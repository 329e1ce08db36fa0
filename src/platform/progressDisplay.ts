// A fit's progress: a bar an epoch on a terminal, plain lines elsewhere.
import { DataError, showValue } from "../engine/errors.js";
import type { EpochResult, Progress } from "../train/fit.js";
import { BAR_COLUMNS, type BarLine, columnsOf, openBar } from "./progressBar.js";

export interface ProgressDisplay<M extends string> {
  /** Hand this to fit(). */
  onProgress(progress: Progress<M>): void;
  /** Call with each epoch's result. */
  finishEpoch(result: EpochResult<M>): void;
  /** Takes the bar of an unfinished epoch away. */
  close(): void;
}

/** A display on standard output or standard error: bars if it is a terminal, and a line an epoch. */
export async function openDisplay<M extends string>(
  epochs: number,
  // By name, as the types of this file are the package's, whose users need not have those of Node.
  name: "stdout" | "stderr",
): Promise<ProgressDisplay<M>> {
  const stream = process[name];
  const bar = await openBar(stream);
  const print = name === "stderr" ? console.error : console.log;
  return {
    onProgress(progress) {
      checkProgress(progress);
      bar?.show(lineOf(progress, epochs, columnsOf(stream)));
    },
    finishEpoch(result) {
      checkResult(result);
      bar?.clear();
      print(epochLine(result, epochs));
    },
    close: () => bar?.clear(),
  };
}

/** What is in the line, and fits in it: in a narrow terminal the speed is left out first, then metrics, then the bar. */
function lineOf(progress: Progress<never>, epochs: number, columns: number): BarLine {
  const { epoch, samples, samplesPerEpoch, scores, samplesPerSecond, remainingMs } = progress;
  const before = `epoch ${epoch}/${epochs}`;
  const rate = `${Math.round(samplesPerSecond).toLocaleString("en-US")} samples/s`;
  const knowsEnd = Number.isFinite(samplesPerEpoch) && Number.isFinite(remainingMs);
  const share = knowsEnd ? samples / samplesPerEpoch : undefined;
  // Of data that arrive over time only how many there were is known.
  const left = knowsEnd ? `${(remainingMs / 1000).toFixed(1)} s left` : `${samples.toLocaleString("en-US")} samples`;
  const [all, loss] = [showScores(scores), showScores({ loss: scores.loss })];
  for (const [shown, parts] of [
    [share, [all, rate, left]],
    [share, [all, left]],
    [share, [loss, rate, left]],
    [share, [loss, left]],
    [undefined, [loss, left]],
  ] as const) {
    const after = parts.join("  ");
    const length = before.length + 2 + after.length + (shown === undefined ? 0 : BAR_COLUMNS);
    if (length < columns) return { before, share: shown, after };
  }
  // A longer line would wrap, and could not be taken back.
  return { before, after: loss.slice(0, Math.max(0, columns - before.length - 3)) };
}

function checkProgress(progress: { readonly scores: object }): void {
  const where = "onProgress";
  checkNumbers(where, progress, ["epoch", "samples", "samplesPerEpoch", "samplesPerSecond", "remainingMs"]);
  checkScores(`${where}: scores`, progress.scores);
}

function checkResult(result: { readonly validation?: object | undefined }): void {
  const where = "finishEpoch";
  checkScores(where, result);
  checkNumbers(where, result, ["epoch", "step", "durationMs", "samplesPerSecond"]);
  if (result.validation !== undefined) checkScores(`${where}: validation`, result.validation);
}

function checkScores(where: string, scores: object): void {
  checkNumbers(where, scores, ["loss"]);
  if ("accuracy" in scores && scores.accuracy !== undefined) checkNumbers(where, scores, ["accuracy"]);
}

/** Refuses what fit() does not hand out: these numbers are shown. */
function checkNumbers(where: string, values: object, names: readonly string[]): void {
  const remedy = "hand on what fit() gives";
  if (typeof values !== "object" || values === null)
    throw new DataError(`${where}: must be an object with ${names.join(", ")}, got ${showValue(values)}: ${remedy}`);
  for (const name of names) {
    const value = (values as Record<string, unknown>)[name];
    if (typeof value === "number" && !Number.isNaN(value)) continue;
    throw new DataError(`${where}: ${name} must be a number, got ${showValue(value)}: ${remedy}`);
  }
}

function epochLine<M extends string>(result: EpochResult<M>, epochs: number): string {
  const { epoch, step, durationMs, samplesPerSecond, validation } = result;
  const parts = [`epoch ${epoch}/${epochs}`, showScores(result)];
  if (validation !== undefined) parts.push(`validation ${showScores(validation)}`);
  parts.push(
    `${Math.round(samplesPerSecond).toLocaleString("en-US")} samples/s`,
    `${(durationMs / 1000).toFixed(1)} s`,
    `step ${step}`,
  );
  return parts.join("  ");
}

// Of an epoch's result: what is no score.
const NO_SCORES = ["epoch", "step", "samples", "durationMs", "samplesPerSecond"];

/** The loss, and each metric that is a number. */
function showScores(scores: { readonly loss: number }): string {
  const metrics = Object.entries(scores).filter(([name]) => name !== "loss" && !NO_SCORES.includes(name));
  return [["loss", scores.loss] as const, ...metrics]
    .flatMap(([name, value]: readonly [string, unknown]) =>
      typeof value === "number" ? [`${name} ${showScore(name, value)}`] : [],
    )
    .join("  ");
}

function showScore(name: string, value: number): string {
  if (name === "accuracy") return `${(100 * value).toFixed(2)} %`;
  const size = Math.abs(value);
  return value === 0 || (size >= 1e-3 && size < 1e6) ? value.toFixed(4) : value.toPrecision(4);
}
