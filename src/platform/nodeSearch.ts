// The entry "steepest/search" under Node, Deno and Bun: with journals in files, and trials in threads or processes.
import { open } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { SteepestError } from "../engine/errors.js";
import { provideSearchHost, type TrialWorker, type WorkerKind } from "../search/host.js";
import type { Journal } from "../search/journal.js";
import { codeOf } from "./disk.js";
import { type FilePath, pathOf, readFileBytes } from "./files.js";
import { startModuleWorker } from "./nodeModuleWorkers.js";

export * from "../search/index.js";

/** A journal in a file. Each line has reached the disk before its trial counts. */
function fileJournal(where: string, path: string): Journal {
  const refusal = (cause: unknown): SteepestError => {
    const name = JSON.stringify(path.slice(-200));
    const message = `${where}: journal must be a file that can be read and written, got ${name} (${codeOf(cause)}): check its folder and the disk`;
    return new SteepestError(message, { cause });
  };
  return {
    async read() {
      try {
        return new TextDecoder().decode(await readFileBytes(path));
      } catch (error) {
        const { cause } = error as SteepestError;
        if (codeOf(cause) === "ENOENT") return "";
        throw refusal(cause ?? error);
      }
    },
    async append(text) {
      try {
        const file = await open(path, "a");
        try {
          await file.appendFile(text);
          await file.datasync();
        } finally {
          await file.close();
        }
      } catch (cause) {
        throw refusal(cause);
      }
    },
  };
}

function startTrialWorker(where: string, module: string, kind: WorkerKind): TrialWorker {
  const worker = startModuleWorker(where, kind);
  return {
    run: ({ number, configuration, parameters, seed, budget }, onReport) =>
      worker.run(
        { module, name: "default", trial: true, input: { number, configuration, parameters, seed, budget } },
        onReport,
      ),
    close: () => worker.close(),
  };
}

provideSearchHost({
  journalOf: (where, path) => fileJournal(where, pathOf(where, path as FilePath)),
  moduleOf: (where, address) => pathToFileURL(resolve(pathOf(where, address as FilePath))).href,
  start: startTrialWorker,
});
