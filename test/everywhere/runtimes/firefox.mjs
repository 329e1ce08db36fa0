// Firefox without a driver: the page asks the server what to run. A driver listens to workers as a debugger does, and then
// Firefox 153 may block a worker for ever in `new Worker()`: docs/troubles.md. Nobody who uses a page has a driver.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { start } from "./programs.mjs";

/** Nothing is asked of the person in front of it, and nobody else is called. */
const PREFERENCES = {
  "app.update.enabled": false,
  "browser.aboutwelcome.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.homepage_override.mstone": "ignore",
  "datareporting.policy.dataSubmissionEnabled": false,
  "dom.max_script_run_time": 0,
  "extensions.getAddons.cache.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "toolkit.startup.max_resumed_crashes": -1,
};

/** A new browser for each page. */
export async function launchFirefox(executablePath) {
  const { stdout } = await promisify(execFile)(executablePath, ["--version"]);
  const pages = new Set();
  return {
    version: stdout.trim().split(" ").at(-1),
    async open() {
      const page = createPage(executablePath, () => pages.delete(page));
      pages.add(page);
      return page;
    },
    async close() {
      for (const page of pages) await page.close();
    },
  };
}

function createPage(path, closed) {
  const profile = mkdtempSync(join(tmpdir(), "steepest-firefox-"));
  const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`);
  writeFileSync(join(profile, "user.js"), lines.join(""));
  const remove = () => rmSync(profile, { recursive: true, force: true, maxRetries: 20 });
  // Also where it is interrupted.
  process.once("exit", remove);
  let url = "about:blank";
  let started;
  return {
    url: () => url,
    async goto(address) {
      url = address;
      const args = ["--headless", "--no-remote", "--profile", profile, `${address}?asks`];
      started = start(path, args, { env: process.env, stdio: "ignore" });
    },
    /** `server` is what the page asks. */
    call: (name, run, server) => Promise.race([server.ask(name, run), started.failed]),
    async close() {
      started?.end();
      process.off("exit", remove);
      remove();
      closed();
    },
  };
}
