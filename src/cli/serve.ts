// A model as an HTTP service, until it is told to end.
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { SteepestError } from "../engine/errors.js";
import { startTimer } from "../engine/host.js";
import { openModel } from "./modelFile.js";
import { defineCommand, JSON_OPTION, type OptionValues, positiveNumber, UsageError, wholeNumber } from "./options.js";
import { createPredictionServer, type PredictionServer } from "./predictionServer.js";
import { voiceOf } from "./terminal.js";

const OPTIONS = {
  port: { placeholder: "N", default: "8000", help: "0: any that is free" },
  host: { placeholder: "ADDRESS", default: "127.0.0.1", help: "where it listens; 0.0.0.0: for other machines too" },
  "batch-size": {
    placeholder: "ROWS",
    default: "256",
    help: "rows that are computed at once, of requests that came together",
  },
  queue: { placeholder: "ROWS", default: "65536", help: "rows that may wait; beyond, the answer is 503" },
  "max-body": { placeholder: "BYTES", default: "1048576", help: "of a request; beyond, the answer is 413" },
  grace: { placeholder: "SECONDS", default: "10", help: "for what was asked before the end" },
  ...JSON_OPTION,
} as const;

export const serveCommand = defineCommand({
  summary: "answer HTTP requests with a model",
  description:
    'Serves a model: POST /predict takes { "rows": [{ "column": value, … }, …] } and gives { "predictions": [ … ] } in the same order; GET /health says how it is. SIGTERM or Ctrl-C ends it when all that was asked is answered, a second one at once. With --json it prints its address as an object when it listens, and what it did at the end.',
  arguments: "<model>",
  options: OPTIONS,
  examples: [
    "steepest serve model.safetensors --port 8000",
    'curl -d \'{"rows":[{"height":70,"soil":"clay"}]}\' http://127.0.0.1:8000/predict',
  ],
  run: (given, [path]) => serve(given, path),
});

async function serve(given: OptionValues<typeof OPTIONS>, path: string): Promise<void> {
  if (given.host === "") throw new UsageError("--host must be an address, got none");
  const port = wholeNumber("port", given.port, 0, 65_535);
  const options = {
    batchRows: wholeNumber("batch-size", given["batch-size"], 1, 2 ** 16),
    queueRows: wholeNumber("queue", given.queue, 1, 2 ** 24),
    maxBody: wholeNumber("max-body", given["max-body"], 1, 2 ** 30),
  };
  const graceMs = positiveNumber("grace", given.grace) * 1000;
  const { say, result } = voiceOf(given);
  const model = await openModel("serve", path);
  try {
    const server = createPredictionServer(model, options);
    // Listened for from the start: whoever ends it early ends it well, too.
    const ended = endOf(server, graceMs, say);
    server.http.listen(port, given.host);
    await once(server.http, "listening").catch((cause) => {
      throw new SteepestError(
        `serve: --host and --port must be free to listen at, got ${given.host}:${port} (${cause.code}): choose another port`,
        { cause },
      );
    });
    const address = server.http.address() as AddressInfo;
    const url = `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`;
    say(`serving ${path} at ${url}: POST /predict, GET /health`);
    result({ listening: url, model: path });
    await ended;
    const { counts, batcher } = server;
    say(`ended: ${counts.requests} requests, ${counts.rows} rows in ${batcher.batches} batches`);
    result({ model: path, ...counts, batches: batcher.batches });
  } finally {
    model.dispose();
  }
}

/** Resolves when it was told to end, and has. */
function endOf(server: PredictionServer, graceMs: number, say: (text: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let isEnding = false;
    const end = (): void => {
      if (isEnding) process.exit(1);
      isEnding = true;
      say("ending …");
      const stop = startTimer(() => server.http.closeAllConnections(), graceMs);
      server
        .end()
        .finally(stop)
        .then(() => {
          process.off("SIGINT", end);
          process.off("SIGTERM", end);
          resolve();
        }, reject);
    };
    process.on("SIGINT", end);
    process.on("SIGTERM", end);
  });
}
