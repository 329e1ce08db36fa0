// npm run test:site: builds the documentation site and proves it. Its pages, links and search from the files; then in
// Chromium errors, other hosts, accessibility, a phone's width, and the programs that run in the pages; in Firefox, which no
// driver may watch while workers start (docs/troubles.md), the pages that are read. The playground is used and has to learn in
// both. How pages open is held to the budgets of website/README.md. Prints `N passed, N failed` last.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, posix } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";
import { isBusy } from "../playground/test/check.mjs";
import { opened } from "../playground/test/trace.mjs";
import { launchFirefox } from "../test/everywhere/runtimes/firefox.mjs";

const here = fileURLToPath(new URL("./", import.meta.url));
const root = fileURLToPath(new URL("../", import.meta.url));
const site = join(root, "site");
const shots = join(root, "build/site");

const { values: options } = parseArgs({
  options: {
    "no-build": { type: "boolean", default: false },
    // Only how pages open, and the playground.
    playground: { type: "boolean", default: false },
    "require-all": { type: "boolean", default: false },
    all: { type: "boolean", default: process.env.STEEPEST_EXHAUSTIVE === "1" },
  },
});

const chromiumPath = [process.env.CHROMIUM ?? "", "/usr/bin/chromium", "/usr/bin/chromium-browser"].find((one) =>
  existsSync(one),
);

const PLAYGROUND = ["index", "digits", "text", "descent"];
/** Bytes of the site as a server sends it, without data. */
const MOST_SENT = 3 * 2 ** 20;

let [passed, failed] = [0, 0];
/** One check: passed if `faults`, which may be a promise, is empty. */
async function check(name, faults) {
  let found;
  try {
    found = await faults();
  } catch (error) {
    found = [error.stack ?? String(error)];
  }
  if (found.length === 0) passed++;
  else failed++;
  console.log(`${found.length === 0 ? "passed" : "FAILED"}  ${name}`);
  for (const fault of found.slice(0, 20)) console.log(`          ${fault}`);
  if (found.length > 20) console.log(`          and ${found.length - 20} more`);
}

const filesOf = (folder) =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => posix.join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1));

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".svg": "image/svg+xml",
  ".png": "image/png",
};

/** Serves the site; `next` is told what a page under observation reports, and gives the next one. */
async function serve(next) {
  const observer = readFileSync(join(here, "observed.js"), "utf8");
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://localhost");
    if (pathname === "/observed") {
      let body = "";
      for await (const piece of request) body += piece;
      return response.end(next(JSON.parse(body)));
    }
    if (pathname === "/first") {
      response.writeHead(302, { Location: searchParams.get("to") });
      return response.end();
    }
    const path = join(site, decodeURIComponent(pathname), pathname.endsWith("/") ? "index.html" : "");
    if (!path.startsWith(site) || !existsSync(path)) {
      response.statusCode = pathname === "/favicon.ico" ? 204 : 404;
      return response.end();
    }
    response.setHeader("Content-Type", TYPES[extname(path)] ?? "application/octet-stream");
    let content = readFileSync(path);
    if (searchParams.has("observed"))
      content = content.toString().replace("<head>", () => `<head><script type="module">${observer}</script>`);
    response.end(content);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

const unescaped = (text) => text.replaceAll("&amp;", "&").replaceAll("&quot;", '"');

/** Links and anchors of all pages, from their HTML: each must lead to a file, and to what has that name there. */
function brokenLinks(pages) {
  const known = new Map();
  for (const page of pages) {
    const html = readFileSync(join(site, page), "utf8");
    known.set(`/${page}`, {
      ids: new Set([...html.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => unescaped(id))),
      links: [...html.matchAll(/<a\s[^>]*?href="([^"]*)"/g)].map(([, link]) => unescaped(link)),
    });
  }
  const faults = new Set();
  for (const [page, { links }] of known) {
    for (const link of links) {
      const { origin, pathname, hash } = new URL(link, `http://site${page}`);
      if (origin !== "http://site") continue;
      const path = decodeURIComponent(pathname.endsWith("/") ? `${pathname}index.html` : pathname);
      if (!existsSync(join(site, path))) faults.add(`${page}: ${link} leads nowhere`);
      const target = known.get(path);
      if (hash !== "" && target !== undefined && !target.ids.has(decodeURIComponent(hash.slice(1))))
        faults.add(`${page}: ${link} has no such heading`);
    }
  }
  return [...faults];
}

/** Every public name must be found by the search, at the page that tells of it. */
async function missingInSearch() {
  const { default: MiniSearch } = await import("minisearch");
  const folder = join(site, "assets/chunks");
  const file = readdirSync(folder).find((name) => name.startsWith("@localSearchIndexroot"));
  const { default: text } = await import(pathToFileURL(join(folder, file)).href);
  const fields = { fields: ["title", "titles", "text"], storeFields: ["title", "titles"] };
  const index = MiniSearch.loadJSON(text, { ...fields, searchOptions: { boost: { title: 4, text: 2, titles: 1 } } });
  const reference = JSON.parse(readFileSync(join(here, ".pages/reference.json"), "utf8"));
  const faults = [];
  for (const { path, names } of reference) {
    for (const name of names) {
      const found = index.search(name);
      if (!found.some(({ id }) => id.startsWith(`/api/${path}.html#${name.toLowerCase()}`)))
        faults.push(`${name}: not found at /api/${path}`);
    }
  }
  return reference.flatMap(({ names }) => names).length > 900
    ? faults
    : ["the reference has fewer than 900 names", ...faults];
}

/** What an entry exports when it runs must be in the reference. */
async function missingInReference() {
  const { entries } = await import("./api.mjs");
  const reference = JSON.parse(readFileSync(join(here, ".pages/reference.json"), "utf8"));
  const everywhere = new Set(reference.flatMap(({ names }) => names));
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const faults = [];
  for (const { name } of entries()) {
    const target = exports[name.replace("steepest", ".")];
    const loaded = await import(pathToFileURL(join(root, (target.node?.import ?? target.import).default)).href);
    for (const one of Object.keys(loaded))
      if (one !== "default" && !everywhere.has(one)) faults.push(`${name}: ${one}`);
  }
  return faults;
}

function size(files) {
  const bytes = files.map((file) => readFileSync(join(site, file)));
  const all = bytes.reduce((sum, one) => sum + one.length, 0);
  const sent = bytes.reduce((sum, one) => sum + gzipSync(one).length, 0);
  const megabytes = (count) => (count / 2 ** 20).toFixed(2);
  console.log(
    `        site/: ${megabytes(all)} MB in ${files.length} files, ${megabytes(sent)} MB as it is sent (gzip)`,
  );
  return sent <= MOST_SENT ? [] : [`${megabytes(sent)} MB are sent, the most is ${megabytes(MOST_SENT)}`];
}

/** Programs of a page with what the page says they print, as test/readme.test.ts reads them. */
function expectations(file) {
  const text = readFileSync(join(root, file), "utf8");
  const pattern =
    /^<!-- runs in the page -->\n+```js\n([\s\S]*?)^```$(?:(?!^```)[\s\S])*?(?:^```(\w*)\n([\s\S]*?)^```$|$(?![\s\S]))/gm;
  return [...text.matchAll(pattern)].map(([, source, language, prints]) => ({
    prints: language === "text" ? prints : undefined,
    promised: [...source.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, said]) => said.split(": ")[0]),
  }));
}

/** A line as a pattern; with … in it, anything may stand there. */
const lineOf = (line) =>
  new RegExp(
    `^${line
      .split("…")
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join(".*")}$`,
  );

function differences({ prints, promised }, printed) {
  const faults = promised
    .filter((line) => !printed.split("\n").includes(line))
    .map((line) => `it does not print ${line}: ${printed}`);
  if (prints === undefined) return printed.trim() === "" ? ["it prints nothing"] : faults;
  const [wanted, got] = [prints.trimEnd().split("\n"), printed.trimEnd().split("\n")];
  if (wanted.length !== got.length) return [`it prints ${got.length} lines, not ${wanted.length}: ${printed}`];
  return wanted.flatMap((line, i) => (lineOf(line).test(got[i]) ? [] : [`it prints "${got[i]}", not "${line}"`]));
}

/** Installed with the site's packages, by the first build. */
let axe;

function readAxe() {
  axe ??= readFileSync(join(here, "node_modules/axe-core/axe.min.js"), "utf8");
  return axe;
}

/** A page with what it says and whom it calls. */
async function watched(context, origin) {
  const page = await context.newPage();
  // A busy machine takes its time; what hangs ends some time.
  page.setDefaultTimeout(180_000);
  const faults = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) faults.push(`says: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`throws: ${error.message}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== origin && !["data:", "blob:"].includes(url.protocol)) faults.push(`calls ${url.origin}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) faults.push(`${response.status()}: ${response.url()}`);
  });
  return { page, faults };
}

/** It has been made alive by its script. */
const isAlive = () => document.querySelector("#app")?.__vue_app__ !== undefined;

async function alive(page) {
  await page.waitForFunction(isAlive);
}

/** Serious findings of axe, and a page that is wider than the window. */
async function findings(page) {
  await page.evaluate(readAxe());
  const found = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, nodes }) => `${id}: ${nodes.length} × ${nodes[0].html.slice(0, 160)}`);
  });
  const [wide, width] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  return wide > width ? [...found, `it is ${wide} pixels wide in a window of ${width}`] : found;
}

/** Opens pages two at a time; `look` says what is wrong with one. */
async function each(context, origin, paths, look) {
  const faults = [];
  const left = [...paths];
  const lane = async () => {
    const { page, faults: own } = await watched(context, origin);
    for (let path = left.shift(); path !== undefined; path = left.shift()) {
      await page.goto(origin + path);
      await alive(page);
      own.push(...(await look(page, path)));
      faults.push(...own.splice(0).map((fault) => `${path} ${fault}`));
    }
    await page.close();
  };
  await Promise.all([lane(), lane()]);
  return faults;
}

async function runPrograms(context, origin) {
  const { placeOf, GUIDES } = await import("./sitemap.mjs");
  let count = 0;
  for (const [file] of GUIDES.flatMap(({ items }) => items)) {
    if (!existsSync(join(root, file))) continue;
    const programs = expectations(file);
    if (programs.length === 0) continue;
    await check(`the programs of ${file} print in the page what it says`, async () => {
      const { page, faults } = await watched(context, origin);
      await page.goto(`${origin}${placeOf(file)}.html`);
      await alive(page);
      const blocks = await page.locator(".program").all();
      if (blocks.length !== programs.length)
        faults.push(`the page has ${blocks.length} of ${programs.length} programs`);
      for (const [i, block] of blocks.entries()) {
        count++;
        await block.getByRole("button", { name: "Run it here" }).click();
        await block.locator("xpath=self::*[@data-state!='running']").waitFor({ timeout: 120_000 });
        const printed = await block.locator(".output").innerText();
        if ((await block.getAttribute("data-state")) !== "done") faults.push(`program ${i + 1} failed: ${printed}`);
        else faults.push(...differences(programs[i] ?? { promised: [] }, printed));
      }
      await page.close();
      return faults;
    });
  }
  await check("there are programs that run in the pages", () => (count >= 4 ? [] : [`only ${count}`]));
}

async function editProgram(context, origin) {
  const { page, faults } = await watched(context, origin);
  await page.goto(`${origin}/start.html`);
  await alive(page);
  const block = page.locator(".program").first();
  await block.getByRole("button", { name: "Edit" }).click();
  await block.getByLabel("The program").fill('import { VERSION as no } from "steepest";\nconsole.log(no);');
  await block.getByRole("button", { name: "Run it here" }).click();
  await block.locator("xpath=self::*[@data-state='failed']").waitFor({ timeout: 60_000 });
  if (!/SyntaxError/.test(await block.locator(".output").innerText())) faults.push("a wrong name is not told");
  await block.getByLabel("The program").fill("console.log([1, -0, 'a'], { b: 2 }); for (;;);");
  await block.getByRole("button", { name: "Run it here" }).click();
  await block.getByText("[ 1, -0, 'a' ] { b: 2 }").waitFor({ timeout: 60_000 });
  await block.getByRole("button", { name: "Stop" }).click();
  if ((await block.getAttribute("data-state")) !== "stopped") faults.push("it cannot be stopped");
  await block.getByRole("button", { name: "As it was" }).click();
  if (!(await block.locator("pre code").isVisible())) faults.push("the program is not there again");
  await page.close();
  return faults;
}

async function searchByKeys(context, origin) {
  const { page, faults } = await watched(context, origin);
  await page.goto(`${origin}/start.html`);
  await alive(page);
  await page.keyboard.press("Control+k");
  await page.getByRole("searchbox").or(page.locator("#localsearch-input")).first().fill("reduceOnPlateau");
  await page.locator(".VPLocalSearchBox .result").first().waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.pathname !== "/start.html");
  await alive(page);
  if (!/reduceOnPlateau/.test(await page.locator("main").innerText())) faults.push(`it leads to ${page.url()}`);
  await page.close();
  return faults;
}

async function inChromium(origin, pages) {
  if (chromiumPath === undefined) return missing("Chromium");
  const browser = await chromium.launch({ executablePath: chromiumPath, args: ["--no-sandbox"] });
  if (!options.playground) await readPages(browser, origin, pages);
  await check("pages open within the budgets of website/README.md", () => slowly(browser, origin));
  await browser.close();
}

async function readPages(browser, origin, pages) {
  const desktop = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce" });
  const phone = { viewport: { width: 375, height: 740 }, colorScheme: "dark", reducedMotion: "reduce" };
  const small = await browser.newContext(phone);
  // Of the reference, whose pages are all made alike, axe looks at one: it takes seconds for a thousand tables.
  const looked = pages.filter(
    (one) => options.all || !one.startsWith("/api/") || /\/(index|callbacks)\.html$/.test(one),
  );
  await check(`Chromium: ${pages.length} pages load without an error and call nobody else`, () =>
    each(
      desktop,
      origin,
      pages.filter((one) => !looked.includes(one)),
      () => [],
    ),
  );
  await check(`Chromium: axe finds nothing serious in ${looked.length} pages`, () =>
    each(desktop, origin, looked, findings),
  );
  const narrow = options.all
    ? pages
    : ["/", "/start.html", "/training.html", "/benchmarks.html", "/api/callbacks.html"].map((one) =>
        one === "/" ? "/index.html" : one,
      );
  await check(`Chromium: ${narrow.length} pages in the dark, as wide as a phone`, () =>
    each(small, origin, narrow, findings),
  );
  mkdirSync(shots, { recursive: true });
  for (const [name, context] of [
    ["desktop", desktop],
    ["phone", small],
  ]) {
    const page = await context.newPage();
    await page.goto(`${origin}/start.html`);
    await alive(page);
    await page.screenshot({ path: join(shots, `${name}.png`) });
    await page.close();
  }
  await check("the search is used by keys and leads to a name", () => searchByKeys(desktop, origin));
  await check("a program is edited, fails, is stopped, and is as it was", () => editProgram(desktop, origin));
  await runPrograms(desktop, origin);
}

/** Budgets as website/README.md states them: kB as they are sent, and ms of the page's thread. */
function budgets() {
  const text = readFileSync(join(root, "website/README.md"), "utf8");
  const rows = text.matchAll(/^\| (the [^|]+?) \| (\d+) kB \| (\d+) ms \| (\d+) ms \| (\d+) ms \|$/gm);
  return Object.fromEntries([...rows].map(([, what, ...numbers]) => [what, numbers.map(Number)]));
}

const isReady = () => document.getElementById("status").textContent.includes("build");
const OPENED = [
  ["/index.html", "the first page", isAlive],
  ["/training.html", "the guides", isAlive],
  ["/api/callbacks.html", "the reference", isAlive],
  ...PLAYGROUND.map((page) => [`/playground/${page}.html`, "the playground", isReady]),
];

/** Each page is opened by somebody who has nothing of it yet. */
async function slowly(browser, origin) {
  const allowed = budgets();
  const faults = [];
  for (const [path, what, ready] of OPENED) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    const page = await context.newPage();
    page.setDefaultTimeout(180_000);
    const { bodies, paintMs, readyMs, longestMs } = await opened(browser, page, origin + path, ready);
    await context.close();
    const code = [...bodies].filter(([name]) => !name.startsWith("/playground/data/"));
    const sent = code.reduce((sum, [, body]) => sum + gzipSync(body).length, 0) / 1000;
    const found = [sent, paintMs, readyMs, longestMs];
    const [size, paint, whole, task] = found.map(Math.round);
    console.log(`        ${path}: ${size} kB; painted after ${paint} ms, ready after ${whole}, longest task ${task}`);
    const names = ["kB sent", "ms to the first paint", "ms until it can be used", "ms in one task"];
    for (const [i, name] of names.entries())
      if (!(found[i] <= allowed[what]?.[i]))
        faults.push(`${path}: ${found[i].toFixed(0)} ${name}, not ${allowed[what]?.[i]}`);
  }
  return faults;
}

/** The playground's own tests, with the pages that the site has. */
async function inPlayground() {
  if (chromiumPath === undefined) return;
  const args = [join(root, "playground/test/run.mjs"), "--folder", join(site, "playground"), "--output", shots];
  const child = spawn(process.execPath, options.all ? args : [...args, "--brief"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
  });
  const status = await new Promise((ended) => child.on("close", ended));
  console.log(stdout.trimEnd().replace(/^/gm, "        "));
  const [, good, bad] = /(\d+) passed, (\d+) failed\s*$/.exec(stdout) ?? [];
  passed += Number(good ?? 0);
  failed += Number(bad ?? 1);
  await check("Chromium: the playground's tests ran", () => (status === 0 ? [] : [`they ended with ${status}`]));
}

function missing(name) {
  if (options["require-all"]) return check(`${name} is there`, () => ["it is not installed"]);
  console.log(`skipped ${name}: it is not installed`);
}

/** Firefox goes from page to page by itself and reports each. */
async function inFirefox(start, what, paths) {
  const path = [process.env.FIREFOX ?? "", "/usr/bin/firefox-esr", "/usr/bin/firefox"].find((one) => existsSync(one));
  if (path === undefined) return missing("Firefox");
  await check(`Firefox: ${what}, without an error and calling nobody else`, async () => {
    const left = [...paths];
    const faults = [];
    let finish;
    const finished = new Promise((done) => {
      finish = done;
    });
    const { origin, close } = await start(({ path: at, said, elsewhere, heading }) => {
      faults.push(
        ...said.filter((text) => !isBusy(text)).map((text) => `${at} says: ${text}`),
        ...elsewhere.map((host) => `${at} calls ${host}`),
      );
      if (!heading) faults.push(`${at} has no heading`);
      const next = left.shift();
      if (next === undefined) finish();
      return next ?? "";
    });
    const browser = await launchFirefox(path);
    const page = await browser.open();
    const [first, hash = ""] = left.shift().split("#");
    // Firefox puts "?asks" behind the address.
    await page.goto(`${origin}/first?observed&to=${encodeURIComponent(`${first}?observed#${hash}`)}&of=`);
    const late = setTimeout(() => {
      faults.push(`Firefox stopped before ${left[0] ?? "the end"}`);
      finish();
    }, 600_000);
    await finished;
    clearTimeout(late);
    await browser.close();
    close();
    return faults;
  });
}

async function main() {
  const script = (name) =>
    execFileSync(process.execPath, [join(here, name)], { stdio: ["ignore", "inherit", "inherit"] });
  if (!options["no-build"]) await check("it is built", () => script("build.mjs") ?? []);
  const files = filesOf(site);
  const html = files.filter((file) => file.endsWith(".html") && file !== "404.html");
  const pages = html.filter((file) => !file.startsWith("playground/"));
  await check("its size", () => size(files.filter((file) => !/^(playground\/data\/|examples\/.*\.txt$)/.test(file))));
  await check("every link leads to a page, and every anchor to a heading", () => brokenLinks(html));
  await check("the reference has every name that an entry exports", missingInReference);
  await check("the search finds every public name", missingInSearch);
  const { origin, close } = await serve(() => "");
  await inChromium(
    origin,
    pages.map((page) => `/${page}`),
  );
  close();
  const read = options.all ? pages.map((page) => `/${page}`) : FIREFOX;
  if (!options.playground) await inFirefox(serve, `${read.length} pages load`, read);
  const trained = inFirefox(serve, "the playground learns XOR, a spiral, digits and text, and races", [
    "/playground/index.html#data=xor&speed=8",
    "/playground/digits.html",
    "/playground/index.html#data=spiral&features=x.y.sinx.siny&layers=8-4&speed=8",
    "/playground/text.html#width=32&context=32",
    "/playground/descent.html#speed=20",
  ]);
  await Promise.all([inPlayground(), trained]);
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

const FIREFOX = [
  "/index.html",
  "/start.html",
  "/training.html",
  "/layers.html",
  "/api/callbacks.html",
  "/examples/index.html",
];

await main();
