// A page's longest task while it trains: how long the page answers nobody. Chromium's own trace says what each task takes.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Browser, chromium } from "playwright-core";
import { chromiumPath, servePages } from "../../test/browser/server.js";
import { longestTask, traceTasks } from "../tasks.js";
import type { Schedule } from "../timing.js";
import { CheckError, LeftOut, type RemoteContestant, type Variant, variantOf, type Workload } from "../workload.js";

// A training is some seconds, and its longest task some milliseconds: one training a round.
const ROUNDS: Schedule = { rounds: 3, roundMs: 1, warmupMs: 0, callMs: 0.001, settleMs: 0 };

/** `isolated`: the page may share memory with its workers. */
export function pageTasksWorkload(isolated: boolean): Workload {
  return {
    name: `page-tasks-${isolated ? "isolated" : "copied"}`,
    description: `longest task of a page that trains 784-512-512-10${isolated ? "" : ", not isolated"}, processor time`,
    metric: "step-ms",
    work: 1,
    schedule: ROUNDS,
    prepare(implementation) {
      const variant = variantOf(implementation);
      if (variant === undefined) throw new LeftOut("it has no background");
      if (variant.threads > 1 && !isolated) throw new LeftOut("a page that is not isolated has one thread");
      if (chromiumPath === undefined) throw new LeftOut("Chromium is not installed");
      return openPage(isolated, variant, chromiumPath);
    },
  };
}

/** Trains once, and checks that it did so in the background as it was told to. */
async function openPage(isolated: boolean, variant: Variant, executablePath: string): Promise<RemoteContestant> {
  const script = readFileSync(fileURLToPath(new URL("../pages/training.js", import.meta.url)), "utf8");
  const html = '<!doctype html><script type="module" src="/page.js"></script>';
  const server = await servePages({ "/": html, "/page.js": script }, { isolated });
  let browser: Browser | undefined;
  const close = (): void => {
    browser?.close().catch(() => {});
    server.close();
  };
  try {
    // V8's flag for wide, by its name since 15.6 and by that before it.
    const flags = variant.build === "wide" ? ["--js-flags=--wasm-revectorize --experimental-wasm-revectorize"] : [];
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox", ...flags] });
    const contestant = trainingIn(browser, server.origin, variant);
    await contestant.run(1);
    return { ...contestant, dispose: close };
  } catch (error) {
    close();
    throw error;
  }
}

/** A training is a page of its own. */
function trainingIn(browser: Browser, origin: string, variant: Variant): Omit<RemoteContestant, "dispose"> {
  const train = async (): Promise<number> => {
    const page = await browser.newPage();
    await page.goto(origin);
    await page.waitForFunction('document.title === "ready"');
    const { result, tasks } = await traceTasks(browser, page, "steepest", () =>
      page.evaluate<{ readonly build: string }>(`trainBetweenMarks(${JSON.stringify(variant)})`),
    );
    await page.close();
    const wanted = JSON.stringify({ background: true, threads: variant.threads, build: variant.build, epochs: 2 });
    if (variant.build === "wide" && result.build === "strict") throw new LeftOut("wide is not faster in this Chromium");
    if (JSON.stringify(result) !== wanted) throw new CheckError(`must be ${wanted}, got ${JSON.stringify(result)}`);
    return longestTask(tasks, "steepest begin").cpuMs;
  };
  return {
    remote: true,
    async reset() {},
    async run(steps) {
      let elapsedMs = 0;
      for (let step = 0; step < steps; step++) elapsedMs += await train();
      return { elapsedMs };
    },
  };
}
