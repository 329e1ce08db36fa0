// A registry on this machine that has a few packed packages, as Deno and Bun ask for them.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { basename } from "node:path";

/** `packages`: each one's tarball, and its package.json as an object. */
export async function serveRegistry(packages) {
  const answers = new Map();
  const server = createServer((request, response) => {
    const answer = answers.get(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    if (answer === undefined) response.statusCode = 404;
    response.setHeader("Content-Type", Buffer.isBuffer(answer) ? "application/octet-stream" : "application/json");
    response.end(answer ?? "{}");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = `http://127.0.0.1:${server.address().port}/`;
  for (const { tarball, manifest } of packages) {
    const bytes = await readFile(tarball);
    const { name, version } = manifest;
    const dist = {
      tarball: `${address}-/${basename(tarball)}`,
      integrity: `sha512-${createHash("sha512").update(bytes).digest("base64")}`,
      shasum: createHash("sha1").update(bytes).digest("hex"),
    };
    const about = { name, "dist-tags": { latest: version }, versions: { [version]: { ...manifest, dist } } };
    answers.set(`/${name}`, JSON.stringify(about));
    answers.set(`/-/${basename(tarball)}`, bytes);
  }
  return {
    address,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
