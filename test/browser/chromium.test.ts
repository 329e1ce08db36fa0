// The package in Chromium: in an isolated page with web workers, in a page without, and in a worker of the page's own.
import { type Browser, chromium, type Frame, type Page } from "playwright-core";
import * as steepest from "steepest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chromiumPath, type PageServer, pageFiles, servePages } from "./server.js";
import { train } from "./training.js";

/** Calls one of the functions that test/browser/page.js defines. */
async function call(page: Page | Frame, name: string, options: object = {}) {
  await expect.poll(() => page.title()).toBe("ready");
  return page.evaluate(`${name}(${JSON.stringify(options)})`);
}

describe.skipIf(chromiumPath === undefined)("Chromium", () => {
  let browser: Browser;
  const servers: PageServer[] = [];
  let expected: Awaited<ReturnType<typeof train>>;

  async function serve(isolated: boolean, policy = true, files: Record<string, string> = pageFiles): Promise<string> {
    const server = await servePages(files, { isolated, policy });
    servers.push(server);
    return server.origin;
  }

  async function open(isolated: boolean, policy = true): Promise<Page> {
    const origin = await serve(isolated, policy);
    const page = await browser.newPage();
    await page.goto(`${origin}/`);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(isolated);
    return page;
  }

  /** A frame in an isolated page, which is not isolated itself; with what the package says in the console. */
  async function openFrame(sandbox: string, policy: boolean): Promise<{ page: Page; frame: Frame; said: string[] }> {
    const inner = await serve(true, policy);
    const outer = await serve(true, false, { "/": `<!doctype html><iframe ${sandbox} src="${inner}/"></iframe>` });
    const page = await browser.newPage();
    const said: string[] = [];
    page.on("console", (message) => {
      if (message.text().startsWith("steepest:")) said.push(message.text());
    });
    await page.goto(`${outer}/`);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    const frame = page.frame({ url: `${inner}/` }) as Frame;
    expect(await frame.evaluate(() => crossOriginIsolated)).toBe(false);
    return { page, frame, said };
  }

  beforeAll(async () => {
    expected = await train(steepest, {});
    browser = await chromium.launch({ executablePath: chromiumPath as string, args: ["--no-sandbox"] });
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

  test("a page that is not isolated trains in a worker, the same bits; it says so once if threads were asked for", async () => {
    const page = await open(false);
    const said: string[] = [];
    page.on("console", (message) => said.push(message.text()));
    expect(await call(page, "trainHere")).toEqual({ ...expected, background: true });
    expect(await call(page, "trainInWorker")).toEqual(expected);
    expect(said.filter((text) => text.startsWith("steepest:"))).toEqual([]);
    expect(await call(page, "trainHere", { threads: 2 })).toEqual({ ...expected, background: true });
    expect(await call(page, "trainHere", { threads: 2 })).toEqual({ ...expected, background: true });
    expect(said.filter((text) => text.startsWith("steepest:"))).toEqual([
      expect.stringContaining("not cross-origin isolated"),
    ]);
    await page.close();
  });

  test.each([
    ["of another origin", "", true],
    ["sandboxed, with a policy that allows its worker", 'sandbox="allow-scripts"', false],
  ])("a frame %s, in an isolated page, trains as a page that is not isolated", async (_, sandbox, policy) => {
    const { page, frame, said } = await openFrame(sandbox, policy);
    expect(await call(frame, "trainHere")).toEqual({ ...expected, background: true });
    expect(said).toEqual([]);
    expect(await call(frame, "trainHere", { threads: 2 })).toEqual({ ...expected, background: true });
    expect(said).toEqual([expect.stringContaining("not cross-origin isolated")]);
    await page.close();
  });

  test("a sandboxed frame whose policy forbids its worker trains on its own thread, and says why", async () => {
    const { page, frame, said } = await openFrame('sandbox="allow-scripts"', true);
    expect(await call(frame, "trainHere")).toEqual(expected);
    expect(said).toEqual([expect.stringMatching(/the worker failed: .*; training goes on here, in slices/)]);
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
    "a page's own timers go on while a call runs; an abort ends it after its step, and workers end with the trainer (isolated: %s)",
    async (isolated) => {
      const page = await open(isolated);
      const { ticks, done, reason, background } = (await call(page, "timersMeanwhile")) as Record<string, unknown>;
      expect([background, reason]).toEqual([true, "enough"]);
      expect(ticks).toBeGreaterThanOrEqual(3);
      expect(done).toBeGreaterThan(0);
      expect(done).toBeLessThan(4096);
      await expect.poll(() => page.workers().length).toBe(0);
      await page.close();
    },
  );

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

test.runIf(chromiumPath === undefined)(
  "Chromium is not installed: its tests are skipped (install the package chromium)",
  () => {},
);
