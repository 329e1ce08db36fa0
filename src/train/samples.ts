// The samples of a trainer: read and checked, laid into its memory or staged for one call, and gone through by one job at
// a time.
import { DataError, showValue } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import type { Region } from "../engine/ranges.js";
import { sameShape } from "../graph/tensor.js";
import type { FlatValues } from "../graph/values.js";
import { type Ports, shapesFor } from "../nn/ports.js";
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
import { BETWEEN_CALLS, guard, type State } from "./state.js";

/** How samples look whose inputs have these shapes; `undefined`: the model's. */
export function formatFor(
  { config, samples: { format, formats } }: State,
  inputShape: Ports | undefined,
): SampleFormat {
  if (inputShape === undefined) return format;
  const { model } = config;
  const shapes = shapesFor("inputShape", inputShape, model.inputs);
  if (shapes.every((shape, index) => sameShape(shape, format.inputs[index].shape))) return format;
  const key = JSON.stringify(shapes);
  const known = formats.get(key);
  if (known !== undefined) return known;
  const { inputs, outputs } = model.portsFor(inputShape);
  const targets = targetsOf(config.outputs.map(({ loss }, index) => ({ port: outputs[index], loss })));
  const made: SampleFormat = { inputs, outputs, targets };
  formats.set(key, made);
  return made;
}

/** Samples that a call was given, checked against their format; in arrays of their own if the call reads them later. */
export interface GivenSamples {
  readonly flat: FlatSamples;
  readonly format: SampleFormat;
}

/**
 * Reads samples before the call returns. `later`: they are looked at again when the caller may have changed them: all
 * of a single batch is copied, of data as much as can be copied at once.
 */
export function readSamples(state: State, given: unknown, later?: "batch" | "data", name?: string): GivenSamples {
  guard(state, "trainer");
  const samples = checkSamples(given, name);
  const format = formatFor(state, inputShapeOf(samples));
  const flat = flattenSamples(samples, format);
  return { flat: later === undefined ? flat : copySamples(flat, later === "batch"), format };
}

/** Lays samples into memory at once, to stay until they are disposed of. */
export function load(state: State, samples: AnySamples): ResidentData {
  guard(state, "load", BETWEEN_CALLS);
  const job = loading(state, readSamples(state, samples));
  for (;;) {
    const { done, value } = job.next(0);
    if (done) return value;
  }
}

/** The same, pausing now and then. */
function* loading(state: State, { flat, format }: GivenSamples): Job<ResidentData> {
  const { engine, samples } = state;
  const loaded = yield* loadSamples(engine, flat, format);
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
  /** Begins errors: "fit". */
  readonly what: string;
  /** It changes nothing and is done before anybody else gets a turn, so it may come in the midst of a training. */
  readonly between?: boolean;
  readonly given: readonly (GivenSamples | ResidentData | undefined)[];
  job(...resident: (ResidentData | undefined)[]): Job<R, Y>;
}

/** Runs a job as the only one that goes through data; what was laid into memory for it is freed afterwards. */
export function* exclusively<R, Y = never>(state: State, run: Run<R, Y>): Job<R, Y> {
  const { what, between = false, given, job } = run;
  const before = state.running;
  guard(state, what, { alone: !between || before?.what === what });
  state.running = run;
  const owned: ResidentData[] = [];
  try {
    const resident: (ResidentData | undefined)[] = [];
    for (const samples of given) {
      if (samples === undefined || !("flat" in samples)) {
        resident.push(samples && checkResident(state, samples));
        continue;
      }
      const loaded = yield* loading(state, samples);
      state.samples.handedIn.add(loaded);
      owned.push(loaded);
      resident.push(loaded);
    }
    // What comes next is planning and recording, some milliseconds the first time.
    if (owned.length > 0 && state.engine.background) yield PAUSE;
    return yield* job(...resident);
  } finally {
    if (state.running === run) state.running = before;
    for (const loaded of owned) loaded.dispose();
  }
}

/** Yields a result to the user, who may train, score or restore before the work goes on. */
export function* handOver<Y>(state: State, result: Y): Job<void, Y> {
  const { running } = state;
  state.running = undefined;
  yield result;
  // What the user began and did not await comes first.
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

/** Copies a batch to where single batches are staged; returns where that is, and how many samples. */
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

/** The staging place number `index`, of at least so many bytes. */
export function stagingPlace(
  { engine: { allocator } }: State,
  places: Region[],
  index: number,
  bytes: number,
): Pointer {
  const { address: old, bytes: room } = places[index] ?? NOWHERE;
  if (room >= bytes) return old;
  if (room > 0) allocator.free(old);
  places[index] = NOWHERE;
  const address = allocator.allocate(bytes);
  places[index] = { address, bytes };
  return address;
}
