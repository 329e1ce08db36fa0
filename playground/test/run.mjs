// The playground in Chromium: each page is opened, used by clicks and keys, and has to learn. Screenshots are kept.
//
//   npm test --prefix playground -- [options] [suite ...]     points, digits, text, descent, smooth, everywhere
//     --brief          what npm run test:site runs: each page, each claim, but not every variant of it
//     --folder PATH    the built playground; default playground/dist
//     --output PATH    where the screenshots go; default playground/test/output
import { existsSync, mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { finish, isBusy, PATIENCE_MS, test } from "./check.mjs";
import { startServer } from "./server.mjs";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    brief: { type: "boolean", default: false },
    folder: { type: "string", default: path("../dist") },
    output: { type: "string", default: path("output") },
  },
});
const [folder, output] = [resolve(options.folder), resolve(options.output)];
const executablePath = [process.env.CHROMIUM ?? "", "/usr/bin/chromium", "/usr/bin/chromium-browser"].find(
  (path) => path !== "" && existsSync(path),
);
if (executablePath === undefined) throw new Error("no Chromium: install it, or name it by CHROMIUM");
if (!existsSync(`${folder}/index.html`)) {
  throw new Error(`there is no playground in ${folder}: npm run build --prefix playground`);
}
mkdirSync(output, { recursive: true });

const servers = {
  isolated: await startServer({ isolated: true, folder }),
  plain: await startServer({ isolated: false, folder }),
};
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });

/** Opens a page, does something there, and holds it to have asked no other host, said nothing in the console and thrown nothing. */
async function visit(address, use, { server = "isolated", ...options } = {}) {
  const { origin } = servers[server];
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const said = [];
  page.on("console", (message) => {
    if (!isBusy(message.text())) said.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => said.push(`thrown: ${error.message}`));
  page.on("request", (request) => {
    const { protocol, origin: from } = new URL(request.url());
    if (protocol.startsWith("http") && from !== origin) said.push(`asked for ${request.url()}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) said.push(`${response.status()} for ${response.url()}`);
  });
  try {
    await page.goto(`${origin}/${address}`);
    await use(page, (name) => page.screenshot({ path: `${output}/${name}.png`, fullPage: true }));
    if (said.length > 0) throw new Error(`the page said: ${said.join("; ")}`);
  } finally {
    await context.close();
  }
}

const suites = ["points", "digits", "text", "descent", "smooth", "everywhere"];
/** A variant of what another test shows: left out if the run is brief. */
const variant = options.brief ? () => undefined : test;
for (const name of positionals.length > 0 ? positionals : suites) {
  const { default: suite } = await import(`./${name}.mjs`);
  await suite({ test, variant, visit, browser, brief: options.brief });
}
await browser.close();
for (const server of Object.values(servers)) server.close();
finish();
