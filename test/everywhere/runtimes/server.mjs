// A static folder for pages: the project with the installed package, as any server gives it.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize, sep } from "node:path";

const SCRIPT = "text/javascript";
const TYPES = { ".html": "text/html", ".js": SCRIPT, ".mjs": SCRIPT, ".wasm": "application/wasm" };
/** Frames in which a worker may come from the page's own memory: for suite/maps.js. */
const MAPS = '<!doctype html><title>maps</title><script type="module" src="/hosts/maps.js"></script>';
const PAGE = '<!doctype html><title>steepest</title><script type="module" src="/hosts/page.js"></script>';

/** The file that browsers get for an entry of the package. */
function browserFile(entry) {
  let target = entry;
  while (typeof target === "object") target = target.browser ?? target.import ?? target.default;
  return `/node_modules/steepest/${target.slice(2)}`;
}

/** What pages without a driver are to run: they ask for it, and bring the results. */
function createMailbox() {
  let asked;
  let waiting;
  let settle;
  const hand = () => {
    if (asked === undefined || waiting === undefined) return;
    waiting.end(JSON.stringify(asked));
    asked = waiting = undefined;
  };
  return {
    ask(name, run) {
      asked = { name, run };
      hand();
      return new Promise((resolve) => {
        settle = resolve;
      });
    },
    async handle(pathname, request, response) {
      if (pathname === "/next") {
        waiting = response;
        hand();
      } else {
        const answer = JSON.parse((await request.toArray()).join(""));
        response.end();
        settle(answer);
      }
    },
  };
}

/** `isolated`: with the headers that let a page share memory. A strict content security policy comes with all. */
export async function serve(project, { isolated }) {
  const { exports } = JSON.parse(await readFile(join(project, "node_modules/steepest/package.json"), "utf8"));
  const entries = ["graph", "io", "search", "metrics", "data", "images"].map((name) => [name, exports[`./${name}`]]);
  const lines = [["steepest", exports["."]], ...entries].map(
    ([name, entry]) => `export * as ${name} from "${browserFile(entry)}";`,
  );
  const written = {
    "/": PAGE,
    "/maps": MAPS,
    "/modules.js": lines.join("\n"),
    "/inline.js": `export * from "${browserFile(exports["./inline"])}";`,
  };
  const mailbox = createMailbox();
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (pathname === "/next" || pathname === "/answer") return mailbox.handle(pathname, request, response);
    response.setHeader("Content-Type", TYPES[extname(pathname)] ?? "text/html");
    const workers = pathname === "/maps" ? "'self' blob:" : "'self'";
    response.setHeader("Content-Security-Policy", `script-src 'self' 'wasm-unsafe-eval'; worker-src ${workers}`);
    if (isolated) {
      response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
      response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    }
    const path = normalize(join(project, pathname));
    const inside = path.startsWith(project + sep);
    const content = written[pathname] ?? (inside ? await readFile(path).catch(() => undefined) : undefined);
    if (content === undefined) response.statusCode = 404;
    response.end(content ?? "not found");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}/`,
    /** Has the page that asks call one of its functions; resolves to the result. */
    ask: mailbox.ask,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
