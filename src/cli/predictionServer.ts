// A model behind HTTP: POST /predict and GET /health.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tableOfBlock, tableOfObjects } from "../data/tableRows.js";
import { DataError, SteepestError, showValue } from "../engine/errors.js";
import { type Batcher, type BatcherOptions, createBatcher, OverloadError } from "./batcher.js";
import { answersTo, type OpenModel } from "./modelFile.js";

export interface PredictionServerOptions extends BatcherOptions {
  /** Bytes that a request may have. */
  readonly maxBody: number;
}

export interface PredictionServer {
  readonly http: Server;
  readonly batcher: Batcher;
  readonly counts: { requests: number; rows: number; refused: number };
  /** No more connections; resolves when all that was asked is answered. */
  end(): Promise<void>;
}

/** What is answered instead of predictions. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

// A request that takes longer to arrive is given up. A connection stays open for longer than proxies keep one that is idle (mostly 60
// seconds), as a request that is sent when it closes would be lost.
const TIMES = { headersTimeout: 60_000, requestTimeout: 60_000, keepAliveTimeout: 75_000 };

export function createPredictionServer(model: OpenModel, options: PredictionServerOptions): PredictionServer {
  const batcher = createBatcher((x) => model.predictor.predict(x), options);
  const counts = { requests: 0, rows: 0, refused: 0 };
  let isEnding = false;
  const answer = async (request: IncomingMessage): Promise<object> => {
    const path = pathOf(request.url ?? "/");
    if (path === "/health") {
      allow(request, ["GET", "HEAD"]);
      const about = { status: isEnding ? "ending" : "ok", ...counts, waiting: batcher.waiting };
      if (isEnding) throw new Refusal(503, JSON.stringify(about));
      return about;
    }
    if (path !== "/predict") throw new Refusal(404, `there are POST /predict and GET /health, got ${path}`);
    allow(request, ["POST"]);
    const type = request.headers["content-type"];
    if (type !== undefined && !/^application\/([\w.-]+\+)?json\b/i.test(type) && !/x-www-form-urlencoded/.test(type)) {
      throw new Refusal(415, `the body must be JSON, got ${type}`);
    }
    const rows = rowsIn(await bodyOf(request, options.maxBody));
    const x = featuresOf(model, rows);
    const outputs = await batcher.predict(x, rows.length);
    counts.rows += rows.length;
    return { predictions: answersTo(model, outputs) };
  };
  const http = createServer(TIMES, async (request, response) => {
    counts.requests++;
    try {
      send(response, 200, await answer(request), isEnding);
    } catch (error) {
      counts.refused++;
      const { status, message, headers } = refusalOf(error);
      const body = message.startsWith("{") ? JSON.parse(message) : { error: message };
      // What is left of a body that is too long is not waited for.
      send(response, status, body, isEnding || status === 413, headers);
    }
  });
  return {
    http,
    batcher,
    counts,
    end() {
      isEnding = true;
      return new Promise((resolve, reject) => {
        http.close((error) => (error === undefined ? resolve() : reject(error)));
        http.closeIdleConnections();
      });
    },
  };
}

function send(
  response: ServerResponse,
  status: number,
  body: object,
  isLast: boolean,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.destroyed) return;
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`);
  response.writeHead(status, {
    ...{ "content-type": "application/json", "content-length": bytes.length, "cache-control": "no-store" },
    ...headers,
    ...(isLast ? { connection: "close" } : {}),
  });
  response.end(bytes);
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const { message } = error as Error;
  if (error instanceof OverloadError) return new Refusal(503, message, { "retry-after": "1" });
  if (error instanceof DataError) return new Refusal(400, message);
  return new Refusal(500, error instanceof SteepestError ? message : "the prediction failed");
}

/** The path of a request's target, which may be anything: "//" is no URL. */
function pathOf(target: string): string {
  try {
    return new URL(target, "http://host").pathname;
  } catch {
    throw new Refusal(400, `the request must be for a path, got ${showValue(target)}`);
  }
}

function allow({ method = "" }: IncomingMessage, methods: readonly string[]): void {
  if (methods.includes(method)) return;
  throw new Refusal(405, `the method must be ${methods.join(" or ")}, got ${method}`, { allow: methods.join(", ") });
}

async function bodyOf(request: IncomingMessage, maxBody: number): Promise<string> {
  const tooLong = (): Refusal => new Refusal(413, `the body must have at most ${maxBody} bytes, got more`);
  if (Number(request.headers["content-length"] ?? 0) > maxBody) throw tooLong();
  const pieces: Buffer[] = [];
  let size = 0;
  await new Promise<void>((resolve, reject) => {
    request.on("data", (piece: Buffer) => {
      size += piece.length;
      if (size <= maxBody) pieces.push(piece);
      else reject(tooLong());
    });
    request.on("end", resolve);
    request.on("error", reject);
    request.on("close", () => reject(new Refusal(400, "the body must be whole, got a part of it")));
  });
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(pieces));
  } catch {
    throw new Refusal(400, "the body must be UTF-8, got other bytes");
  }
}

function rowsIn(text: string): readonly unknown[] {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (error) {
    throw new Refusal(400, `the body must be JSON, got ${(error as Error).message}`);
  }
  const rows = Array.isArray(given) ? given : (given as { rows?: unknown } | null)?.rows;
  if (Array.isArray(rows) && rows.length > 0) return rows;
  throw new Refusal(400, `the body must be { "rows": [ … ] } with a row or more, got ${showValue(given)}`);
}

/** Rows of a table are objects by column; those of a model without one lists of numbers. */
function featuresOf(model: OpenModel, rows: readonly unknown[]): Float32Array {
  if (model.transform !== undefined) return model.featuresOf(tableOfObjects("predict", rows as never));
  const first = rows[0];
  const names = Array.isArray(first) ? first.map((_, at) => `value ${at + 1}`) : [];
  rows.forEach((row, at) => {
    if (Array.isArray(row) && row.length === names.length) return;
    throw new DataError(`predict: row ${at + 1} must be a list of as many numbers as the first, got ${showValue(row)}`);
  });
  const block = { names, rows: rows as readonly unknown[][], numbers: rows.map((_, at) => at + 1) };
  return model.featuresOf(tableOfBlock("predict", "row", block));
}
