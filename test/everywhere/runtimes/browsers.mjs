// Chromium, Firefox and WebKitGTK: an isolated page, one that is not, a worker of the page's own, service workers.
import { existsSync } from "node:fs";
import process from "node:process";
import { launchFirefox } from "./firefox.mjs";
import { runTwice } from "./repeat.mjs";
import { briefTier, isolatedPage, isolatedPageOfTwo, wideRefused, withoutThreads, withTwoThreads } from "./runs.mjs";
import { serve } from "./server.mjs";
import { webkitgtk } from "./webkitgtk.mjs";

const LONGEST_MS = 4 * 60_000;

/** A browser that is one program: the first of these places that has it. */
const oneOf =
  (...places) =>
  () =>
    places.find((place) => place && existsSync(place));

const CHROMIUM = {
  name: "chromium",
  find: oneOf(
    process.env.CHROMIUM,
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  ),
  missing: "Chromium is not installed: apt-get install chromium, or set CHROMIUM to the program's path",
  async launch(executablePath, args = []) {
    const { chromium } = await import("playwright-core");
    const browser = await chromium.launch({ executablePath, args });
    return { version: browser.version(), open: () => browser.newPage(), close: () => browser.close() };
  },
};

/** Chromium that joins operations for the build `wide`. V8 stops at the first name that it does not know: the newer one comes first. */
const CHROMIUM_WIDE = {
  ...CHROMIUM,
  name: "chromium-wide",
  launch: (executablePath) =>
    CHROMIUM.launch(executablePath, ["--js-flags=--wasm-revectorize --experimental-wasm-revectorize"]),
};

const FIREFOX = {
  name: "firefox",
  find: oneOf(
    process.env.FIREFOX,
    "/usr/bin/firefox-esr",
    "/usr/bin/firefox",
    "/Applications/Firefox.app/Contents/MacOS/firefox",
  ),
  missing: "Firefox is not installed: apt-get install firefox-esr, or set FIREFOX to the program's path",
  launch: launchFirefox,
};

/** As Debian has it, without SharedArrayBuffer even where a page is isolated. */
const WEBKITGTK = webkitgtk("webkitgtk", { limitMs: LONGEST_MS });

/**
 * With SharedArrayBuffer, as Safari gives it to isolated pages. In WebKitGTK 2.50's interpreter of WebAssembly one of
 * several threads may trap: docs/reproducibility.md.
 */
const WEBKITGTK_SHARING = webkitgtk("webkitgtk-sharing", {
  env: { JSC_useSharedArrayBuffer: "1", JSC_useWasmIPInt: "0" },
  limitMs: LONGEST_MS,
});

/** Calls a function of hosts/page.js; its result comes as text, which all drivers hand over alike. */
async function call(page, name, run, server) {
  if (page.call !== undefined) return page.call(name, run, server);
  const text = await page.evaluate(`(async () => {
    while (document.title !== "ready") await new Promise((resolve) => setTimeout(resolve, 20));
    return JSON.stringify(await ${name}(${JSON.stringify(run)}));
  })()`);
  return JSON.parse(text);
}

/** `host` is the page's function that makes a run. */
function browserRuntime(browser, place, { isolated, runs, host }) {
  return {
    name: place === "" ? browser.name : `${browser.name}-${place}`,
    runs,
    async open({ project, brief: isBrief }) {
      const found = browser.find();
      if (found === undefined) return { missing: browser.missing };
      // What V8 and SpiderMonkey have done on an isolated page, with less of it on one that is not.
      const chosen = isBrief && place === "plain" && !browser.name.startsWith("webkit") ? brief(runs) : runs;
      let opened = await browser.launch(found);
      const server = await serve(project, { isolated });
      let page;
      const make = async (run) => {
        // One page for all, but a new one where something went wrong.
        page ??= await opened.open();
        if (page.url() !== server.origin) await page.goto(server.origin);
        return call(page, host, run, server);
      };
      const renew = async () => {
        page = undefined;
        await opened.close().catch(() => {});
        opened = await browser.launch(found);
      };
      return {
        version: opened.version,
        async *results() {
          for (const run of chosen) {
            const result = await runTwice(() => make(run), renew, LONGEST_MS);
            yield [run, result];
            if (result.broken === undefined) continue;
            await page?.close().catch(() => {});
            page = undefined;
          }
        },
        async close() {
          await opened.close();
          server.close();
        },
      };
    },
  };
}

/** A worker of one's own may wait: its threads work beside it, not in the background. */
const ownWorker = [
  ...briefTier,
  { build: "strict", threads: 3, starts: 20 },
  { build: "strict", threads: 2, background: true },
];

/** A page that may not share memory has a worker with a copy of it. */
const plainPage = [
  ...withoutThreads.map((run) => ({ ...run, inBackground: true })),
  { build: "strict", threads: 1, background: false, brief: true },
];

const brief = (runs) => runs.map((run) => ({ ...run, brief: true }));

/** A service worker has `steepest/inline`. */
const serviceWorker = [...withoutThreads, wideRefused("steepest/inline has no kernels for it")];

const wideIsolated = [{ build: "wide", threads: 3, background: true }];
const widePlain = [{ build: "wide", threads: 1, background: true }];

const onPage = "runHere";
const inOwnWorker = "runInWorker";
const inServiceWorker = "runInServiceWorker";

export const browsers = [
  ...[CHROMIUM, FIREFOX].flatMap((browser) => [
    browserRuntime(browser, "", {
      isolated: true,
      runs: browser === CHROMIUM ? [...isolatedPage, wideRefused("it is not faster here")] : isolatedPage,
      host: onPage,
    }),
    browserRuntime(browser, "worker", { isolated: true, runs: ownWorker, host: inOwnWorker }),
    browserRuntime(browser, "plain", { isolated: false, runs: plainPage, host: onPage }),
    browserRuntime(browser, "service-worker", { isolated: false, runs: serviceWorker, host: inServiceWorker }),
  ]),
  browserRuntime(CHROMIUM_WIDE, "", { isolated: true, runs: wideIsolated, host: onPage }),
  browserRuntime(CHROMIUM_WIDE, "plain", { isolated: false, runs: widePlain, host: onPage }),
  browserRuntime(WEBKITGTK, "", { isolated: true, runs: brief(plainPage.slice(0, 1)), host: onPage }),
  browserRuntime(WEBKITGTK, "worker", { isolated: true, runs: brief(withoutThreads), host: inOwnWorker }),
  browserRuntime(WEBKITGTK, "plain", { isolated: false, runs: plainPage, host: onPage }),
  browserRuntime(WEBKITGTK, "service-worker", { isolated: false, runs: withoutThreads, host: inServiceWorker }),
  // The page that is not isolated runs all of the suite.
  browserRuntime(WEBKITGTK_SHARING, "", { isolated: true, runs: brief(isolatedPageOfTwo), host: onPage }),
  browserRuntime(WEBKITGTK_SHARING, "worker", { isolated: true, runs: brief(withTwoThreads), host: inOwnWorker }),
];
