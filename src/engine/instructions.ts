// Encodes a program: see assembly/program.ts for the layout of an instruction.
import { SteepestError, showValue } from "./errors.js";
import { createRecorder, kernelKinds, kernelNames, type Recorder } from "./recorder.js";

/** A byte address in the engine's linear memory. */
export type Pointer = number;

/** How much an instruction has to do. */
export interface Work {
  /** Independent units; each thread takes a contiguous range of them. */
  readonly units: number;
  /** Estimated cost of all units together, in operations on one element: decides how many threads are worth waking. */
  readonly cost: number;
}

/**
 * Appends an instruction. `kinds` has a letter for each value: `o` the address of what is written, `i` of what is only
 * read, `u` another number of 32 bits, `f` a float, `d` a double.
 */
export type Emit = (opcode: number, work: Work, kinds: string, values: readonly number[]) => void;

const HEADER_WORDS = 4;
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
  /** Word offset and kernel name of each instruction, in order. */
  listing(): readonly { offset: number; kernel: string; units: number }[];
}

/** Refuses (parameter 0 is the number of units) what a kernel would read as something else: a missing address, above all, which would become 0. */
function checkParameter(opcode: number, index: number, kind: string, value: unknown): void {
  const isAddress = kind === "o" || kind === "i";
  const least = isAddress ? 0 : -(2 ** 31); // some of the other numbers are signed
  const isWord = Number.isInteger(value) && (value as number) >= least && (value as number) < 2 ** 32;
  if (kind === "f" || kind === "d" ? typeof value === "number" : isWord) return;
  const rule = isAddress ? "an address" : kind === "u" ? "a whole number of 32 bits" : "a number";
  throw new SteepestError(
    `instruction ${kernelNames[opcode]}: parameter ${index} must be ${rule}, got ${showValue(value)}: please report it with what led to it`,
  );
}

export function startRecording(): Recording {
  const bytes = new DataView(new ArrayBuffer(8));
  const words: number[] = [];
  const offsets: number[] = [];
  const emit: Emit = (opcode, work, kinds, values) => {
    // Kernels may divide by their sizes, or read the first element, before they look at how many units there are.
    if (work.units === 0) return;
    const start = words.length;
    const threads = Math.max(1, Math.min(work.units, Math.floor(work.cost / COST_PER_THREAD)));
    checkParameter(opcode, 0, "u", work.units);
    offsets.push(start);
    words.push(opcode, 0, work.units, threads);
    for (let i = 0; i < kinds.length; i++) {
      checkParameter(opcode, i + 1, kinds[i], values[i]);
      if (kinds[i] !== "f" && kinds[i] !== "d") {
        words.push(values[i] >>> 0);
        continue;
      }
      const isDouble = kinds[i] === "d";
      if (isDouble) bytes.setFloat64(0, values[i], true);
      else bytes.setFloat32(0, values[i], true);
      words.push(bytes.getUint32(0, true));
      if (isDouble) words.push(bytes.getUint32(4, true));
    }
    words[start + 1] = (words.length - start) * 4;
  };
  return {
    record: createRecorder(emit),
    words: () => Uint32Array.from(words),
    bytes: () => words.length * 4,
    threads: () => offsets.reduce((most, offset) => Math.max(most, words[offset + 3]), 1),
    listing: () => offsets.map((offset) => ({ offset, kernel: kernelNames[words[offset]], units: words[offset + 2] })),
  };
}

/** The addresses that a program in memory works on: what its instructions write, and what they only read. */
export interface Operands {
  readonly outputs: ReadonlySet<Pointer>;
  readonly inputs: ReadonlySet<Pointer>;
}

export function operandsOf(words: Uint32Array, program: Pointer, end: Pointer): Operands {
  const outputs = new Set<Pointer>();
  const inputs = new Set<Pointer>();
  for (let at = program / 4; at < end / 4; at += words[at + 1] / 4) {
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
export function elements(n: number, costPerElement = 1): Work {
  return { units: Math.ceil(n / 4), cost: n * costPerElement };
}

/** Units that are rows (or chunks, tiles, …): `units` of them, `cost` operations in all. */
export function rows(units: number, cost: number): Work {
  return { units, cost };
}

/** An instruction with a single unit: done by one thread. */
export const serial: Work = { units: 1, cost: 0 };
