// The entry "steepest/progress" under Node. Shows a fit's progress: a bar an epoch where there is a terminal
// (cli-progress), plain lines where not.
import { checkInteger, DataError, showValue } from "../engine/errors.js";
import type { EpochResult, Progress } from "../train/fit.js";

export interface ProgressDisplay<M extends string> {
  /** Hand this to fit(). */
  onProgress(progress: Progress<M>): void;
  /** Call with each epoch's result. */
  finishEpoch(result: EpochResult<M>): void;
}

const FORMAT = "epoch {epoch} {bar} {percentage}%  {scores}  {rate} samples/s  {left} left";

/**
 * A display for `epochs` epochs. `cli-progress` is an optional peer: without it, or without a terminal, an epoch is
 * one line.
 *
 * @throws {ModelError} If `epochs` is no whole number of at least 1.
 * @example
 * const display = await createProgressDisplay<"accuracy">(1);
 * for await (const result of trainer.fit({ x, y }, { onProgress: display.onProgress })) display.finishEpoch(result);
 */
export async function createProgressDisplay<M extends string>(epochs: number): Promise<ProgressDisplay<M>> {
  checkInteger("createProgressDisplay", "epochs", epochs, 1);
  const lines: ProgressDisplay<M> = {
    onProgress: checkProgress,
    finishEpoch(result) {
      checkResult(result);
      console.log(epochLine(result, epochs));
    },
  };
  if (!process.stdout.isTTY) return lines;
  const library = await import("cli-progress").catch(() => undefined);
  if (library === undefined) return lines;
  const { SingleBar, Presets } = library.default;
  let bar: InstanceType<typeof SingleBar> | undefined;
  return {
    onProgress(progress) {
      checkProgress(progress);
      const { epoch, samples, samplesPerEpoch, scores, samplesPerSecond, remainingMs } = progress;
      const payload = {
        epoch: `${epoch}/${epochs}`,
        scores: showScores(scores),
        rate: Math.round(samplesPerSecond).toLocaleString("en-US"),
        left: `${(remainingMs / 1000).toFixed(1)} s`,
      };
      if (bar === undefined) {
        bar = new SingleBar(
          { format: FORMAT, barsize: 24, hideCursor: true, clearOnComplete: true },
          Presets.shades_classic,
        );
        bar.start(samplesPerEpoch, samples, payload);
      } else {
        bar.update(samples, payload);
      }
    },
    finishEpoch(result) {
      checkResult(result);
      bar?.stop();
      bar = undefined;
      lines.finishEpoch(result);
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
