// The entry "steepest/data" under Node, Deno and Bun: with tables in files, by packages that are optional peers.
import { open } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type CsvParser, type DataHost, type ParquetLibrary, provideDataHost, provideMapHost } from "../data/host.js";
import { SteepestError } from "../engine/errors.js";
import { piecesOfFile, unreadable } from "./filePieces.js";
import { type FilePath, pathOf } from "./files.js";
import { startModuleWorker } from "./nodeModuleWorkers.js";

export * from "../data/index.js";

const openParts: DataHost["openParts"] = async (where, given) => {
  const path = pathOf(where, given as FilePath);
  try {
    const file = await open(path);
    const { size } = await file.stat();
    return {
      byteLength: size,
      close: () => file.close(),
      async slice(start, end = size) {
        const from = start < 0 ? Math.max(0, size + start) : start;
        const bytes = new Uint8Array(Math.max(0, Math.min(end, size) - from));
        let at = 0;
        while (at < bytes.length) {
          const { bytesRead } = await file.read(bytes, at, bytes.length - at, from + at);
          if (bytesRead === 0)
            throw new SteepestError(
              `${where}: the file must not change while it is read, got ${JSON.stringify(path.slice(-200))}, which became shorter`,
            );
          at += bytesRead;
        }
        return bytes.buffer;
      },
    };
  } catch (cause) {
    throw unreadable(where, path, cause);
  }
};

function notInstalled(where: string, name: string, cause: unknown): SteepestError {
  return new SteepestError(`${where}: needs the package ${name}, which is not there: npm install ${name}`, { cause });
}

provideDataHost({
  readPieces: piecesOfFile,
  openParts,
  async csvParser(where) {
    const library = await import(/* webpackIgnore: true */ "csv-parse/sync").catch((cause: unknown) => {
      throw notInstalled(where, "csv-parse", cause);
    });
    return library.parse as CsvParser;
  },
  async parquetLibrary(where) {
    const library = await import(/* webpackIgnore: true */ "hyparquet").catch((cause: unknown) => {
      throw notInstalled(where, "hyparquet", cause);
    });
    return library as unknown as ParquetLibrary;
  },
});

provideMapHost({
  moduleOf: (where, address) => pathToFileURL(resolve(pathOf(where, address as FilePath))).href,
  start: (where) => startModuleWorker(where, "threads"),
});
