// The samples of a trainer. They are read and checked, then stored in its memory, or staged for one call. One job at a
// time goes through them.
import { DataError, showValue } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import type { Region } from "../engine/ranges.js";
import { type Shape, sameShape } from "../graph/tensor.js";
import type { FlatValues } from "../graph/values.js";
import { type Ports, shapesFor } from "../nn/ports.js";
import { bytesAmong, type InputValues } from "./bytes.js";
import { forgetData } from "./cursor.js";
import {
  type AnySamples,
  checkSamples,
  copySamples,
  type FlatSamples,
  flattenSamples,
  inputShapeOf,
  isResident,
  loadSamples,
  type ResidentData,
  type SampleFormat,
  targetsOf,
  writeSamples,
} from "./data.js";
import { assertIdle, type Job, PAUSE } from "./job.js";
import type { StagedFeed } from "./programs.js";
import type { GivenSource } from "./source.js";
import { BETWEEN_CALLS, guard, type State } from "./state.js";
import { warnOfBytes } from "./warnings.js";

/** The format of samples whose inputs have these shapes; `undefined`: those of the model. */
export function formatFor(
  { config, samples: { format, formats } }: State,
  inputShape: Ports | undefined,
  weights: readonly Shape[] = [],
): SampleFormat {
  const bySample = weights.every((shape) => shape.length === 0);
  if (inputShape === undefined && bySample) return format;
  const { model } = config;
  const shapes =
    inputShape === undefined
      ? format.inputs.map(({ shape }) => shape)
      : shapesFor("inputShape", inputShape, model.inputs);
  const same = shapes.every((shape, index) => sameShape(shape, format.inputs[index].shape));
  if (same && bySample) return format;
  const key = JSON.stringify(bySample ? shapes : [shapes, weights]);
  const known = formats.get(key);
  if (known !== undefined) return known;
  const { inputs, outputs } = same ? format : model.portsFor(inputShape as Ports);
  const targets = targetsOf(
    config.outputs.map((one, index) => ({ ...one, port: outputs[index] })),
    weights,
  );
  const made: SampleFormat = { inputs, outputs, targets };
  formats.set(key, made);
  return made;
}

/** The same for data in memory, of which inputs that are given as bytes stay bytes. */
export function storedFormat(
  { samples: { formats } }: State,
  format: SampleFormat,
  x: readonly InputValues[],
): SampleFormat {
  const bytes = bytesAmong(x, format.inputs);
  if (bytes === undefined) return format;
  const shapes = [...format.inputs, ...format.outputs].map(({ shape }) => shape);
  const key = JSON.stringify([shapes, format.targets.map(({ weights }) => weights), bytes]);
  const made = formats.get(key) ?? { ...format, bytes };
  formats.set(key, made);
  return made;
}

/** Samples that were passed to a call, checked against their format. They are copies if the call reads them later. */
export interface GivenSamples {
  readonly flat: FlatSamples;
  readonly format: SampleFormat;
}

/**
 * Reads samples before the call returns. `later`: they are read again when the caller may have changed them, so a
 * single batch is copied, and data are copied if that does not take too long.
 */
export function readSamples(state: State, given: unknown, later?: "batch" | "data", name = "data"): GivenSamples {
  guard(state, "trainer");
  const samples = checkSamples(given, name);
  const asked = inputShapeOf(samples);
  const flat = flattenSamples(samples, formatFor(state, asked));
  const format = formatFor(state, asked, flat.weights);
  warnOfBytes(state, name, flat.x, format.inputs);
  return { flat: later === undefined ? flat : copySamples(flat, later === "batch"), format };
}

/** Copies samples into memory at once. They stay until they are disposed of. */
export function load(state: State, samples: AnySamples): ResidentData {
  guard(state, "load", BETWEEN_CALLS);
  const job = loading(state, readSamples(state, samples));
  for (;;) {
    const { done, value } = job.next(0);
    if (done) return value;
  }
}

/** The same, with pauses. */
function* loading(state: State, { flat, format }: GivenSamples): Job<ResidentData> {
  const { engine, samples } = state;
  const loaded = yield* loadSamples(engine, flat, storedFormat(state, format, flat.x));
  const dispose = (): void => {
    if (!samples.resident.has(data)) return;
    assertIdle(engine, "data");
    samples.resident.delete(data);
    samples.handedIn.delete(data);
    forgetData(state.cursor, data);
    loaded.dispose();
  };
  const data: ResidentData = { ...loaded, dispose, [Symbol.dispose]: dispose };
  samples.resident.add(data);
  return data;
}

/** A job that goes through data. */
export interface Run<R, Y> {
  /** How errors begin: "fit". */
  readonly what: string;
  /** It changes nothing and ends before any other job gets a turn. So it may run in the middle of a training. */
  readonly between?: boolean;
  /** It changes nothing, but others get turns: it may run while a fit waits for its callbacks, which then waits for it. */
  readonly scores?: boolean;
  readonly given: readonly (GivenSamples | ResidentData | GivenSource | undefined)[];
  job(...data: (ResidentData | GivenSource | undefined)[]): Job<R, Y>;
}

/** Runs a job as the only one that goes through data. Memory that it took for data is freed afterwards. */
export function* exclusively<R, Y = never>(state: State, run: Run<R, Y>): Job<R, Y> {
  const { what, between = false, scores = false, given, job } = run;
  const before = state.running;
  const fits = (between && before?.what !== what) || (scores && before?.lends === true);
  guard(state, what, { alone: !fits });
  const own = { what };
  state.running = own;
  const owned: ResidentData[] = [];
  try {
    const resident: (ResidentData | GivenSource | undefined)[] = [];
    for (const samples of given) {
      if (samples === undefined || "given" in samples) {
        resident.push(samples);
        continue;
      }
      if (!("flat" in samples)) {
        resident.push(checkResident(state, samples));
        continue;
      }
      const loaded = yield* loading(state, samples);
      state.samples.handedIn.add(loaded);
      owned.push(loaded);
      resident.push(loaded);
    }
    // Next come planning and recording, which take some milliseconds the first time.
    if (owned.length > 0 && state.engine.background) yield PAUSE;
    return yield* job(...resident);
  } finally {
    if (state.running === own) state.running = before;
    for (const loaded of owned) loaded.dispose();
  }
}

/** Yields a result to the user, who may train, score or restore before the job continues. */
export function* handOver<Y>(state: State, result: Y): Job<void, Y> {
  const { running } = state;
  state.running = undefined;
  yield result;
  // Jobs that the user began and did not await come first.
  while (state.running !== undefined) yield PAUSE;
  guard(state, "trainer");
  state.running = running;
}

export function checkResident(state: State, data: unknown): ResidentData {
  guard(state, "trainer");
  if (!isResident(data)) {
    throw new DataError(`data: must be what load() gave, got ${showValue(data)}: load({ x, y }) once, before the loop`);
  }
  if (state.samples.resident.has(data)) return data;
  throw new DataError("data: these were loaded by another trainer, or disposed of: load them into this one");
}

/** Copies a batch to the staging places. Returns their addresses, and the number of samples. */
export function stage(state: State, { flat, format }: GivenSamples): { feed: StagedFeed; count: number } {
  guard(state, "trainer");
  const { staging } = state.samples;
  const x = stagingPlaces(state, staging.x, flat.x);
  const y = stagingPlaces(state, staging.y, flat.y);
  writeSamples(state.engine, flat, format, { x, y });
  return { feed: { kind: "staged", x, y, format }, count: flat.count };
}

function stagingPlaces(state: State, places: Region[], values: readonly FlatValues[]): Pointer[] {
  const addresses: Pointer[] = [];
  for (let i = 0; i < values.length; i++) addresses.push(stagingPlace(state, places, i, values[i].data.length * 4));
  return addresses;
}

const NOWHERE: Region = { address: 0, bytes: 0 };

/** The address of staging place `index`, with at least so many bytes. */
export function stagingPlace(
  { engine: { allocator }, samples }: State,
  places: Region[],
  index: number,
  bytes: number,
): Pointer {
  const { address: old, bytes: room } = places[index] ?? NOWHERE;
  if (room >= bytes) return old;
  samples.recent = undefined;
  if (room > 0) allocator.free(old);
  places[index] = NOWHERE;
  const address = allocator.allocate(bytes);
  places[index] = { address, bytes };
  return address;
}
