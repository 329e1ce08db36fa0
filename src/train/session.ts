// A trainer from the inside: its state and programs, the data that lie in its memory, and what keeps runs apart.
import type { Engine } from "../engine/engine.js";
import { DataError, SteepestError, showValue } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import { type Shape, sameShape } from "../graph/tensor.js";
import { type Port, type Ports, pick } from "../nn/ports.js";
import { createProgramCache, type ProgramCache } from "./cache.js";
import {
  type AnySamples,
  checkData,
  checkSamples,
  flattenSamples,
  inputShapeOf,
  isResident,
  loadSamples,
  placesFor,
  type Resident,
  type ResidentData,
  type SampleFormat,
  writeSamples,
} from "./data.js";
import type { SlicePlan } from "./options.js";
import type { Feed } from "./programs.js";
import { checkOpen, createState, type Recipe, releaseState, type State } from "./state.js";
import type { Walk } from "./steps.js";
import { checkQuiet, type Work } from "./work.js";

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
  /** A fit or an evaluation is under way. */
  busy: boolean;
  /** Where `trainFor` stands, until something else goes through the data. */
  walk: Walk | undefined;
}

export function openSession(recipe: Recipe, engine: Engine): Session {
  const state = createState(engine, recipe);
  return {
    engine,
    state,
    cache: createProgramCache(state),
    formats: new Map(),
    format: {
      inputs: recipe.model.inputs,
      outputs: recipe.model.outputs,
      targets: recipe.outputs.map(({ port, loss }) => ({ port, targets: loss.targets })),
    },
    staging: createStaging(engine),
    resident: new Set(),
    busy: false,
    walk: undefined,
  };
}

/** Gives all memory back: at once, or when the call that runs in the background has come to its end. */
export async function closeSession(session: Session): Promise<void> {
  session.state.closed = true;
  if (session.engine.inFlight) (await session.engine.turn())();
  session.cache.clear();
  for (const data of [...session.resident]) data.dispose();
  session.staging.dispose();
  releaseState(session.state);
}

export function checkIdle({ state, busy }: Session): void {
  checkOpen(state);
  if (!busy) return;
  throw new SteepestError(
    "trainer: another fit or evaluation is still running: await it, or leave its loop, first (scores after each epoch: fit's option validation)",
  );
}

/** How samples look whose inputs have these shapes; `undefined`: the model's. */
export function formatFor({ state, format, formats }: Session, inputShape: Ports | undefined): SampleFormat {
  if (inputShape === undefined) return format;
  const { model } = state.recipe;
  const shapes = pick<Shape>("inputShape", inputShape as Shape, model.inputs);
  if (shapes.every((shape, index) => sameShape(shape, format.inputs[index].shape))) return format;
  const key = JSON.stringify(shapes);
  const known = formats.get(key);
  if (known !== undefined) return known;
  const outputs = pick<Shape>("outputShape", model.outputShapeFor(inputShape) as Shape, model.outputs);
  const resized = (ports: readonly Port[], to: readonly Shape[]) =>
    ports.map((port, index) => ({ ...port, shape: to[index] }));
  const ports = resized(format.outputs, outputs);
  const made: SampleFormat = {
    inputs: resized(format.inputs, shapes),
    outputs: ports,
    targets: format.targets.map(({ targets }, index) => ({ port: ports[index], targets })),
  };
  formats.set(key, made);
  return made;
}

/** Lays samples into memory at once, to stay until they are disposed of. */
export function load(session: Session, samples: AnySamples): ResidentData {
  const work = loading(session, checkSamples(samples));
  for (;;) {
    const { done, value } = work.next(0);
    if (done) return value;
  }
}

/** The same with breaths. */
function* loading(session: Session, samples: AnySamples): Work<ResidentData> {
  checkOpen(session.state);
  const { engine, resident, cache } = session;
  const loaded = yield* loadSamples(engine, samples, formatFor(session, inputShapeOf(samples)));
  const dispose = (): void => {
    if (!resident.has(data)) return;
    checkQuiet(engine, "data");
    resident.delete(data);
    // Programs that read the data go with them.
    cache.clear();
    loaded.dispose();
  };
  const data: ResidentData = { ...loaded, dispose, [Symbol.dispose]: dispose };
  resident.add(data);
  return data;
}

/** Runs `work` as the only one; data that were laid into memory for it are freed afterwards. */
export function* exclusively<R, Y = never>(
  session: Session,
  data: readonly (AnySamples | Resident | undefined)[],
  work: (...resident: (ResidentData | undefined)[]) => Work<R, Y>,
): Work<R, Y> {
  checkIdle(session);
  session.busy = true;
  session.walk = undefined;
  const owned: ResidentData[] = [];
  try {
    const resident: (ResidentData | undefined)[] = [];
    for (const [index, given] of data.entries()) {
      // All but the first may be left out.
      const samples =
        given === undefined && index > 0 ? undefined : checkData(given, index > 0 ? "validation" : "data");
      if (samples === undefined || isResident(samples)) {
        resident.push(samples && checkResident(session, samples));
        continue;
      }
      const loaded = yield* loading(session, samples);
      owned.push(loaded);
      resident.push(loaded);
    }
    // What comes next is planning and recording, some milliseconds the first time.
    if (owned.length > 0 && session.engine.background) yield undefined;
    return yield* work(...resident);
  } finally {
    session.busy = false;
    for (const loaded of owned) loaded.dispose();
  }
}

/** Goes on with the walk through these data, or begins one. */
export function walkOn(session: Session, given: Resident, { batchSize, shuffle }: SlicePlan): Walk {
  checkIdle(session);
  checkQuiet(session.engine, "trainFor");
  const data = checkResident(session, given);
  const { walk } = session;
  const same = walk?.data === data && walk.batchSize === batchSize && walk.shuffle === shuffle;
  session.walk = same ? walk : { data, batchSize, shuffle, left: 0 };
  return session.walk;
}

function checkResident({ resident }: Session, data: Resident): ResidentData {
  if (isResident(data) && resident.has(data)) return data;
  if (!isResident(data)) {
    throw new DataError(`data: must be what load() gave, got ${showValue(data)}: load({ x, y }) once, before the loop`);
  }
  throw new DataError("data: these were loaded by another trainer, or disposed of: load them into this one");
}

/** Copies samples into the staging regions; returns where they are and how many. */
export function stage(session: Session, given: AnySamples): { feed: Feed; count: number } {
  const { state, engine, staging } = session;
  checkOpen(state);
  checkQuiet(engine, "trainer");
  const batch = checkSamples(given);
  const format = formatFor(session, inputShapeOf(batch));
  const flat = flattenSamples(batch, format);
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
