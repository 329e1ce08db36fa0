// A static server for pages under test: the built package, and a blank page; isolated or not.
import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const dist = fileURLToPath(new URL("../../dist/", import.meta.url));
const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".wasm": "application/wasm",
};

export interface PageServer {
  readonly origin: string;
  close(): void;
}

/** Debian's Chromium, or the one that the environment names. */
export const chromiumPath = [process.env.CHROMIUM ?? "", "/usr/bin/chromium", "/usr/bin/chromium-browser"].find(
  (path) => path !== "" && existsSync(path),
);

const read = (name: string) => readFileSync(fileURLToPath(new URL(name, import.meta.url)), "utf8");

/** A page that has the functions of page.js, and what it needs beside dist/. */
export const pageFiles = {
  "/": '<!doctype html><title>steepest</title><script type="module" src="/page.js"></script>',
  ...Object.fromEntries(["page.js", "training.js", "worker.js"].map((name) => [`/${name}`, read(`./${name}`)])),
};

/**
 * Serves dist/ under /dist/ and the given files beside it. `isolated` sends the headers that let a page share memory;
 * a strict content security policy comes with every answer, unless `policy` is false; pages of other origins may have all of it.
 */
export async function servePages(
  files: Record<string, string>,
  { isolated, policy = true }: { isolated: boolean; policy?: boolean },
): Promise<PageServer> {
  const server: Server = createServer(async (request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    response.setHeader("Content-Type", TYPES[extname(path)] ?? "text/html");
    if (policy)
      response.setHeader("Content-Security-Policy", "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'");
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Cross-Origin-Resource-Policy", "cross-origin");
    if (isolated) {
      response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
      response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    }
    const written = files[path];
    const content =
      written ??
      (path.startsWith("/dist/") ? await readFile(join(dist, path.slice(6))).catch(() => undefined) : undefined);
    if (content === undefined) response.statusCode = 404;
    response.end(content ?? "not found");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, close: () => server.close() };
}
