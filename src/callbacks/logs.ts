// Logs of a fit: a table of its epochs, or a line of JSON for whatever happens.
import { VERSION } from "../engine/copies.js";
import { checkFlag, checkFunction, ModelError, showValue } from "../engine/errors.js";
import { runtimeName, timestamp } from "../engine/host.js";
import { isArrayOf, kindOf } from "../engine/kind.js";
import { flag, fn, type OptionsOf, optional, readOptions } from "../engine/options.js";
import { checksumOf } from "../io/checksum.js";
import type { Callback, FitContext, FitEnd, FitSetup } from "../train/callbacks.js";
import type { ParameterValues } from "../train/parameters.js";
import { callbackHost, type LogTarget } from "./host.js";
import { scoreOf } from "./monitor.js";

/** A `URL`, spelled out for programs that are checked without the types of pages and of Node. */
interface LogUrl {
  readonly href: string;
  readonly protocol: string;
}

/** What opens the log when the fit begins. */
function opener(where: string, to: unknown): () => LogTarget | Promise<LogTarget> {
  if (kindOf(to) === "Object") {
    const target = to as LogTarget;
    checkFunction(where, "write", target.write);
    if (target.close !== undefined) checkFunction(where, "close", target.close);
    if (target.begun !== undefined) checkFlag(where, "begun", target.begun);
    return () => target;
  }
  const host = callbackHost();
  if (host !== undefined) return host.openLog(where, to);
  throw new ModelError(
    `${where}: needs an object with write(text) if there are no files, got ${showValue(to)}: collect the text, or send it on`,
  );
}

/**
 * Writes a line for each epoch: epoch, step, milliseconds and all scores, separated by commas (RFC 4180), under a heading if the file
 * is new. Keras's `CSVLogger`.
 *
 * @param to A path, under Node, Deno and Bun: lines are added to a file that is there. Or an object with `write(text)`.
 * @throws {SteepestError} If it is neither; when the fit begins, if the file cannot be opened.
 * @example
 * const lines: string[] = [];
 * const write = (text: string) => void lines.push(text);
 * await trainer.fit({ x, y }, { epochs: 2, callbacks: [csvLog({ write })] });
 * console.log(lines[0]); // epoch,step,durationMs,loss
 */
export function csvLog(to: string | LogUrl | LogTarget): Callback {
  const open = opener("csvLog", to);
  let log: LogTarget | undefined;
  let scores: readonly string[] = [];
  return {
    name: "csvLog",
    async onBegin({ setup }) {
      log = await open();
      scores = setup.scores;
      if (log.begun !== true) await log.write(csvLine(["epoch", "step", "durationMs", ...scores]));
    },
    onEpoch(context) {
      const { epoch, step, durationMs } = context.result;
      const values = scores.map((name) => scoreOf("csvLog", context, name));
      return log?.write(csvLine([epoch, step, Math.round(durationMs * 1000) / 1000, ...values]));
    },
    onEnd: () => log?.close?.(),
  };
}

/** Names may have commas and quotes in them. */
function csvLine(values: readonly (string | number)[]): string {
  const cells = values.map(String).map((text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text));
  return `${cells.join(",")}\n`;
}

/** A log that takes warnings, too. */
export interface JsonLog extends Callback {
  /** Logs a warning: an option of `compile` and of `watchTraining`. What comes before the log is open is written first. */
  readonly warn: (warning: LoggedWarning) => void;
}

/** What `compile` and `watchTraining` warn of. */
interface LoggedWarning {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

export interface JsonLogOptions {
  /** Whether the loss of each step is logged, and not only those of epochs. Default true. */
  steps?: boolean;
  /** Whether weights and what an epoch changed in them are logged, by path. Default false. */
  layers?: boolean;
  /**
   * Gives gradients by path after each epoch, whose norms are logged, too: `() => trainer.gradients(batch)`, of a few samples that
   * stay the same. Default none.
   */
  gradients?: () => LoggedGradients | Promise<LoggedGradients>;
  /**
   * Gives further records for a report when a fit has ended without an error: `async () => [await evaluationRecord(trainer, test)]`,
   * or what `profile()` gives. Default none.
   */
  atEnd?: () => readonly LoggedRecord[] | Promise<readonly LoggedRecord[]>;
}

/** A record as reports have them: `{ type: "evaluation", … }`, or what becomes one as JSON. */
type LoggedRecord = { readonly type: string } | { toJSON(): { readonly type: string } };

/** What `trainer.gradients` gives. */
type LoggedGradients = ReadonlyMap<string, { readonly data: ArrayLike<number> }>;

const OPTIONS = {
  steps: flag(true),
  layers: flag(false),
  gradients: optional(fn<() => LoggedGradients | Promise<LoggedGradients>>()),
  atEnd: optional(fn<() => readonly LoggedRecord[] | Promise<readonly LoggedRecord[]>>()),
} satisfies OptionsOf<JsonLogOptions>;

/**
 * Writes what happens as JSON lines: objects with a `type`, which `docs/training.md` lists. It is what reports are made of. Numbers
 * that are not finite are null.
 *
 * @param to A path, under Node, Deno and Bun: lines are added to a file that is there. Or an object with `write(text)`.
 * @throws {SteepestError} If it is neither; when the fit begins, if the file cannot be opened. {ModelError} For unknown options.
 * @example
 * const lines: string[] = [];
 * const write = (text: string) => void lines.push(text);
 * await trainer.fit({ x, y }, { epochs: 2, callbacks: [jsonLog({ write })] });
 * console.log(lines.map((line) => JSON.parse(line).type)); // begin, steps …, epoch, …, end
 */
export function jsonLog(to: string | LogUrl | LogTarget, options: JsonLogOptions = {}): JsonLog {
  const open = opener("jsonLog", to);
  const { steps, layers, gradients, atEnd } = readOptions("jsonLog", options, OPTIONS);
  let log: LogTarget | undefined;
  let before: Map<string, ParameterValues> | undefined;
  const write = (line: object): unknown => log?.write(`${JSON.stringify(line)}\n`);
  const layersLine = async ({ step, parameters }: FitContext): Promise<void> => {
    const line: Record<string, unknown> = { type: "layers", step };
    if (gradients !== undefined) line.gradients = normsOf(await gradients());
    if (layers) {
      const now = parameters();
      Object.assign(line, layerLine(now, before ?? now));
      before = now;
    }
    await write(line);
  };
  const early: object[] = [];
  let broken: unknown;
  return {
    name: "jsonLog",
    every: "call",
    reads: false,
    warn({ code, message, remedy }) {
      const line = { type: "warning", code, message: `${message}: ${remedy}` };
      if (log === undefined) early.push(line);
      // Who warns cannot wait; that it could not be written is said by the next line.
      else Promise.resolve(write(line)).catch((error) => (broken = error));
    },
    async onBegin({ setup, step, parameters }) {
      log = await open();
      if (layers) before = parameters();
      await write(beginLine(setup, step));
      for (const line of early.splice(0)) await write(line);
    },
    ...(steps
      ? {
          onStep: ({ step, losses, learningRate }) => write({ type: "steps", step, losses: [...losses], learningRate }),
        }
      : {}),
    async onEpoch(context) {
      if (broken !== undefined) throw broken;
      const { samplesPerSecond: _, ...result } = context.result;
      await write({ type: "epoch", ...result });
      if (layers || gradients !== undefined) await layersLine(context);
    },
    async onEnd({ end, step, parameters }) {
      if (atEnd !== undefined && end.error === undefined) {
        for (const record of checkRecords(await atEnd())) await write(record);
      }
      await write(endLine(end, step, parameters()));
      await log?.close?.();
    },
  };
}

function checkRecords(records: unknown): readonly object[] {
  if (isArrayOf(records, isRecord)) return records;
  throw new ModelError(
    `jsonLog: atEnd must give a list of records such as evaluationRecord() and profile() make, got ${showValue(records)}`,
  );
}

function isRecord(value: unknown): value is LoggedRecord {
  const { toJSON } = (value ?? {}) as { toJSON?: unknown };
  const plain = typeof toJSON === "function" ? toJSON.call(value) : value;
  return typeof (plain as { type?: unknown } | null | undefined)?.type === "string";
}

function beginLine(setup: FitSetup, step: number): object {
  const { summary, ...rest } = setup;
  return {
    type: "begin",
    version: VERSION,
    runtime: runtimeName(),
    time: timestamp(),
    step,
    ...rest,
    summary: summary(),
  };
}

function endLine({ reason, by, why, error }: FitEnd, step: number, tensors: Map<string, ParameterValues>): object {
  const { message } = (error ?? {}) as Partial<Error>;
  const digest = checksumOf({ tensors, metadata: {} });
  return { type: "end", reason, by, why, error: message, step, digest };
}

const BINS = 20;

/** Norms of the parameters' changes, and how the parameters are spread: counts in bins of one width from min to max. */
function layerLine(now: ReadonlyMap<string, ParameterValues>, before: ReadonlyMap<string, ParameterValues>): object {
  const updates: Record<string, number> = {};
  const weights: Record<string, object> = {};
  for (const [path, { data }] of now) {
    const old = before.get(path)?.data;
    updates[path] = Math.sqrt(data.reduce((sum, value, index) => sum + (value - (old?.[index] ?? 0)) ** 2, 0));
    weights[path] = spreadOf(data);
  }
  return { updates, weights };
}

function normsOf(gradients: LoggedGradients): Record<string, number> {
  if (kindOf(gradients) !== "Map") {
    throw new ModelError(
      `jsonLog: gradients must give a Map of arrays by path, as trainer.gradients() does, got ${showValue(gradients)}`,
    );
  }
  const norm = ({ data }: { readonly data: ArrayLike<number> }): number => {
    let sum = 0;
    for (let i = 0; i < data.length; i++) sum += data[i] ** 2;
    return Math.sqrt(sum);
  };
  return Object.fromEntries([...gradients].map(([path, values]) => [path, norm(values)]));
}

/** What is not finite is in no bin. */
function spreadOf(data: Float32Array): { min: number; max: number; counts: number[] } {
  const finite = data.filter((value) => value - value === 0);
  const min = finite.reduce((least, value) => Math.min(least, value), finite.length > 0 ? Number.POSITIVE_INFINITY : 0);
  const max = finite.reduce((most, value) => Math.max(most, value), finite.length > 0 ? Number.NEGATIVE_INFINITY : 0);
  const counts = new Array<number>(BINS).fill(0);
  const width = (max - min) / BINS;
  for (const value of finite) counts[width > 0 ? Math.min(BINS - 1, Math.floor((value - min) / width)) : 0] += 1;
  return { min, max, counts };
}
