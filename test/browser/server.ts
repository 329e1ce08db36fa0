// A static server for pages under test: the built package, and a blank page; isolated or not.
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const dist = fileURLToPath(new URL("../../dist/", import.meta.url));
const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".map": "application/json",
  ".wasm": "application/wasm",
};

export interface PageServer {
  readonly origin: string;
  close(): void;
}

/**
 * Serves dist/ under /dist/ and the given files beside it. `isolated` sends the headers that let a page share memory;
 * a strict content security policy comes with every answer, unless `policy` is false.
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
