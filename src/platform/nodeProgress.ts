// The entry "steepest/progress" under Node. Shows a fit's progress: a bar an epoch if there is a terminal, plain lines if not.
import { checkInteger, DataError, showValue } from "../engine/errors.js";
import { performance } from "../engine/host.js";
import type { EpochResult, Progress } from "../train/fit.js";

export interface ProgressDisplay<M extends string> {
  /** Hand this to fit(). */
  onProgress(progress: Progress<M>): void;
  /** Call with each epoch's result. */
  finishEpoch(result: EpochResult<M>): void;
  /** Takes the bar of an unfinished epoch away. */
  close(): void;
}

/** A bar in the last line of the terminal. */
interface Bar {
  show(progress: Progress<never>): void;
  clear(): void;
}

const WIDTH = 24;
// What the library's line is: texts are made here, as wide as there is room for.
const [FORMAT, FORMAT_WITHOUT_BAR] = ["{before} {bar} {percentage}%  {after}", "{before}  {after}"];

/**
 * A display for `epochs` epochs. Without a terminal, an epoch is one line. With one, a bar moves within it: of `cli-progress` if
 * that is installed (an optional peer), else a plain one.
 *
 * @throws {ModelError} If `epochs` is no whole number of at least 1.
 * @example
 * const display = await createProgressDisplay<"accuracy">(1);
 * for await (const result of trainer.fit({ x, y }, { onProgress: display.onProgress })) display.finishEpoch(result);
 */
export async function createProgressDisplay<M extends string>(epochs: number): Promise<ProgressDisplay<M>> {
  checkInteger("createProgressDisplay", "epochs", epochs, 1);
  const bar = process.stdout.isTTY ? ((await libraryBar(epochs)) ?? plainBar(epochs)) : undefined;
  return {
    onProgress(progress) {
      checkProgress(progress);
      bar?.show(progress);
    },
    finishEpoch(result) {
      checkResult(result);
      bar?.clear();
      console.log(epochLine(result, epochs));
    },
    close: () => bar?.clear(),
  };
}

interface Line {
  readonly before: string;
  /** Whether there is a bar with a percentage: if there is room, and an end is known. */
  readonly hasBar: boolean;
  readonly after: string;
}

/** What is in the line, and fits in it: in a narrow terminal the speed is left out first, then metrics, then the bar. */
function lineOf(progress: Progress<never>, epochs: number): Line {
  const { epoch, samples, samplesPerEpoch, scores, samplesPerSecond, remainingMs } = progress;
  const before = `epoch ${epoch}/${epochs}`;
  const rate = `${Math.round(samplesPerSecond).toLocaleString("en-US")} samples/s`;
  const knowsEnd = Number.isFinite(samplesPerEpoch) && Number.isFinite(remainingMs);
  // Of data that arrive over time only how many there were is known.
  const left = knowsEnd ? `${(remainingMs / 1000).toFixed(1)} s left` : `${samples.toLocaleString("en-US")} samples`;
  const [all, loss] = [showScores(scores), showScores({ loss: scores.loss })];
  const columns = columnsOfTerminal();
  for (const [hasBar, parts] of [
    [knowsEnd, [all, rate, left]],
    [knowsEnd, [all, left]],
    [knowsEnd, [loss, rate, left]],
    [knowsEnd, [loss, left]],
    [false, [loss, left]],
  ] as const) {
    const after = parts.join("  ");
    // " 100%" and the spaces around.
    const length = before.length + 2 + after.length + (hasBar ? WIDTH + 6 : 0);
    if (length < columns) return { before, hasBar, after };
  }
  // A longer line would wrap, and could not be taken back.
  return { before, hasBar: false, after: loss.slice(0, Math.max(0, columns - before.length - 3)) };
}

// A terminal may say that it has none.
const columnsOfTerminal = (): number => process.stdout.columns || 80;

/** Samples of the epoch; any number if that is not known, as there is no bar then. */
function totalOf({ samples, samplesPerEpoch }: Progress<never>): number {
  return Number.isFinite(samplesPerEpoch) ? samplesPerEpoch : samples + 1;
}

async function libraryBar(epochs: number): Promise<Bar | undefined> {
  const library = await import(/* webpackIgnore: true */ "cli-progress").catch(() => undefined);
  if (library === undefined) return undefined;
  const { SingleBar, Presets } = library.default;
  let bar: InstanceType<typeof SingleBar> | undefined;
  let format = FORMAT;
  return {
    show(progress) {
      const { samples } = progress;
      const total = totalOf(progress);
      const { hasBar, ...texts } = lineOf(progress, epochs);
      const wanted = hasBar ? FORMAT : FORMAT_WITHOUT_BAR;
      // It cannot change its form.
      if (bar !== undefined && format !== wanted) bar.stop();
      if (bar !== undefined && format === wanted) {
        bar.setTotal(total);
        bar.update(samples, texts);
        return;
      }
      format = wanted;
      bar = new SingleBar({ format, barsize: WIDTH, hideCursor: true, clearOnComplete: true }, Presets.shades_classic);
      bar.start(total, samples, texts);
    },
    clear() {
      bar?.stop();
      bar = undefined;
    },
  };
}

// As often as the library draws.
const DRAW_MS = 100;

function plainBar(epochs: number): Bar {
  let drawnAt = Number.NEGATIVE_INFINITY;
  return {
    show(progress) {
      if (performance.now() - drawnAt < DRAW_MS) return;
      drawnAt = performance.now();
      const share = progress.samples / totalOf(progress);
      const { before, hasBar, after } = lineOf(progress, epochs);
      const bar = ` ${"#".repeat(Math.round(share * WIDTH)).padEnd(WIDTH, "-")} ${Math.floor(share * 100)}%`;
      process.stdout.write(`\r${before}${hasBar ? bar : ""}  ${after}\u001b[K`);
    },
    clear() {
      if (drawnAt > Number.NEGATIVE_INFINITY) process.stdout.write("\r\u001b[K");
      drawnAt = Number.NEGATIVE_INFINITY;
    },
  };
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
