// The package in Chromium: in an isolated page with web workers, in a page without, and in a worker of the page's own.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import * as steepest from "steepest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PageServer, servePages } from "./server.js";
import { traceTasks } from "./tasks.js";
import { train } from "./training.js";

const executablePath = [process.env.CHROMIUM ?? "", "/usr/bin/chromium", "/usr/bin/chromium-browser"].find(
  (path) => path !== "" && existsSync(path),
);
const read = (name: string) => readFileSync(fileURLToPath(new URL(name, import.meta.url)), "utf8");
const files = {
  "/": '<!doctype html><title>steepest</title><script type="module" src="/page.js"></script>',
  ...Object.fromEntries(["page.js", "training.js", "worker.js"].map((name) => [`/${name}`, read(`./${name}`)])),
};

/** Calls one of the functions that test/browser/page.js defines. */
async function call(page: Page, name: string, options: object = {}) {
  await expect.poll(() => page.title()).toBe("ready");
  return page.evaluate(`${name}(${JSON.stringify(options)})`);
}

describe.skipIf(executablePath === undefined)("Chromium", () => {
  let browser: Browser;
  const servers: PageServer[] = [];
  let expected: Awaited<ReturnType<typeof train>>;

  async function open(isolated: boolean, policy = true): Promise<Page> {
    const server = await servePages(files, { isolated, policy });
    servers.push(server);
    const page = await browser.newPage();
    await page.goto(`${server.origin}/`);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(isolated);
    return page;
  }

  beforeAll(async () => {
    expected = await train(steepest, {});
    browser = await chromium.launch({ executablePath: executablePath as string, args: ["--no-sandbox"] });
  });
  afterAll(async () => {
    await browser?.close();
    for (const server of servers) server.close();
  });

  test("an isolated page trains in the background, with the bits of Node for 1, 2 and 4 threads", async () => {
    const page = await open(true);
    for (const threads of [1, 2, 4]) {
      expect(await call(page, "trainHere", { threads })).toEqual({ ...expected, threads, background: true });
    }
    // Whoever insists gets the page's own thread.
    expect(await call(page, "trainHere", { background: false })).toEqual(expected);
    await expect(call(page, "trainHere", { threads: 2, background: false })).rejects.toThrow(/this thread must not/);
    await page.close();
  });

  test("a worker of the page's own leads itself", async () => {
    const page = await open(true);
    expect(await call(page, "trainInWorker", { threads: 2 })).toEqual({ ...expected, threads: 2 });
    await page.close();
  });

  test("a page that is not isolated trains in a worker with one thread, the same bits, and says so once", async () => {
    const page = await open(false);
    const said: string[] = [];
    page.on("console", (message) => said.push(message.text()));
    expect(await call(page, "trainHere", { threads: 2 })).toEqual({ ...expected, background: true });
    expect(await call(page, "trainHere")).toEqual({ ...expected, background: true });
    expect(await call(page, "trainInWorker")).toEqual(expected);
    expect(said.filter((text) => text.includes("not cross-origin isolated"))).toHaveLength(1);
    await page.close();
  });

  test("where no worker starts, a page trains on its own thread, and says why", async () => {
    const page = await open(false);
    const said: string[] = [];
    page.on("console", (message) => said.push(message.text()));
    await page.route("**/dist/browser/steepestWorker.js", (route) => route.fulfill({ status: 404 }));
    expect(await call(page, "trainHere")).toEqual(expected);
    expect(said.join()).toMatch(/steepest: threads: the worker failed: .*; training goes on here/);
    await expect(call(page, "trainHere", { background: true })).rejects.toThrow(/threads: the worker failed/);
    await page.close();
  });

  test.each([true, false])(
    "a page's own tasks go on while it trains, and its workers end with the trainer (isolated: %s)",
    async (isolated) => {
      const page = await open(isolated);
      const { tasks, elapsed } = (await call(page, "tasksMeanwhile")) as { tasks: number; elapsed: number };
      // On this thread no other task would come between the parts of a step, so one in tens of milliseconds at most.
      expect(tasks).toBeGreaterThan(elapsed / 20);
      await expect.poll(() => page.workers().length).toBe(0);
      await page.close();
    },
  );

  test.each([true, false])(
    "no task of the page's takes 8 ms while 784-512-512-10 trains, from compiling on (isolated: %s)",
    // Programs beside it can only add to what a task takes: the least of a few trainings counts.
    { retry: 3 },
    async (isolated) => {
      const page = await open(isolated);
      await expect.poll(() => page.title()).toBe("ready");
      const { result, tasks } = await traceTasks(browser, page, "steepest", () => call(page, "trainBetweenMarks"));
      const { background, reports, epochs } = result as Record<string, number | boolean>;
      expect([background, epochs]).toEqual([true, 2]);
      // A call does as many of the 314 steps as fit 12 ms, and is reported.
      expect(reports).toBeGreaterThan(10);
      for (const after of ["steepest compile", "steepest train"]) {
        const meanwhile = tasks.filter((task) => task.after === after);
        const longest = meanwhile.reduce((most, task) => (task.cpuMs > most.cpuMs ? task : most));
        const wallMs = Math.max(...meanwhile.map((task) => task.wallMs));
        console.info(
          `${after} (isolated: ${isolated}): ${meanwhile.length} tasks, the longest ${longest.cpuMs.toFixed(1)} ms of processor, ${wallMs.toFixed(1)} ms by the clock`,
        );
        expect(longest.cpuMs, longest.from).toBeLessThan(8);
      }
      await page.close();
    },
  );

  // Once more where the system takes the core away between the beginning of the call and the abort.
  test.each([true, false])("an abort ends a call after its step (isolated: %s)", { retry: 3 }, async (isolated) => {
    const page = await open(isolated);
    const { asked, done, reason } = (await call(page, "abortWithinCall")) as Record<string, unknown>;
    expect(reason).toBe("enough");
    expect(asked).toBeGreaterThan(1);
    expect(done).toBe(1);
    await page.close();
  });

  test("a worker's file that is not there: its program comes out of the bundle, or an error says so", async () => {
    const free = await open(true, false);
    await free.route("**/dist/browser/steepestWorker.js", (route) => route.fulfill({ status: 404 }));
    expect(await call(free, "trainHere", { threads: 2 })).toEqual({ ...expected, threads: 2, background: true });
    await free.close();
    const strict = await open(true);
    await strict.route("**/dist/browser/steepestWorker.js", (route) => route.fulfill({ status: 404 }));
    await expect(call(strict, "trainHere", { threads: 2 })).rejects.toThrow(
      /threads: thread \d failed: .*: use fewer threads/,
    );
    await strict.close();
  });
});

test.runIf(executablePath === undefined)(
  "Chromium is not installed: its tests are skipped (install the package chromium)",
  () => {},
);
