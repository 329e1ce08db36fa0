// The package in a page of an unpacked extension, which is its folder and nothing more.
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BrowserContext, chromium } from "playwright-core";
import * as steepest from "steepest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chromiumPath, pageFiles } from "./server.js";
import { train } from "./training.js";

const manifest = {
  manifest_version: 3,
  name: "steepest",
  version: "1",
  // Without it an extension's page compiles no WebAssembly.
  content_security_policy: { extension_pages: "script-src 'self' 'wasm-unsafe-eval'; object-src 'self'" },
};

/** Chromium names an unpacked extension by its folder. */
const idOf = (folder: string) =>
  createHash("sha256")
    .update(folder)
    .digest("hex")
    .slice(0, 32)
    .replace(/./g, (digit) => "abcdefghijklmnop"[Number.parseInt(digit, 16)]);

describe.skipIf(chromiumPath === undefined)("an extension's page in Chromium", () => {
  const folder = mkdtempSync(join(tmpdir(), "steepest-extension-"));
  let context: BrowserContext;

  beforeAll(async () => {
    const extension = join(folder, "extension");
    mkdirSync(extension);
    cpSync(fileURLToPath(new URL("../../dist/browser", import.meta.url)), join(extension, "dist/browser"), {
      recursive: true,
    });
    writeFileSync(join(extension, "manifest.json"), JSON.stringify(manifest));
    for (const [path, content] of Object.entries(pageFiles)) {
      writeFileSync(join(extension, path === "/" ? "page.html" : path), content);
    }
    context = await chromium.launchPersistentContext(join(folder, "profile"), {
      executablePath: chromiumPath as string,
      ignoreDefaultArgs: ["--disable-extensions"],
      args: ["--no-sandbox", `--disable-extensions-except=${extension}`, `--load-extension=${extension}`],
    });
  });
  afterAll(async () => {
    await context?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("trains in a worker with one thread, the same bits, and says so once if threads were asked for", async () => {
    const page = await context.newPage();
    const said: string[] = [];
    page.on("console", (message) => said.push(message.text()));
    await page.goto(`chrome-extension://${idOf(join(folder, "extension"))}/page.html`);
    await expect.poll(() => page.title()).toBe("ready");
    const expected = { ...(await train(steepest, {})), background: true };
    expect(await page.evaluate("trainHere({})")).toEqual(expected);
    expect(said).toEqual([]);
    expect(await page.evaluate("trainHere({ threads: 2 })")).toEqual(expected);
    expect(said).toEqual([expect.stringContaining("not cross-origin isolated")]);
  });
});
