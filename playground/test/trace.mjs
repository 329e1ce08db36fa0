// What a page's own thread does, from Chromium's trace. Judged is the time that the thread had the processor, not what a
// clock on the wall says: on a machine that has much else to do, a task stands waiting in the middle.

/** Tasks over this keep a page from answering at once: https://www.w3.org/TR/longtasks-1/. */
export const LONG_TASK_MS = 50;

const CATEGORIES = ["toplevel", "devtools.timeline", "loading", "blink.user_timing"];
const MARK = "traced by a test";

/** Records while `use` runs, and gives the outermost tasks of the page's thread, each with what took most of it, and all its events. */
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
  return { tasks: tasksOf(own), events: own };
}

/**
 * How a page opens: what its thread does until something is painted, and until `ready` holds there, in ms of the thread; the
 * longest task of all; and the bodies that were sent for it.
 */
export async function opened(browser, page, address, ready) {
  const bodies = new Map();
  const arriving = [];
  const keep = (response) =>
    arriving.push(
      response.body().then(
        (body) => bodies.set(new URL(response.url()).pathname, body),
        () => undefined,
      ),
    );
  page.on("response", keep);
  const { tasks, events } = await traced(browser, page, async () => {
    await page.goto(address);
    await page.waitForFunction(ready);
  });
  page.off("response", keep);
  await Promise.all(arriving);
  // Pictures (SVG) are pages to the browser, with navigations of their own.
  const began = events.find(({ name, args }) => name === "navigationStart" && args.data?.documentLoaderURL === address);
  const painted = events.find(
    ({ name, args }) => name === "firstContentfulPaint" && args.data?.navigationId === began.args.data.navigationId,
  )?.ts;
  const own = tasks.filter(({ ts }) => ts >= began.ts);
  // A task that still goes on did not hold the picture up.
  const until = (end) =>
    own.filter(({ ts, wallMs }) => ts + 1000 * wallMs <= end).reduce((sum, { cpuMs }) => sum + cpuMs, 0);
  return {
    bodies,
    paintMs: painted === undefined ? Number.POSITIVE_INFINITY : until(painted),
    readyMs: until(Number.POSITIVE_INFINITY),
    longestMs: Math.max(...own.map(({ cpuMs }) => cpuMs)),
  };
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
