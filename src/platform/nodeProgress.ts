// The entry "steepest/progress" under Node. Shows a fit's progress: a bar an epoch where there is a terminal
// (cli-progress), plain lines where not.
import type { MetricName } from "../nn/metrics.js";
import type { EpochResult, Progress } from "../train/fit.js";

export interface ProgressDisplay<M extends MetricName> {
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
 * @example
 * const display = await createProgressDisplay<"accuracy">(1);
 * for await (const result of trainer.fit({ x, y }, { onProgress: display.onProgress })) display.finishEpoch(result);
 */
export async function createProgressDisplay<M extends MetricName>(epochs: number): Promise<ProgressDisplay<M>> {
  const lines: ProgressDisplay<M> = {
    onProgress: () => {},
    finishEpoch: (result) => console.log(epochLine(result, epochs)),
  };
  if (!process.stdout.isTTY) return lines;
  const library = await import("cli-progress").catch(() => undefined);
  if (library === undefined) return lines;
  const { SingleBar, Presets } = library.default;
  let bar: InstanceType<typeof SingleBar> | undefined;
  return {
    onProgress({ epoch, samples, samplesPerEpoch, scores, samplesPerSecond, remainingMs }) {
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
      bar?.stop();
      bar = undefined;
      lines.finishEpoch(result);
    },
  };
}

function epochLine<M extends MetricName>(result: EpochResult<M>, epochs: number): string {
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
