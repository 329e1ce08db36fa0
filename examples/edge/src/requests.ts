// What comes in, checked before anything is done with it.
import { CLASSES, INPUTS, type Lesson, stepsOf } from "./model.js";

/**
 * What one request may ask for. Clocks stand still while a request is computed, so its time cannot be measured: it is
 * counted.
 */
export const LIMITS = { bodyBytes: 65536, samples: 500, steps: 512, magnitude: 10 };

/** A request that is answered with an error. */
export class RequestError extends Error {
  override name = "RequestError";

  constructor(
    readonly status: number,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
  }
}

/** The body of POST /learn: `{ x, y }`, and `passes`, 1 where it is missing. */
export async function readLesson(request: Request): Promise<Lesson> {
  const { x, y, passes = 1 } = await readFields(request, ["x", "y", "passes"]);
  const rows = checkRows(x);
  const classes = checkClasses(y, rows.length);
  if (!isWhole(passes) || passes < 1) throw bad(`passes: must be a whole number of at least 1, got ${show(passes)}`);
  const steps = stepsOf({ x: rows, passes });
  if (steps > LIMITS.steps) {
    throw new RequestError(
      413,
      `passes: ${passes} of ${rows.length} samples take ${steps} steps, at most ${LIMITS.steps} a request: ask for fewer, and again`,
    );
  }
  return { x: rows, y: classes, passes };
}

/** The body of POST /predict: `{ x }`. */
export async function readQuestion(request: Request): Promise<Lesson["x"]> {
  return checkRows((await readFields(request, ["x"])).x);
}

function checkRows(x: unknown): Lesson["x"] {
  if (!Array.isArray(x)) throw bad(`x: must be an array of samples, each of ${INPUTS} numbers, got ${show(x)}`);
  if (x.length === 0) throw bad("x: must hold at least one sample, got none");
  if (x.length > LIMITS.samples) {
    throw new RequestError(413, `x: ${x.length} samples, at most ${LIMITS.samples} a request: send them in parts`);
  }
  for (const [i, row] of x.entries()) {
    if (!Array.isArray(row)) throw bad(`x[${i}]: must be an array of ${INPUTS} numbers, got ${show(row)}`);
    if (row.length !== INPUTS) throw bad(`x[${i}]: must be ${INPUTS} numbers, got ${row.length}`);
    for (const [j, value] of row.entries()) {
      if (typeof value === "number" && Math.abs(value) <= LIMITS.magnitude) continue;
      throw bad(`x[${i}][${j}]: must be a number within ±${LIMITS.magnitude}, got ${show(value)}`);
    }
  }
  return x;
}

function checkClasses(y: unknown, count: number): number[] {
  if (!Array.isArray(y)) throw bad(`y: must be an array with the class of each sample, got ${show(y)}`);
  if (y.length !== count) throw bad(`y: must hold one class for each of the ${count} samples in x, got ${y.length}`);
  for (const [i, value] of y.entries()) {
    if (isWhole(value) && value >= 0 && value < CLASSES) continue;
    throw bad(`y[${i}]: must be a whole number from 0 to ${CLASSES - 1}, got ${show(value)}`);
  }
  return y;
}

async function readFields(request: Request, known: readonly string[]): Promise<Record<string, unknown>> {
  const text = await readText(request);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw bad(`body: must be JSON: ${(error as Error).message}`);
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw bad(`body: must be a JSON object with ${known.join(", ")}, got ${show(body)}`);
  }
  const unknown = Object.keys(body).find((name) => !known.includes(name));
  if (unknown !== undefined) throw bad(`body: has a field ${show(unknown)}, known are ${known.join(", ")}`);
  return body as Record<string, unknown>;
}

/**
 * The body, whatever its header says about its length. Of one that is too long nothing is kept, but it is read to its
 * end: a client that is still sending might not see the answer.
 */
async function readText(request: Request): Promise<string> {
  const reader = request.body?.getReader();
  if (reader === undefined) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.length;
    text = bytes > LIMITS.bodyBytes ? "" : text + decoder.decode(value, { stream: true });
  }
  if (bytes <= LIMITS.bodyBytes) return text + decoder.decode();
  throw new RequestError(413, `body: ${bytes} bytes, at most ${LIMITS.bodyBytes} a request: send the samples in parts`);
}

function bad(message: string): RequestError {
  return new RequestError(400, message);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

/** A value from a request for an error message, short however long it is. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
