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

const FORMAT = "epoch {epoch} {bar} {percentage}%  {scores}  {rate} samples/s  {left}";
const WIDTH = 24;

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

/** What is in the line next to the bar. */
function textsOf({ epoch, samples, scores, samplesPerSecond, remainingMs }: Progress<never>, epochs: number) {
  return {
    epoch: `${epoch}/${epochs}`,
    scores: showScores(scores),
    rate: Math.round(samplesPerSecond).toLocaleString("en-US"),
    // How long it takes is not known of data that arrive over time.
    left: Number.isFinite(remainingMs)
      ? `${(remainingMs / 1000).toFixed(1)} s left`
      : `${samples.toLocaleString("en-US")} samples`,
  };
}

/** Samples of the epoch; if that is not known, so many that the bar stays empty. */
function totalOf({ samples, samplesPerEpoch }: Progress<never>): number {
  return Number.isFinite(samplesPerEpoch) ? samplesPerEpoch : 1000 * (samples + 1);
}

async function libraryBar(epochs: number): Promise<Bar | undefined> {
  const library = await import(/* webpackIgnore: true */ "cli-progress").catch(() => undefined);
  if (library === undefined) return undefined;
  const { SingleBar, Presets } = library.default;
  let bar: InstanceType<typeof SingleBar> | undefined;
  return {
    show(progress) {
      const { samples } = progress;
      const total = totalOf(progress);
      const texts = textsOf(progress, epochs);
      if (bar !== undefined) {
        bar.setTotal(total);
        bar.update(samples, texts);
        return;
      }
      bar = new SingleBar(
        { format: FORMAT, barsize: WIDTH, hideCursor: true, clearOnComplete: true },
        Presets.shades_classic,
      );
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
      const { epoch, scores, rate, left } = textsOf(progress, epochs);
      const bar = "#".repeat(Math.round(share * WIDTH)).padEnd(WIDTH, "-");
      const line = `epoch ${epoch} ${bar} ${Math.floor(share * 100)}%  ${scores}  ${rate} samples/s  ${left}`;
      // A longer line would wrap, and could not be taken back.
      process.stdout.write(`\r${line.slice(0, (process.stdout.columns || 80) - 1)}\u001b[K`);
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

function showScores(scores: { readonly loss: number; readonly accuracy?: number }): string {
  const loss = `loss ${scores.loss.toFixed(4)}`;
  return scores.accuracy === undefined ? loss : `${loss}  accuracy ${(100 * scores.accuracy).toFixed(2)} %`;
}
