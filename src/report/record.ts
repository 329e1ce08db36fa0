// A run as it is written down: JSON lines, one record each. What writes them: the callbacks of `steepest/callbacks`.
import { DataError, showValue } from "../engine/errors.js";

/** Numbers by name, such as scores, or norms by the path of a parameter. */
export type Numbers = Readonly<Record<string, number | null>>;

/** How a run begins. */
export interface BeginRecord {
  readonly type: "begin";
  readonly version?: string;
  /** What it ran in: "Node.js/24", or what a browser calls itself. */
  readonly runtime?: string;
  readonly seed?: number;
  readonly build?: string;
  readonly threads?: number;
  /** Text, as `trainer.summary()` gives it. */
  readonly summary?: string;
  readonly optimizer?: string;
  readonly batchSize?: number;
  readonly epochs?: number;
  /** When it began, as ISO 8601 has it. */
  readonly time?: string;
}

/** Steps since the last record of them. */
export interface StepsRecord {
  readonly type: "steps";
  /** The last of them, from 1. */
  readonly step: number;
  /** Of each of them. What was not finite is null. */
  readonly losses: readonly (number | null)[];
  readonly learningRate: number | Numbers;
}

export interface EpochRecord {
  readonly type: "epoch";
  readonly epoch: number;
  readonly step: number;
  readonly durationMs?: number;
  readonly validation?: Numbers;
  /** Loss and metrics. */
  readonly [score: string]: unknown;
}

/** What the layers are like at a step: Euclidean norms and histograms, by the path of a parameter. */
export interface LayersRecord {
  readonly type: "layers";
  readonly step: number;
  readonly gradients?: Numbers;
  readonly updates?: Numbers;
  readonly weights?: Readonly<Record<string, Histogram>>;
}

/** Counts in parts of equal width, from the least value to the largest. */
export interface Histogram {
  readonly min: number;
  readonly max: number;
  readonly counts: readonly number[];
}

export interface WarningRecord {
  readonly type: "warning";
  readonly code: string;
  readonly message: string;
  readonly step?: number;
}

/** What a classifier answered to data that it did not train on. */
export interface EvaluationRecord {
  readonly type: "evaluation";
  /** What the classes are called, by index. */
  readonly labels: readonly string[];
  /** How many samples of each class (rows) were taken for each class (columns). */
  readonly confusion: readonly (readonly number[])[];
  /** A curve for each class against all others. */
  readonly curves: readonly ClassCurves[];
  /** Those of which it was surest and wrong, the worst first. */
  readonly worst: readonly WorstSample[];
}

export interface ClassCurves {
  readonly label: string;
  /** Points of the ROC curve: false positive rate, true positive rate. */
  readonly roc: readonly (readonly [number, number])[];
  /** Points of the precision-recall curve: recall, precision. */
  readonly precisionRecall: readonly (readonly [number, number])[];
  readonly rocAuc: number;
  readonly averagePrecision: number;
}

export interface WorstSample {
  /** Which of the samples, from 0. */
  readonly index: number;
  readonly label: string;
  readonly predicted: string;
  /** That of the right class. */
  readonly probability: number;
  /** Its numbers from 0 to 255, row by row, if it is an image. */
  readonly image?: {
    readonly width: number;
    readonly height: number;
    readonly channels: number;
    readonly data: readonly number[];
  };
}

/** A step instruction by instruction: what `profile()` of `steepest/diagnostics` gives, as JSON. */
export interface ProfileRecord {
  readonly type: "profile";
  readonly build: string;
  readonly threads: number;
  readonly batchSize: number;
  /** Milliseconds of a whole step, and the sum of its instructions by themselves. */
  readonly stepMs: number;
  readonly sumMs: number;
  /** What the machine reaches in a product and in a copy. */
  readonly limits: { readonly gigaflops: number; readonly gigabytes: number };
  readonly instructions: readonly ProfileRow[];
  /** The step, its layers by their paths, and their instructions. */
  readonly flame: FlameRecord;
}

/** An instruction of a step. */
export interface ProfileRow {
  readonly layer: string;
  readonly operation: string;
  readonly kernel: string;
  readonly outputs: readonly (readonly number[])[];
  readonly times: number;
  readonly ms: number;
  readonly bytes: number;
  readonly flops: number;
  /** Of the sum, 0 to 1. */
  readonly share: number;
  /** How close to the machine's limit, 0 to 1. */
  readonly ofLimit?: number | undefined;
}

export interface FlameRecord {
  readonly name: string;
  readonly ms: number;
  readonly children: readonly FlameRecord[];
}

export interface EndRecord {
  readonly type: "end";
  readonly reason?: string;
  readonly step?: number;
  /** Of the parameters: equal if two runs are. */
  readonly digest?: string;
}

export type RunRecord =
  | BeginRecord
  | StepsRecord
  | EpochRecord
  | LayersRecord
  | WarningRecord
  | EvaluationRecord
  | ProfileRecord
  | EndRecord;

/** A run: what it is called, and its records in order. */
export interface Run {
  readonly name: string;
  readonly records: readonly RunRecord[];
}

const TYPES: readonly string[] = ["begin", "steps", "epoch", "layers", "warning", "evaluation", "profile", "end"];

/**
 * Reads a run from its JSON lines. A last line that was not written to its end, as by a run that was killed, is left out; so are
 * records of types that this version does not know.
 *
 * @param name What it is called in a report.
 * @throws {DataError} If a line is no record, with its number.
 */
export function parseRun(name: string, text: string): Run {
  if (typeof name !== "string") throw new DataError(`parseRun: name must be a text, got ${showValue(name)}`);
  if (typeof text !== "string") throw new DataError(`parseRun: text must be JSON lines, got ${showValue(text)}`);
  const lines = text.split("\n");
  const records: RunRecord[] = [];
  lines.forEach((line, index) => {
    if (line.trim() === "") return;
    let record: unknown;
    try {
      record = JSON.parse(line);
    } catch (cause) {
      if (index === lines.length - 1) return;
      throw new DataError(
        `parseRun: line ${index + 1} of ${showValue(name)} must be JSON, got ${showValue(line)}: is it the log of a run?`,
        { cause },
      );
    }
    const { type } = (record ?? {}) as { type?: unknown };
    if (typeof type !== "string") {
      throw new DataError(
        `parseRun: line ${index + 1} of ${showValue(name)} must be an object with a type, got ${showValue(line)}: is it the log of a run?`,
      );
    }
    if (TYPES.includes(type)) records.push(record as RunRecord);
  });
  if (records.length > 0) return { name, records };
  throw new DataError(
    `parseRun: ${showValue(name)} must have records of a run, got ${showValue(text)}: log one with jsonLog()`,
  );
}
