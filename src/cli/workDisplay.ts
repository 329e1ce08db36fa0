// How far a command has come, for those who wait before a terminal.
import { fstatSync, statSync } from "node:fs";
import { performance } from "../engine/host.js";
import { type Disk, realDisk } from "../platform/disk.js";
import { BAR_COLUMNS, type Bar, type BarLine, columnsOf, openBar } from "../platform/progressBar.js";
import { bytesText } from "./terminal.js";

// What is done sooner needs none.
const PATIENCE_MS = 1000;

export interface WorkDisplay {
  /** What has been done so far: some of a whole, if that is known, and what it was in words. */
  show(done: number, total: number | undefined, text: string): void;
  /** Takes it away. */
  close(): void;
}

export const NOTHING: WorkDisplay = { show: () => {}, close: () => {} };

/**
 * A bar on stderr, if that is a terminal, for work of more than a second. `output`: "-" if lines go to stdout
 * meanwhile; unless that is a file, they show on a terminal how far it has come, or another program, such as a pager, has the terminal.
 */
export async function openWork(name: string, output = ""): Promise<WorkDisplay> {
  const stream = process.stderr;
  if (output === "-" && !isStdoutFile()) return NOTHING;
  const bar = await openBar(stream);
  return bar === undefined ? NOTHING : workOn(bar, name, () => columnsOf(stream));
}

function isStdoutFile(): boolean {
  try {
    return fstatSync(1).isFile();
  } catch {
    return false; // it is closed
  }
}

/** The same on any bar. */
export function workOn(bar: Bar, name: string, columns: () => number): WorkDisplay {
  const start = performance.now();
  return {
    show(done, total, text) {
      const elapsed = performance.now() - start;
      if (elapsed < PATIENCE_MS) return;
      const share = total !== undefined && total > 0 ? Math.min(1, done / total) : undefined;
      bar.show(fitting(name, share, text, elapsed, columns()));
    },
    close: () => bar.clear(),
  };
}

/** In a narrow terminal the text is left out first, then the bar. */
function fitting(before: string, share: number | undefined, text: string, elapsed: number, columns: number): BarLine {
  const left = share === undefined || share === 0 ? "" : `${((elapsed / 1000) * (1 / share - 1)).toFixed(1)} s left`;
  const all = [text, left].filter((part) => part !== "").join("  ");
  for (const [shown, after] of [
    [share, all],
    [share, left],
    [undefined, text],
  ] as const) {
    if (before.length + 2 + after.length + (shown === undefined ? 0 : BAR_COLUMNS) < columns) {
      return { before, share: shown, after };
    }
  }
  return { before: before.slice(0, Math.max(0, columns - 3)), after: "" };
}

/** A disk that shows how many bytes of a file were read or written, which has `total` in all. */
export function watchedDisk(work: WorkDisplay, verb: string, total: number | undefined): Disk {
  let done = 0;
  const count = (bytes: number): void => {
    done += bytes;
    work.show(done, total, `${verb} ${bytesText(done)}${total === undefined ? "" : ` of ${bytesText(total)}`}`);
  };
  return {
    ...realDisk,
    async open(path, flags, mode) {
      const file = await realDisk.open(path, flags, mode);
      return {
        stat: () => file.stat(),
        chmod: (rights) => file.chmod(rights),
        async read(...place) {
          const result = await file.read(...place);
          count(result.bytesRead);
          return result;
        },
        async write(...place) {
          const result = await file.write(...place);
          count(result.bytesWritten);
          return result;
        },
        sync: () => file.sync(),
        close: () => file.close(),
      };
    },
  };
}

export function sizeOfFile(path: string): number | undefined {
  const stats = path === "-" ? undefined : statSync(path, { throwIfNoEntry: false });
  return stats?.isFile() ? stats.size : undefined;
}
