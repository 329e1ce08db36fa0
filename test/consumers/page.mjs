// Opens the page of a consumer in Chromium and reads what it shows.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";

const TYPES = { ".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".map": "application/json" };
const LONGEST_MS = 60_000;

const named = process.env.CHROMIUM;
const candidates = named ? [named] : ["/usr/bin/chromium", "/usr/bin/chromium-browser"];

/** Chromium's program, or undefined. */
export const chromiumPath = candidates.find((path) => existsSync(path));

/** One for all pages, of two consumers at a time too. */
let launched;

/** Serves a folder: with the headers that isolate a page, with a content security policy, or with neither. */
export async function serveFolder(folder, { isolated = false, policy } = {}) {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, "http://localhost").pathname);
    const file = path === "/" ? "index.html" : path;
    if (isolated) {
      response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
      response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    }
    if (policy !== undefined) response.setHeader("Content-Security-Policy", policy);
    const content = await readFile(join(folder, file)).catch(() => undefined);
    if (content === undefined) response.statusCode = 404;
    response.setHeader("Content-Type", TYPES[extname(file)] ?? "application/octet-stream");
    response.end(content ?? "not found");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { address: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

/** What the page at an address came to: the result that it shows, and what the console said meanwhile. */
export async function openPage(address) {
  launched ??= chromium.launch({ executablePath: chromiumPath, args: ["--no-sandbox"] });
  const page = await (await launched).newPage();
  const said = [];
  page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => said.push(`error: ${error.message}`));
  try {
    await page.goto(address);
    const end = Date.now() + LONGEST_MS;
    let title = "";
    while (title !== "done" && title !== "failed") {
      if (Date.now() > end)
        throw new Error(`the page did not finish within ${LONGEST_MS / 1000} s. ${said.join("; ")}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
      // Vite may load a page again while it starts.
      title = await page.title().catch(() => "");
    }
    const text = await page.evaluate("document.body.textContent");
    if (title === "failed") throw new Error(`${text.trim()} (${said.join("; ")})`);
    return { ...JSON.parse(text), said };
  } finally {
    await page.close();
  }
}

export async function closeBrowser() {
  await (await launched)?.close();
}
