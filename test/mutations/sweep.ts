// Reads mutations of the files of all formats, in a process of its own: main.ts watches it. A line of JSON for each file, and one
// every now and then, so that what hangs is seen.
import { askedBytes } from "./meter.js";
import { mutations } from "./mutate.js";

// After the meter, so that they find its constructors.
const { SteepestError } = await import("../../src/engine/errors.js");
const { FORMATS, isUntouched } = await import("./formats.js");

// Errors are made by the hundred thousand, and traces are half of what they cost.
Error.stackTraceLimit = 0;

/** What went how, of the mutations of one file. */
export interface Swept {
  readonly of: string;
  readonly file: string;
  readonly sizeBytes: number;
  readonly count: number;
  readonly refused: number;
  /** The most that was asked for, in bytes, and by which mutation. */
  readonly asked: readonly [bytes: number, index: number];
  readonly allowed: number;
  readonly slowest: readonly [ms: number, index: number];
  /** The first of what must not be. */
  readonly wrong: readonly string[];
  /** Where to go on in another process, because this one's library was broken: the number of the file, and of the mutation. */
  readonly next?: readonly [file: number, mutation: number];
}

const SHOWN = 3;
/** What takes longer is read again, and the least time of the processor counts: other programs use it too. */
const LONG_MS = 5;
const AGAIN = 6;
/** After so many mutations, and after each trap of WebAssembly, a library that may break reads the file itself. */
const CHECK_EVERY = 250;
const SAY_EVERY_MS = 1000;

type Format = (typeof FORMATS)[number];

async function errorOf(read: Format["read"], bytes: Uint8Array): Promise<unknown> {
  try {
    await read(bytes);
  } catch (error) {
    return error;
  }
  return undefined;
}

/** Whether the library that reads the format reads it no more. */
async function isBroken({ bytes, read, breaks }: Format, index: number, error: unknown): Promise<boolean> {
  const isTrap = ((error as Error | undefined)?.cause as Error | undefined)?.name === "RuntimeError";
  if (breaks !== true || !(isTrap || index % CHECK_EVERY === CHECK_EVERY - 1)) return false;
  return (await errorOf(read, bytes.slice())) !== undefined;
}

async function sweep(format: Format, first: number, end: number) {
  const { of, file, bytes, read, times = 2, besides = 0, breaks = false, endless = [] } = format;
  const mutate = mutations(bytes, `${of}, ${file}`);
  const allowed = times * (bytes.length + besides);
  const wrong: string[] = [];
  const add = (what: string) => void (wrong.length < SHOWN && wrong.push(what));
  let [refused, most, mostAt, slowest, slowestAt, said] = [0, 0, 0, 0, 0, performance.now()];
  let index = first;
  let broken = false;
  let left = 0;
  for (; index < end && !broken; index++) {
    if (endless.includes(index)) {
      left++;
      continue;
    }
    if (breaks) console.log(JSON.stringify({ at: `${of}, ${file}: mutation ${index}` }));
    const changed = mutate(index);
    const asked = askedBytes();
    const began = performance.now();
    let error: unknown;
    try {
      const pending = read(changed);
      if (pending instanceof Promise) await pending;
    } catch (thrown) {
      error = thrown ?? new Error("nothing was thrown");
    }
    const now = performance.now();
    const [bytesAsked, ms] = [askedBytes() - asked, now - began];
    if (error !== undefined) refused++;
    if (error !== undefined && !(error instanceof SteepestError)) add(`mutation ${index} throws ${error}`);
    if (bytesAsked > allowed) add(`mutation ${index} asks for ${bytesAsked} bytes, ${allowed} are allowed`);
    if (bytesAsked > most) [most, mostAt] = [bytesAsked, index];
    if (ms > slowest) {
      const least = ms > LONG_MS ? await leastMs(read, mutate(index), ms) : ms;
      if (least > slowest) [slowest, slowestAt] = [least, index];
    }
    if (now - said > SAY_EVERY_MS) {
      said = now;
      console.log(JSON.stringify({ at: `${of}, ${file}: mutation ${index}` }));
    }
    broken = await isBroken(format, index, error);
  }
  if (!isUntouched()) add("an existing model was changed");
  const { length: sizeBytes } = bytes;
  const found = { asked: [most, mostAt], slowest: [slowest, slowestAt] } as const;
  const swept = { of, file, sizeBytes, count: index - first - left, refused, allowed, wrong, ...found } satisfies Swept;
  return broken ? { ...swept, next: [FORMATS.indexOf(format), index] as const } : swept;
}

async function leastMs(read: Format["read"], bytes: Uint8Array, first: number): Promise<number> {
  let least = first;
  for (let turn = 0; turn < AGAIN && least > LONG_MS; turn++) {
    const began = process.cpuUsage();
    await errorOf(read, bytes);
    const { user, system } = process.cpuUsage(began);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}

/** One mutation: what it throws is told. */
async function tell({ of, file, bytes, read }: Format, index: number): Promise<void> {
  Error.stackTraceLimit = 30;
  const error = await errorOf(read, mutations(bytes, `${of}, ${file}`)(index));
  console.log(JSON.stringify({ at: `${of}, ${file}: ${error === undefined ? "is read" : (error as Error).stack}` }));
}

/** The mutations of all files of which the name has a part, from one of the first file on. */
async function sweepFrom(form: string, part: string, firstFile: number, firstMutation: number): Promise<void> {
  for (const [number, format] of FORMATS.entries()) {
    if (number < firstFile || !`${format.of}, ${format.file}`.includes(part)) continue;
    const error = await errorOf(format.read, format.bytes.slice());
    if (error !== undefined) throw new Error(`${format.of}, ${format.file}: must be read`, { cause: error });
    const { count, countWhole = count } = format;
    const end = form === "whole" ? countWhole : count;
    const swept = await sweep(format, number === firstFile ? firstMutation : 0, end);
    console.log(JSON.stringify(swept));
    if ("next" in swept) return;
  }
}

const [form, part = "", first = "0", mutation = "0"] = process.argv.slice(2);
if (form !== "one") await sweepFrom(form, part, Number(first), Number(mutation));
else for (const format of FORMATS) if (`${format.of}, ${format.file}`.includes(part)) await tell(format, Number(first));
