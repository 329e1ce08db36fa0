// The entry "steepest/callbacks" under Node, Deno and Bun: with logs in files, and displays in the terminal.
import { type FileHandle, open } from "node:fs/promises";
import { provideCallbackHost } from "../callbacks/host.js";
import { checkMonitor, scoreOf } from "../callbacks/monitor.js";
import { ModelError, SteepestError, showValue } from "../engine/errors.js";
import { isArrayOf } from "../engine/kind.js";
import { integer, type OptionRule, type OptionsOf, readOptions } from "../engine/options.js";
import type { Callback } from "../train/callbacks.js";
import { codeOf } from "./disk.js";
import { type FilePath, pathOf } from "./files.js";
import { progressCallback } from "./nodeDisplay.js";

export * from "../callbacks/index.js";

function openLog(where: string, given: unknown) {
  const path = pathOf(where, given as FilePath);
  const refusal = (cause: unknown): SteepestError =>
    new SteepestError(
      `${where}: the log must be a file that can be written, got ${showValue(path.slice(-200))} (${codeOf(cause)}): check its folder and the disk`,
      { cause },
    );
  return async () => {
    let file: FileHandle;
    let begun: boolean;
    try {
      file = await open(path, "a");
      begun = (await file.stat()).size > 0;
    } catch (cause) {
      throw refusal(cause);
    }
    return {
      begun,
      async write(text: string) {
        try {
          await file.appendFile(text);
        } catch (cause) {
          throw refusal(cause);
        }
      },
      close: () => file.close(),
    };
  };
}

provideCallbackHost({ openLog });

/**
 * Shows the progress of a fit in the terminal: a bar that moves within an epoch, then a line with its scores; without a terminal,
 * the line alone. An awaited `fit` shows this by itself: see its option `progress`.
 *
 * @example
 * await trainer.fit({ x, y }, { epochs: 2, callbacks: [progress()] });
 */
export function progress(): Callback {
  return progressCallback();
}

export interface LiveCurveOptions {
  /** The scores. Default: the loss, and that of the validation if there is one. */
  monitor?: readonly string[];
  /** Columns of the chart. Default 72, or as many as the terminal has room for. */
  width?: number;
  /** Rows of the chart. Default 12. */
  height?: number;
}

const isText = (value: unknown): value is string => typeof value === "string";

const scoreNames: OptionRule<readonly string[] | undefined> = (where, name, value) => {
  if (value === undefined || (isArrayOf(value, isText) && value.length > 0)) return value;
  throw new ModelError(`${where}: ${name} must be names of scores in an array, got ${showValue(value)}`);
};

const AXIS = 14;

const CURVE = {
  monitor: scoreNames,
  width: integer(72, { min: 10, max: 1000 }),
  height: integer(12, { min: 2, max: 1000 }),
} satisfies OptionsOf<LiveCurveOptions>;

/**
 * Draws scores as curves over the epochs in the terminal, anew after each epoch; without a terminal, once at the end. It needs
 * `simple-ascii-chart`, an optional peer.
 *
 * @throws {ModelError} For an option that is out of range; when the fit begins, for a score that it does not have, and without the
 *   peer.
 * @example
 * await trainer.fit({ x, y }, { epochs: 3, callbacks: [liveCurve()] });
 */
export function liveCurve(options: LiveCurveOptions = {}): Callback {
  const where = "liveCurve";
  const { monitor, width, height } = readOptions(where, options, CURVE);
  let names: readonly string[] = [];
  let curves: [x: number, y: number][][] = [];
  let plot: typeof import("simple-ascii-chart").plot | undefined;
  let shownLines = 0;
  const show = (): void => {
    const drawn = curves.map((curve) => curve.filter(([, value]) => Number.isFinite(value)));
    if (plot === undefined || drawn.every((curve) => curve.length < 2)) return;
    // A line that wraps could not be drawn over. The numbers of the axis are beside the chart.
    const room = Math.max(10, (process.stdout.columns || 1000) - AXIS);
    const chart = plot(drawn, {
      width: Math.min(width, room),
      height,
      legend: { position: "bottom", series: [...names] },
    });
    // Over the one before.
    const back = shownLines > 0 ? `\u001b[${shownLines}A\u001b[J` : "";
    process.stdout.write(`${back}${chart}\n`);
    shownLines = chart.split("\n").length;
  };
  return {
    name: where,
    shows: true,
    async onBegin({ setup }) {
      names = monitor ?? ["loss", "validation.loss"].filter((name) => setup.scores.includes(name));
      for (const name of names) checkMonitor(where, name, setup);
      [curves, shownLines] = [names.map(() => []), 0];
      const library = await import(/* webpackIgnore: true */ "simple-ascii-chart").catch((cause: unknown) => {
        throw new ModelError(
          `${where}: needs simple-ascii-chart, got ${codeOf(cause)}: npm install simple-ascii-chart`,
          {
            cause,
          },
        );
      });
      plot = library.plot;
    },
    onEpoch(context) {
      for (const [index, name] of names.entries()) curves[index].push([context.epoch, scoreOf(where, context, name)]);
      if (process.stdout.isTTY === true) show();
    },
    onEnd() {
      if (process.stdout.isTTY !== true) show();
    },
  };
}
