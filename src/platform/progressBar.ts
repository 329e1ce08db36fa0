// A bar in the last line of a terminal.
import { performance } from "../engine/host.js";

export interface BarLine {
  readonly before: string;
  /** How much is done, from 0 to 1. Without one there is no bar, and no percentage. */
  readonly share?: number | undefined;
  readonly after: string;
}

export interface Bar {
  /** Draws the line, some times a second. */
  show(line: BarLine): void;
  clear(): void;
}

const WIDTH = 24;
/** What a bar takes of a line, with " 100%" and the space before. */
export const BAR_COLUMNS = WIDTH + 6;
// What the library's line is: texts are made elsewhere, as wide as there is room for.
const [FORMAT, FORMAT_WITHOUT_BAR] = ["{before} {bar} {percentage}%  {after}", "{before}  {after}"];

/** Whether a stream is a terminal whose last line can be written again. */
export const isScreen = (stream: NodeJS.WriteStream): boolean => stream.isTTY === true && process.env.TERM !== "dumb";

/** Columns of a terminal: it may say that it has none. */
export const columnsOf = (stream: NodeJS.WriteStream): number => stream.columns || 80;

/** The bar of `cli-progress` if that is installed (an optional peer), else a plain one; `undefined` if it could not be drawn. */
export async function openBar(stream: NodeJS.WriteStream): Promise<Bar | undefined> {
  if (!isScreen(stream)) return undefined;
  return (await libraryBar(stream)) ?? plainBar(stream);
}

async function libraryBar(stream: NodeJS.WriteStream): Promise<Bar | undefined> {
  const library = await import(/* webpackIgnore: true */ "cli-progress").catch(() => undefined);
  if (library === undefined) return undefined;
  const { SingleBar, Presets } = library.default;
  let bar: InstanceType<typeof SingleBar> | undefined;
  let format = FORMAT;
  // A terminal stays as it is, also if the process is ended in the middle: no cursor is hidden, and lines go on wrapping.
  const unchanged = { hideCursor: false, linewrap: true };
  return {
    show({ share, ...texts }) {
      const wanted = share === undefined ? FORMAT_WITHOUT_BAR : FORMAT;
      // It cannot change its form.
      if (bar !== undefined && format !== wanted) bar.stop();
      if (bar !== undefined && format === wanted) {
        bar.update(share ?? 0, texts);
        return;
      }
      format = wanted;
      bar = new SingleBar(
        { format, barsize: WIDTH, clearOnComplete: true, stream, ...unchanged },
        Presets.shades_classic,
      );
      bar.start(1, share ?? 0, texts);
    },
    clear() {
      bar?.stop();
      bar = undefined;
    },
  };
}

// As often as the library draws.
const DRAW_MS = 100;

function plainBar(stream: NodeJS.WriteStream): Bar {
  let drawnAt = Number.NEGATIVE_INFINITY;
  return {
    show({ before, share, after }) {
      if (performance.now() - drawnAt < DRAW_MS) return;
      drawnAt = performance.now();
      const bar =
        share === undefined
          ? ""
          : ` ${"#".repeat(Math.round(share * WIDTH)).padEnd(WIDTH, "-")} ${Math.floor(share * 100)}%`;
      stream.write(`\r${before}${bar}  ${after}\u001b[K`);
    },
    clear() {
      if (drawnAt > Number.NEGATIVE_INFINITY) stream.write("\r\u001b[K");
      drawnAt = Number.NEGATIVE_INFINITY;
    },
  };
}
