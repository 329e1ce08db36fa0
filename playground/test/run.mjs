// The playground in Chromium: each page is opened, used by clicks and keys, and has to learn. Screenshots are kept in test/output/.
import { existsSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { finish, test } from "./check.mjs";
import { startServer } from "./server.mjs";

const output = fileURLToPath(new URL("output/", import.meta.url));
const executablePath = [process.env.CHROMIUM ?? "", "/usr/bin/chromium", "/usr/bin/chromium-browser"].find(
  (path) => path !== "" && existsSync(path),
);
if (executablePath === undefined) throw new Error("no Chromium: install it, or name it by CHROMIUM");
if (!existsSync(new URL("../dist/index.html", import.meta.url))) {
  throw new Error("the playground is not built: npm run build --prefix playground");
}
mkdirSync(output, { recursive: true });

const servers = { isolated: await startServer({ isolated: true }), plain: await startServer({ isolated: false }) };
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });

/** Counts tasks of the main thread over 50 ms, from the time when a page asks for it. */
const observe = `
  globalThis.longTasks = [];
  new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" });
`;

/** Opens a page, does something there, and holds it to have asked no other host, said nothing in the console and thrown nothing. */
async function visit(address, use, { server = "isolated", ...options } = {}) {
  const { origin } = servers[server];
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, ...options });
  const page = await context.newPage();
  const said = [];
  page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => said.push(`thrown: ${error.message}`));
  page.on("request", (request) => {
    const { protocol, origin: from } = new URL(request.url());
    if (protocol.startsWith("http") && from !== origin) said.push(`asked for ${request.url()}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) said.push(`${response.status()} for ${response.url()}`);
  });
  await page.addInitScript(observe);
  try {
    await page.goto(`${origin}/${address}`);
    await use(page, (name) => page.screenshot({ path: `${output}${name}.png`, fullPage: true }));
    if (said.length > 0) throw new Error(`the page said: ${said.join("; ")}`);
  } finally {
    await context.close();
  }
}

const suites = ["points", "digits", "text", "descent", "smooth", "everywhere"];
// All, or those that are named: `npm test --prefix playground -- digits`.
const named = process.argv.slice(2);
for (const name of named.length > 0 ? named : suites) {
  const { default: suite } = await import(`./${name}.mjs`);
  await suite({ test, visit, browser });
}
await browser.close();
for (const server of Object.values(servers)) server.close();
finish();
