// Encodes a program: see assembly/program.ts for the layout of an instruction.
import { checkInteger, checkNumber, SteepestError, showValue } from "./errors.js";
import { createRecorder, kernelKinds, kernelNames, type Recorder } from "./recorder.js";

/** A byte address in the engine's linear memory. */
export type Pointer = number;

/** How much an instruction has to do. */
export interface Workload {
  /** Independent units; each thread takes a contiguous range of them. */
  readonly units: number;
  /** Estimated cost of all units together, in operations on one element: decides how many threads are worth waking. */
  readonly cost: number;
}

/**
 * Appends an instruction. `kinds` has a letter for each value: `o` the address of what is written, `i` of what is only
 * read, `u` another number of 32 bits, `f` a float, `d` a double.
 */
export type Emit = (opcode: number, workload: Workload, kinds: string, values: readonly number[]) => void;

/** What a program is made of besides kernels: the methods of every recorder that no kernel stands behind. */
export interface Structure {
  /**
   * Has the instructions that `body` records run `count` times in a row. The uint32 word at `counter` is 0 … count - 1
   * meanwhile: what differs from round to round is found through it. All that a body leaves in memory is there for the
   * next round. Nothing is recorded for a count of 0 or an empty body. Bodies may hold further repeats.
   */
  repeat(counter: Pointer, count: number, body: () => void): void;
  /** Says of the instructions that `body` records what they are for: in the listing, `origin`. The innermost one counts. */
  label(origin: unknown, body: () => void): void;
}

/** An instruction of a recorded program. */
export interface Instruction {
  /** In words, from the program's beginning. */
  readonly offset: number;
  /** Its kernel's name, or "repeat". */
  readonly kernel: string;
  /** 0 for a repeat. */
  readonly units: number;
  /** How often it runs in each step: more than once in the body of a repeat. */
  readonly times: number;
  /** What it was recorded for (a node of the graph), `undefined` where nobody said. */
  readonly origin: unknown;
}

const HEADER_WORDS = 4;
// An instruction without units, which no kernel has, is a repeat: counter and count stand behind its header, then its body.
const REPEAT_OPCODE = 2 ** 32 - 1;
const REPEAT_WORDS = HEADER_WORDS + 2;
// Waking a thread and meeting at the barrier costs microseconds: about this many element operations.
const COST_PER_THREAD = 32768;

/** A recorded program: instruction words, ready to be copied into linear memory. */
export interface Recording {
  readonly record: Recorder;
  /** The instructions recorded so far. */
  words(): Uint32Array;
  /** Their length. */
  bytes(): number;
  /** The most threads that an instruction can use. */
  threads(): number;
  /** The instructions in order, a repeat before those of its body. */
  listing(): readonly Instruction[];
}

/** Refuses (parameter 0 is the number of units) what a kernel would read as something else: a missing address, above all, which would become 0. */
function checkParameter(opcode: number, index: number, kind: string, value: unknown): void {
  const isAddress = kind === "o" || kind === "i";
  const min = isAddress ? 0 : -(2 ** 31); // some of the other numbers are signed
  const isWord = Number.isInteger(value) && (value as number) >= min && (value as number) < 2 ** 32;
  if (kind === "f" || kind === "d" ? typeof value === "number" : isWord) return;
  const rule = isAddress ? "an address" : kind === "u" ? "a whole number of 32 bits" : "a number";
  throw new SteepestError(
    `instruction ${kernelNames[opcode]}: parameter ${index} must be ${rule}, got ${showValue(value)}: please report it with what led to it`,
  );
}

export function startRecording(): Recording {
  const words: number[] = [];
  const listing: Instruction[] = [];
  let times = 1;
  let origin: unknown;
  const append = (kernel: string, opcode: number, units: number, threads: number): void => {
    listing.push({ offset: words.length, kernel, units, times, origin });
    words.push(opcode, 0, units, threads);
  };
  /** Writes down how long the instruction at `start` has become. */
  const close = (start: number): void => {
    words[start + 1] = (words.length - start) * 4;
  };
  const emit: Emit = (opcode, workload, kinds, values) => {
    // Kernels may divide by their sizes, or read the first element, before they look at how many units there are.
    if (workload.units === 0) return;
    checkParameter(opcode, 0, "u", workload.units);
    const start = words.length;
    const threads = Math.max(1, Math.min(workload.units, Math.floor(workload.cost / COST_PER_THREAD)));
    append(kernelNames[opcode], opcode, workload.units, threads);
    for (let i = 0; i < kinds.length; i++) {
      checkParameter(opcode, i + 1, kinds[i], values[i]);
      words.push(...encode(kinds[i], values[i]));
    }
    close(start);
  };
  /** The most threads that an instruction from the one at this place in the list on can use. */
  const threadsFrom = (first: number): number =>
    listing.slice(first).reduce((max, { offset }) => Math.max(max, words[offset + 3]), 1);
  const structure: Structure = {
    repeat(counter, count, body) {
      checkRepeat(counter, count);
      if (count === 0) return;
      const start = words.length;
      const first = listing.length;
      append("repeat", REPEAT_OPCODE, 0, 1);
      words.push(counter, count);
      times *= count;
      body();
      times /= count;
      if (listing.length === first + 1) {
        words.length = start;
        listing.length = first;
        return;
      }
      close(start);
      words[start + 3] = threadsFrom(first);
    },
    label(given, body) {
      const outer = origin;
      origin = given;
      body();
      origin = outer;
    },
  };
  return {
    record: createRecorder(emit, structure),
    words: () => Uint32Array.from(words),
    bytes: () => words.length * 4,
    threads: () => threadsFrom(0),
    listing: () => [...listing],
  };
}

function checkRepeat(counter: unknown, count: unknown): void {
  const isAddress = Number.isInteger(counter) && (counter as number) > 0 && (counter as number) < 2 ** 32;
  if (isAddress && Number.isInteger(count) && (count as number) >= 0 && (count as number) < 2 ** 32) return;
  throw new SteepestError(
    `instruction repeat: must be given an address and a whole number of rounds, got ${showValue(counter)} and ${showValue(count)}: please report it with what led to it`,
  );
}

const number = /* @__PURE__ */ new DataView(/* @__PURE__ */ new ArrayBuffer(8));

/** The words of one parameter. */
function encode(kind: string, value: number): number[] {
  if (kind === "d") {
    number.setFloat64(0, value, true);
    return [number.getUint32(0, true), number.getUint32(4, true)];
  }
  if (kind !== "f") return [value >>> 0];
  number.setFloat32(0, value, true);
  return [number.getUint32(0, true)];
}

/** A repeat in a program, its places and size in words. */
export interface Repeat {
  readonly counter: Pointer;
  readonly count: number;
  readonly body: number;
  readonly end: number;
}

/** What the instruction at word `at` repeats; `undefined` if it is a kernel's. */
export function repeatAt(words: Uint32Array, at: number): Repeat | undefined {
  if (words[at + 2] !== 0) return undefined;
  const [counter, count] = words.subarray(at + HEADER_WORDS, at + REPEAT_WORDS);
  return { counter, count, body: at + REPEAT_WORDS, end: at + words[at + 1] / 4 };
}

/** The addresses that a program in memory works on: what its instructions write, and what they only read. */
export interface Operands {
  readonly outputs: ReadonlySet<Pointer>;
  readonly inputs: ReadonlySet<Pointer>;
}

export function operandsOf(words: Uint32Array, program: Pointer, end: Pointer): Operands {
  const outputs = new Set<Pointer>();
  const inputs = new Set<Pointer>();
  for (let at = program / 4, next = at; at < end / 4; at = next) {
    const repeat = repeatAt(words, at);
    if (repeat !== undefined) {
      outputs.add(repeat.counter);
      next = repeat.body;
      continue;
    }
    next = at + words[at + 1] / 4;
    let value = at + HEADER_WORDS;
    for (const kind of kernelKinds[words[at]]) {
      if (kind === "o") outputs.add(words[value]);
      else if (kind === "i") inputs.add(words[value]);
      value += kind === "d" ? 2 : 1;
    }
  }
  return { outputs, inputs };
}

/** Units of a kernel that works on vectors of four elements: ceil(n / 4), `costPerElement` operations each element. */
export function elements(n: number, costPerElement = 1): Workload {
  checkInteger("elements", "n", n, 0);
  checkNumber("elements", "costPerElement", costPerElement, 0, Number.POSITIVE_INFINITY);
  return { units: Math.ceil(n / 4), cost: n * costPerElement };
}

/** Units that are rows (or chunks, tiles, …): `units` of them, `cost` operations in all. */
export function rows(units: number, cost: number): Workload {
  checkInteger("rows", "units", units, 0);
  checkNumber("rows", "cost", cost, 0, Number.POSITIVE_INFINITY);
  return { units, cost };
}

/** An instruction with a single unit: done by one thread. */
export const serial: Workload = { units: 1, cost: 0 };
