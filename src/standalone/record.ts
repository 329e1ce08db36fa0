// Records a prediction for fixed batch sizes, at addresses of a memory of its own:
//
//   ┌──────────┬────────────────────────┬─────────┬──────────────────────────────┐
//   │ reserved │ parameters, constants  │ scratch │ inputs, values between       │
//   └──────────┴────────────────────────┴─────────┴──────────────────────────────┘
//              dataAt                   │         valuesAt: shared by the programs of all batch sizes
//
// The data come with the file; the rest is zeros, and the memory grows as far as a program needs when it is first used.
import { CLOCK_BYTES, THREAD_SCRATCH_BYTES } from "../engine/constants.js";
import { ModelError, SteepestError, showNames, showValue } from "../engine/errors.js";
import { type Pointer, startRecording } from "../engine/instructions.js";
import { leavesBehind, nodesBehind } from "../graph/backward.js";
import { lower } from "../graph/lower.js";
import { align, planMemory } from "../graph/plan.js";
import { bytesOf, input, type Tensor } from "../graph/tensor.js";
import { layerContext } from "../nn/layer.js";
import type { AnyModel } from "../nn/model.js";
import { portName } from "../nn/ports.js";
import type { ParameterValues } from "../train/parameters.js";
import type { Prediction } from "../train/prediction.js";

/** The program of one batch size. */
export interface BatchProgram {
  readonly batch: number;
  /** Its instructions. */
  readonly words: Uint32Array;
  /** Addresses of the inputs and outputs, in the order of the model's ports. */
  readonly inputs: readonly Pointer[];
  readonly outputs: readonly Pointer[];
  /** How far the memory must reach. */
  readonly end: Pointer;
}

export interface RecordedPrediction {
  readonly programs: readonly BatchProgram[];
  /** Values of parameters and constants, from `dataAt` on. */
  readonly data: Uint8Array;
  readonly dataAt: Pointer;
  /** Scratch of the kernels. */
  readonly scratch: Pointer;
}

/** What is recorded. */
export interface Asked {
  readonly model: AnyModel;
  readonly prediction: Prediction;
  readonly values: ReadonlyMap<string, ParameterValues>;
  readonly batches: readonly number[];
  /** Whether the outputs are left as they come from the last layer. */
  readonly raw: boolean;
}

// The kernels use nothing below: see heapBase() in assembly/program.ts.
export const RESERVED_BYTES = 1024;

interface Traced {
  readonly batch: number;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

export function recordPrediction(where: string, asked: Asked): RecordedPrediction {
  checkStates(where, asked.model);
  const traces = asked.batches.map((batch) => trace(where, asked, batch));
  const { places, data, end: scratch } = placeData(where, asked, traces);
  const valuesAt = align(scratch + THREAD_SCRATCH_BYTES);
  return {
    programs: traces.map((traced) => record(traced, asked, places, valuesAt)),
    data,
    dataAt: RESERVED_BYTES,
    scratch,
  };
}

function checkStates(where: string, { kind, states }: AnyModel): void {
  if (states.size === 0) return;
  throw new ModelError(
    `${where}: the model must keep nothing from call to call, got ${kind}() with the states ${showNames(states.keys())}: make it without stateful or cache, or predict with the trainer`,
  );
}

/** Dropout is off, as in a trainer's prediction. */
function trace(where: string, { model, prediction, raw }: Asked, batch: number): Traced {
  const inputs = model.inputs.map((port) =>
    input([batch, ...port.shape], { name: portName("x", port), dtype: port.dtype }),
  );
  const clock = input([CLOCK_BYTES / 4], { name: "clock", dtype: "uint32" });
  const context = layerContext({ training: false, clock, seed: [0, 0], batch });
  const traced = model.trace(inputs, context);
  const outputs = raw
    ? traced
    : prediction.outputs.map(({ loss }, index) => loss?.predict(traced[index]) ?? traced[index]);
  checkClock(where, outputs, clock);
  return { batch, inputs, outputs };
}

/** The clock is what random numbers and steps follow from. */
function checkClock(where: string, outputs: readonly Tensor[], clock: Tensor): void {
  const readers = nodesBehind(outputs).filter(({ inputs }) => inputs.includes(clock));
  if (readers.length === 0) return;
  const names = readers.map(({ operation, scope }) =>
    scope === "" ? operation.name : `${operation.name} in ${scope}`,
  );
  throw new ModelError(
    `${where}: a prediction must have no random numbers, got ${showNames([...new Set(names)])}: draw them in training alone`,
  );
}

interface PlacedData {
  readonly places: ReadonlyMap<Tensor, Pointer>;
  readonly data: Uint8Array;
  readonly end: Pointer;
}

/** Gives parameters and constants their addresses. Constants of the same values share one. */
function placeData(where: string, { model, values }: Asked, traces: readonly Traced[]): PlacedData {
  const places = new Map<Tensor, Pointer>();
  const parts: { at: Pointer; bytes: Uint8Array }[] = [];
  const known = new Map<string, Pointer>();
  const paths = new Map([...model.parameters].map(([path, tensor]) => [tensor, path]));
  let end: Pointer = RESERVED_BYTES;
  const place = (tensor: Tensor, bytes: Uint8Array, shared: boolean): void => {
    const key = shared ? `${bytes}` : "";
    const at = known.get(key) ?? end;
    places.set(tensor, at);
    if (at < end) return;
    if (shared) known.set(key, at);
    parts.push({ at, bytes });
    end = align(end + bytes.length);
  };
  for (const tensor of leavesBehind(traces.flatMap(({ outputs }) => outputs))) {
    const { source } = tensor;
    if (places.has(tensor)) continue;
    if (source.kind === "parameter")
      place(tensor, rawBytes(valuesAt(where, values, paths.get(tensor)), "float32"), false);
    if (source.kind === "constant") place(tensor, rawBytes(source.data, tensor.dtype), source.data.length <= 1024);
  }
  const data = new Uint8Array(end - RESERVED_BYTES);
  for (const { at, bytes } of parts) data.set(bytes, at - RESERVED_BYTES);
  return { places, data, end };
}

function valuesAt(where: string, values: Asked["values"], path: string | undefined): Float32Array {
  const found = path === undefined ? undefined : values.get(path);
  if (found !== undefined) return found.data;
  throw new SteepestError(
    `${where}: trainer.parameters() must have ${showValue(path)}, got ${showNames(values.keys())}`,
  );
}

function rawBytes(values: ArrayLike<number>, dtype: "float32" | "uint32"): Uint8Array {
  const typed = dtype === "uint32" ? Uint32Array.from(values) : Float32Array.from(values);
  return new Uint8Array(typed.buffer);
}

function record(
  { batch, inputs, outputs }: Traced,
  { prediction }: Asked,
  places: ReadonlyMap<Tensor, Pointer>,
  valuesAt: Pointer,
): BatchProgram {
  const pinned = new Map(places);
  let end = valuesAt;
  for (const tensor of inputs) {
    pinned.set(tensor, end);
    end = align(end + bytesOf(tensor));
  }
  const plan = planMemory(outputs, pinned, prediction.choices);
  const recording = startRecording();
  const addressOf = lower(plan, recording.record, end, pinned);
  return {
    batch,
    words: recording.words(),
    inputs: inputs.map((tensor) => pinned.get(tensor) as Pointer),
    outputs: outputs.map(addressOf),
    end: end + plan.arenaBytes,
  };
}
