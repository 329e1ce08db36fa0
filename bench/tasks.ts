// The tasks of a page's main thread, out of Chromium's trace.
import type { Browser, Page } from "playwright-core";

export interface Task {
  /** Of the processor, which other programs on the machine do not change as they change the time that passes. */
  readonly cpuMs: number;
  readonly wallMs: number;
  /** The last of the page's own marks that came before the task's end. */
  readonly after: string;
  /** What Chromium says it came from. */
  readonly from: string;
}

interface TraceEvent {
  readonly name: string;
  readonly cat: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds. */
  readonly ts: number;
  readonly dur?: number;
  readonly tdur?: number;
  readonly args: { readonly src_func?: string };
}

/** Traces the page while `work` goes on. The page marks, with `performance.mark`, names that begin with `prefix`. */
export async function traceTasks<T>(
  browser: Browser,
  page: Page,
  prefix: string,
  work: () => Promise<T>,
): Promise<{ result: T; tasks: Task[] }> {
  await browser.startTracing(page, { categories: ["toplevel", "blink.user_timing"] });
  const result = await work();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] };
  const marks = traceEvents
    .filter(({ cat, name }) => cat.includes("blink.user_timing") && name.startsWith(prefix))
    .sort((a, b) => a.ts - b.ts);
  if (marks.length === 0) throw new Error(`trace: the page must set marks that begin with "${prefix}", found none`);
  const [{ pid, tid }] = marks;
  // One that the trace begins or ends in has no times.
  const whole = traceEvents
    .filter((event) => event.pid === pid && event.tid === tid && event.ph === "X")
    .filter(({ name, dur }) => name === "ThreadControllerImpl::RunTask" && dur !== undefined);
  const tasks = whole
    .filter(({ tdur }) => tdur !== undefined)
    .map(({ ts, dur = 0, tdur = 0, args }) => {
      const after = marks.filter((mark) => mark.ts <= ts + dur).at(-1)?.name ?? "";
      return { cpuMs: tdur / 1000, wallMs: dur / 1000, after, from: args.src_func ?? "" };
    });
  if (tasks.length < whole.length / 2) throw new Error("trace: Chromium must give the processor's time of each task");
  return { result, tasks };
}

/** The one that took the processor longest, of those that ended while `mark` was the page's last. */
export function longestTask(tasks: readonly Task[], mark: string): Task {
  const [first, ...others] = tasks.filter(({ after }) => after === mark);
  if (first === undefined) throw new Error(`trace: no task after the mark "${mark}"`);
  return others.reduce((longest, task) => (task.cpuMs > longest.cpuMs ? task : longest), first);
}
