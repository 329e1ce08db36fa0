// WebKitGTK through its own driver (W3C WebDriver over HTTP), on a screen that is none.
import { once } from "node:events";
import { existsSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { start } from "./programs.mjs";

const START_MS = 60_000;
const CLOSE_MS = 10_000;

const first = (...places) => places.find((place) => place && existsSync(place));

function find() {
  const driver = first(process.env.WEBKIT_DRIVER, "/usr/bin/WebKitWebDriver");
  const screen = first("/usr/bin/Xvfb");
  return driver && screen && { driver, screen };
}

/** Starts an X server without a monitor; it chooses the number of its display. */
async function startScreen(path) {
  const args = ["-displayfd", "3", "-screen", "0", "1024x768x24", "-nolisten", "tcp"];
  const { child, failed, end } = start(path, args, { stdio: ["ignore", "ignore", "ignore", "pipe"] });
  const [number] = await Promise.race([once(createInterface({ input: child.stdio[3] }), "line"), failed]);
  return { display: `:${number}`, end };
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** One command of the protocol. fetch() would give up after five minutes without an answer. */
function command(port, method, path, body, limitMs) {
  return new Promise((resolve, reject) => {
    const signal = limitMs === undefined ? undefined : AbortSignal.timeout(limitMs);
    const call = request({ host: "127.0.0.1", port, method, path, agent: false, signal }, async (response) => {
      try {
        const { value } = JSON.parse((await response.toArray()).join(""));
        if (response.statusCode === 200) resolve(value);
        else reject(new Error(`${method} ${path}: ${value.error}: ${value.message}`));
      } catch (error) {
        reject(error);
      }
    });
    call.once("error", reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** A driver, and the one session that it can have. */
async function openSession(path, env) {
  const port = await freePort();
  const { failed, end } = start(path, [`--port=${port}`], { env, stdio: "ignore" });
  const say = (...words) => Promise.race([command(port, ...words), failed]);
  try {
    await answering(() => say("GET", "/status", undefined, START_MS));
    const asked = { capabilities: { alwaysMatch: {} } };
    const { sessionId, capabilities } = await say("POST", "/session", asked, START_MS);
    const session = `/session/${sessionId}`;
    let open = true;
    return {
      version: capabilities.browserVersion,
      post: (name, body) => say("POST", `${session}/${name}`, body),
      async close() {
        if (open) await say("DELETE", session, undefined, CLOSE_MS).catch(() => {});
        open = false;
        end();
      },
    };
  } catch (error) {
    end();
    throw error;
  }
}

/** Waits until something listens. */
async function answering(ask) {
  for (const end = Date.now() + START_MS; ; await sleep(50)) {
    try {
      return await ask();
    } catch (error) {
      if (error.code !== "ECONNREFUSED" || Date.now() > end) throw error;
    }
  }
}

/** A session as the pages of the other browsers' drivers are. */
async function createPage({ post, close }, limitMs) {
  let url = "about:blank";
  await post("timeouts", { script: limitMs });
  return {
    url: () => url,
    async goto(address) {
      await post("url", { url: address });
      url = address;
    },
    evaluate: (expression) => post("execute/sync", { script: `return ${expression};`, args: [] }),
    close,
  };
}

/**
 * `env` is for the browser. A run that takes longer than `limitMs` is an error.
 * MiniBrowser, which the driver starts, comes with the library that the driver needs.
 */
export function webkitgtk(name, { env = {}, limitMs }) {
  return {
    name,
    find,
    missing: "WebKitGTK is not installed: apt-get install webkit2gtk-driver xvfb (WEBKIT_DRIVER names another driver)",
    async launch({ driver, screen }) {
      const { display, end } = await startScreen(screen);
      const shown = { ...process.env, ...env, DISPLAY: display, GDK_BACKEND: "x11" };
      const sessions = [];
      try {
        // The version is said by a session alone; the first page takes it.
        sessions.push(await openSession(driver, shown));
      } catch (error) {
        end();
        throw error;
      }
      const { version } = sessions[0];
      let taken = 0;
      return {
        version,
        async open() {
          if (taken === sessions.length) sessions.push(await openSession(driver, shown));
          return createPage(sessions[taken++], limitMs);
        },
        async close() {
          for (const { close } of sessions) await close();
          end();
        },
      };
    },
  };
}
