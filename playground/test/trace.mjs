// What a page's own thread does, from Chromium's trace. Judged is the time that the thread had the processor, not what a
// clock on the wall says: on a machine that has much else to do, a task stands waiting in the middle.

/** Tasks over this keep a page from answering at once: https://www.w3.org/TR/longtasks-1/. */
export const LONG_TASK_MS = 50;

const CATEGORIES = ["toplevel", "devtools.timeline", "loading", "blink.user_timing"];
const MARK = "traced by a test";

/**
 * Records while `use` runs. Gives the outermost tasks of the page's thread, each with what took most of it, and the events by
 * which a page is told to be ready (`marks`: name to the thread's time in ms before it).
 */
export async function traced(browser, page, use) {
  await browser.startTracing(page, { categories: CATEGORIES });
  let events;
  try {
    await use();
    await page.evaluate((name) => performance.mark(name), MARK);
  } finally {
    events = JSON.parse((await browser.stopTracing()).toString()).traceEvents;
  }
  const mark = events.findLast(({ name, cat }) => name === MARK && cat.includes("user_timing"));
  if (mark === undefined) throw new Error("the trace does not know the page");
  const own = events.filter(({ pid, tid }) => pid === mark.pid && tid === mark.tid);
  return { tasks: tasksOf(own), marks: marksOf(own) };
}

const isTask = ({ ph, name }) => ph === "X" && name.endsWith("RunTask");

/** Events with a length, outermost first. A task may run others within it. */
function tasksOf(events) {
  const complete = events
    .filter(({ ph, tdur }) => ph === "X" && tdur !== undefined)
    .sort((a, b) => a.ts - b.ts || b.dur - a.dur);
  const tasks = [];
  let end = 0;
  for (const event of complete) {
    const last = tasks.at(-1);
    if (event.ts < end) last.inside.push(event);
    else if (isTask(event)) {
      tasks.push({ ts: event.ts, cpuMs: event.tdur / 1000, wallMs: event.dur / 1000, inside: [] });
      end = event.ts + event.dur;
    }
  }
  return tasks.map(({ inside, ...task }) => ({ ...task, by: dearest(inside) }));
}

/** What a task is about: its dearest parts that are no tasks themselves. */
function dearest(inside) {
  return inside
    .filter((event) => !isTask(event))
    .sort((a, b) => b.tdur - a.tdur)
    .slice(0, 3)
    .map(({ name, tdur }) => `${name} ${(tdur / 1000).toFixed(1)}`)
    .join(", ");
}

/** Time of the thread until each mark, as the sum of the tasks before it. */
function marksOf(events) {
  const tasks = tasksOf(events);
  const named = events.filter(({ cat }) => cat.includes("user_timing") || cat.includes("loading"));
  return new Map(
    named.map(({ name, ts }) => [
      name,
      tasks.filter((task) => task.ts <= ts).reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    ]),
  );
}

/** Faults: tasks that had the processor for more than `mostMs`. */
export function longTasks(tasks, mostMs = LONG_TASK_MS) {
  return tasks
    .filter(({ cpuMs }) => cpuMs > mostMs)
    .map(({ cpuMs, wallMs, by }) => `a task of ${cpuMs.toFixed(1)} ms (${wallMs.toFixed(0)} on the clock): ${by}`);
}

/** For the log: how long the longest ones were. */
export function longest(tasks, count = 5) {
  const sorted = tasks.map(({ cpuMs }) => cpuMs).sort((a, b) => b - a);
  return sorted
    .slice(0, count)
    .map((cpuMs) => cpuMs.toFixed(1))
    .join(", ");
}
