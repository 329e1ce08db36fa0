// A trainer from the inside: its state and programs, the data that lie in its memory, and what keeps runs apart.
import type { Engine } from "../engine/engine.js";
import { DataError, SteepestError, showValue } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import { sameShape } from "../graph/tensor.js";
import { type Ports, shapesFor } from "../nn/ports.js";
import { createProgramCache, type ProgramCache } from "./cache.js";
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
  placesFor,
  type ResidentData,
  type SampleFormat,
  writeSamples,
} from "./data.js";
import { assertIdle, type Job, PAUSE } from "./job.js";
import type { StagedFeed } from "./programs.js";
import { checkOpen, createState, releaseState, type State, type TrainingConfig } from "./state.js";

export interface Session {
  readonly engine: Engine;
  readonly state: State;
  readonly cache: ProgramCache;
  /** How samples look that say nothing of it, and others by their inputs' shapes. */
  readonly format: SampleFormat;
  readonly formats: Map<string, SampleFormat>;
  readonly staging: Staging;
  /** Data that were laid into memory by this session and not yet disposed of. */
  readonly resident: Set<ResidentData>;
  /** Those of them that a call was given, and that go when it ends. */
  readonly handedIn: Set<ResidentData>;
  /** What the programs of all sizes of batches were last made for: see preparePrograms. */
  prepared: { count: number; format: SampleFormat; batchSize: number; rest: number } | undefined;
  /** What goes through data now; nothing while the user has the result of an epoch. */
  running: { readonly what: string } | undefined;
}

export function openSession(config: TrainingConfig, engine: Engine): Session {
  const state = createState(engine, config);
  return {
    engine,
    state,
    cache: createProgramCache(state),
    formats: new Map(),
    format: {
      inputs: config.model.inputs,
      outputs: config.model.outputs,
      targets: config.outputs.map(({ port, loss }) => ({ port, targets: loss.targets })),
    },
    staging: createStaging(engine),
    resident: new Set(),
    handedIn: new Set(),
    prepared: undefined,
    running: undefined,
  };
}

/** Gives all memory back: at once, or when the call that runs in the background has come to its end. */
export async function closeSession(session: Session): Promise<void> {
  session.state.closed = true;
  if (session.engine.busy) (await session.engine.acquire())();
  session.cache.clear();
  for (const data of [...session.resident]) data.dispose();
  session.staging.dispose();
  releaseState(session.state);
}

/** Refuses `what` while something goes through data. */
export function checkIdle({ running }: Session, what: string): void {
  if (running === undefined) return;
  throw new SteepestError(
    `${what}: ${running.what} is still running: await it, or leave its loop, first (scores after each epoch: fit's option validation)`,
  );
}

/** How samples look whose inputs have these shapes; `undefined`: the model's. */
export function formatFor({ state, format, formats }: Session, inputShape: Ports | undefined): SampleFormat {
  if (inputShape === undefined) return format;
  const { model } = state.config;
  const shapes = shapesFor("inputShape", inputShape, model.inputs);
  if (shapes.every((shape, index) => sameShape(shape, format.inputs[index].shape))) return format;
  const key = JSON.stringify(shapes);
  const known = formats.get(key);
  if (known !== undefined) return known;
  const { inputs, outputs } = model.portsFor(inputShape);
  const made: SampleFormat = {
    inputs,
    outputs,
    targets: format.targets.map(({ targets }, index) => ({ port: outputs[index], targets })),
  };
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
export function readSamples(session: Session, given: unknown, later?: "batch" | "data", name?: string): GivenSamples {
  checkOpen(session.state);
  const samples = checkSamples(given, name);
  const format = formatFor(session, inputShapeOf(samples));
  const flat = flattenSamples(samples, format);
  return { flat: later === undefined ? flat : copySamples(flat, later === "batch"), format };
}

/** Lays samples into memory at once, to stay until they are disposed of. */
export function load(session: Session, samples: AnySamples): ResidentData {
  assertIdle(session.engine, "load");
  const job = loading(session, readSamples(session, samples));
  for (;;) {
    const { done, value } = job.next(0);
    if (done) return value;
  }
}

/** The same, pausing now and then. */
function* loading(session: Session, { flat, format }: GivenSamples): Job<ResidentData> {
  const { engine, resident, handedIn, state } = session;
  const loaded = yield* loadSamples(engine, flat, format);
  const dispose = (): void => {
    if (!resident.has(data)) return;
    assertIdle(engine, "data");
    resident.delete(data);
    handedIn.delete(data);
    forgetData(state.cursor, data);
    loaded.dispose();
  };
  const data: ResidentData = { ...loaded, dispose, [Symbol.dispose]: dispose };
  resident.add(data);
  return data;
}

/** A job that goes through data. */
export interface Run<R, Y> {
  /** Begins errors: "fit". */
  readonly what: string;
  /** It changes nothing and is done before anybody else gets a turn, so it may come in the midst of a training. */
  readonly between?: boolean;
  readonly given: readonly (GivenSamples | ResidentData | undefined)[];
  work(...resident: (ResidentData | undefined)[]): Job<R, Y>;
}

/** Runs a job as the only one that goes through data; what was laid into memory for it is freed afterwards. */
export function* exclusively<R, Y = never>(session: Session, run: Run<R, Y>): Job<R, Y> {
  const { what, between = false, given, work } = run;
  checkOpen(session.state);
  const before = session.running;
  if (!between || before?.what === what) checkIdle(session, what);
  session.running = run;
  const owned: ResidentData[] = [];
  try {
    const resident: (ResidentData | undefined)[] = [];
    for (const samples of given) {
      if (samples === undefined || !("flat" in samples)) {
        resident.push(samples && checkResident(session, samples));
        continue;
      }
      const loaded = yield* loading(session, samples);
      session.handedIn.add(loaded);
      owned.push(loaded);
      resident.push(loaded);
    }
    // What comes next is planning and recording, some milliseconds the first time.
    if (owned.length > 0 && session.engine.background) yield PAUSE;
    return yield* work(...resident);
  } finally {
    if (session.running === run) session.running = before;
    for (const loaded of owned) loaded.dispose();
  }
}

/** Yields a result to the user, who may train, score or restore before the work goes on. */
export function* handOver<Y>(session: Session, result: Y): Job<void, Y> {
  const { running } = session;
  session.running = undefined;
  yield result;
  // What the user began and did not await comes first.
  while (session.running !== undefined) yield PAUSE;
  checkOpen(session.state);
  session.running = running;
}

export function checkResident({ resident, state }: Session, data: unknown): ResidentData {
  checkOpen(state);
  if (!isResident(data)) {
    throw new DataError(`data: must be what load() gave, got ${showValue(data)}: load({ x, y }) once, before the loop`);
  }
  if (resident.has(data)) return data;
  throw new DataError("data: these were loaded by another trainer, or disposed of: load them into this one");
}

/** Copies a batch into the staging regions; returns where they are and how many. */
export function stage(
  { state, engine, staging }: Session,
  { flat, format }: GivenSamples,
): { feed: StagedFeed; count: number } {
  checkOpen(state);
  const x = placesFor(flat.x, staging.x);
  const y = placesFor(flat.y, staging.y);
  writeSamples(engine, flat, format, { x, y });
  return { feed: { kind: "staged", x, y, format }, count: flat.count };
}

/** Regions that single batches are copied into before a program reads them, one for each input and target; they grow as needed. */
export interface Staging {
  x(index: number, bytes: number): Pointer;
  y(index: number, bytes: number): Pointer;
  dispose(): void;
}

interface Place {
  readonly address: Pointer;
  readonly bytes: number;
}

function createStaging({ allocator }: Engine): Staging {
  const places: Place[][] = [[], []];
  const takerOf =
    (of: Place[]) =>
    (index: number, bytes: number): Pointer => {
      const place = of[index] ?? { address: 0, bytes: 0 };
      if (place.bytes >= bytes) return place.address;
      if (place.address !== 0) allocator.free(place.address);
      of[index] = { address: 0, bytes: 0 };
      of[index] = { address: allocator.allocate(bytes), bytes };
      return of[index].address;
    };
  return {
    x: takerOf(places[0]),
    y: takerOf(places[1]),
    dispose() {
      for (const { address } of places.flat()) if (address !== 0) allocator.free(address);
    },
  };
}
