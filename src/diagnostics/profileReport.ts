// What a profile is to whoever reads it: a table, plain data, a trace for Chrome, a tree of layers.
import { type Shape, showShape } from "../graph/tensor.js";

/** An instruction and its time. */
export interface Timed {
  readonly kernel: string;
  /** How often it runs in a step. */
  readonly times: number;
  /** Milliseconds of a step that it takes, all times together. */
  readonly ms: number;
  /** Path of its layer; "" if it belongs to none. */
  readonly layer: string;
  /** Name of the operation that it computes; "" for what is none, such as the optimizer. */
  readonly operation: string;
  readonly inputs: readonly Shape[];
  readonly outputs: readonly Shape[];
  /** Of inputs and outputs, each time; a part of them if the operation has several instructions. 0 if that is not known. */
  readonly bytes: number;
  /**
   * Floating-point operations that the shapes ask for, each time, two for a multiplication and an addition; a part of them if the
   * operation has several instructions. 0 if it only moves numbers, or keeps count.
   */
  readonly flops: number;
}

export interface ProfiledInstruction extends Timed {
  /** Of the sum of all instructions, 0 to 1. */
  readonly share: number;
  /** The least time that products and copies of this machine would need, by its own: 1 is the limit; undefined if it is not known. */
  readonly ofLimit: number | undefined;
}

/** A layer with all that is in it, for a flame chart. */
export interface FlameNode {
  readonly name: string;
  readonly ms: number;
  readonly children: readonly FlameNode[];
}

/** An event of Chrome's trace format: `chrome://tracing` and Perfetto read `{ traceEvents }`. Times are in microseconds. */
export interface TraceEvent {
  readonly name: string;
  readonly cat: string;
  readonly ph: "X";
  readonly ts: number;
  readonly dur: number;
  readonly pid: number;
  readonly tid: number;
  readonly args: Readonly<Record<string, unknown>>;
}

export interface ProfileData {
  readonly build: string;
  readonly threads: number;
  readonly batchSize: number;
  /** A whole step, and the sum of its instructions by themselves, in milliseconds. */
  readonly stepMs: number;
  readonly sumMs: number;
  /** What this machine reaches: billions of operations a second in a product, gigabytes a second in a copy. */
  readonly limits: { readonly gigaflops: number; readonly gigabytes: number };
  readonly instructions: readonly ProfiledInstruction[];
}

export interface Profile extends ProfileData {
  /** A table, the slowest first. `rows`: how many. Default 20. */
  text(rows?: number): string;
  /** Plain data, as JSON.stringify takes it: a record of a run, which reports show. */
  toJSON(): ProfileData & { readonly type: "profile"; readonly flame: FlameNode };
  chromeTrace(): { readonly traceEvents: readonly TraceEvent[] };
  flame(): FlameNode;
}

export function profileOf({
  timed,
  ...about
}: Omit<ProfileData, "instructions" | "sumMs"> & { readonly timed: readonly Timed[] }): Profile {
  const { limits } = about;
  const sumMs = timed.reduce((sum, { ms }) => sum + ms, 0);
  const instructions = timed.map((one): ProfiledInstruction => {
    const leastMs = (one.times * Math.max(one.flops / limits.gigaflops, one.bytes / limits.gigabytes)) / 1e6;
    return { ...one, share: sumMs === 0 ? 0 : one.ms / sumMs, ofLimit: leastMs === 0 ? undefined : leastMs / one.ms };
  });
  const data: ProfileData = { ...about, sumMs, instructions };
  return {
    ...data,
    text: (rows = 20) => tableOf(data, rows),
    toJSON: () => ({ type: "profile", ...data, flame: flameOf(instructions) }),
    chromeTrace: () => ({ traceEvents: eventsOf(instructions) }),
    flame: () => flameOf(instructions),
  };
}

const HEAD = ["layer", "operation", "kernel", "outputs", "times", "ms", "share", "KB", "MFLOP", "of limit"];

function tableOf(
  { instructions, stepMs, sumMs, limits, build, threads, batchSize }: ProfileData,
  rows: number,
): string {
  const slowest = [...instructions].sort((a, b) => b.ms - a.ms).slice(0, rows);
  const lines = slowest.map(({ layer, operation, kernel, outputs, times, ms, share, bytes, flops, ofLimit }) => [
    layer,
    operation,
    kernel,
    outputs.map(showShape).join(" "),
    String(times),
    ms.toFixed(4),
    `${(100 * share).toFixed(1)} %`,
    (bytes / 1024).toFixed(1),
    (flops / 1e6).toFixed(2),
    ofLimit === undefined ? "" : `${(100 * ofLimit).toFixed(0)} %`,
  ]);
  const all = [HEAD, ...lines];
  const widths = HEAD.map((_, column) => Math.max(...all.map((line) => line[column].length)));
  const table = all.map((line) =>
    line
      .map((text, column) => (column < 4 ? text.padEnd(widths[column]) : text.padStart(widths[column])))
      .join("  ")
      .trimEnd(),
  );
  return [
    `step of ${batchSize} samples (${build}, ${threads === 1 ? "one thread" : `${threads} threads`}): ${stepMs.toFixed(3)} ms; its ${instructions.length} instructions by themselves: ${sumMs.toFixed(3)} ms`,
    `limits: ${limits.gigaflops.toFixed(1)} GFLOP/s in a product, ${limits.gigabytes.toFixed(1)} GB/s in a copy`,
    ...table,
  ].join("\n");
}

function nameOf({ operation, kernel }: Timed): string {
  return operation === "" || operation === kernel ? kernel : `${operation} (${kernel})`;
}

function eventsOf(instructions: readonly ProfiledInstruction[]): TraceEvent[] {
  let ts = 0;
  return instructions.map((one) => {
    const { layer, inputs, outputs, bytes, flops, times, ms } = one;
    const args = { layer, inputs, outputs, bytes, flops, times };
    const event: TraceEvent = { name: nameOf(one), cat: layer, ph: "X", ts, dur: ms * 1000, pid: 1, tid: 1, args };
    ts += ms * 1000;
    return event;
  });
}

interface Growing {
  readonly name: string;
  ms: number;
  readonly children: Growing[];
}

/** The layers by their paths, with their instructions in them. */
function flameOf(instructions: readonly ProfiledInstruction[]): FlameNode {
  const root: Growing = { name: "step", ms: 0, children: [] };
  for (const one of instructions) {
    root.ms += one.ms;
    let at = root;
    for (const name of [...(one.layer === "" ? [] : one.layer.split(".")), nameOf(one)]) {
      let next = at.children.find((child) => child.name === name);
      if (next === undefined) {
        next = { name, ms: 0, children: [] };
        at.children.push(next);
      }
      next.ms += one.ms;
      at = next;
    }
  }
  return root;
}
