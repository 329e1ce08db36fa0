// A trainer from the inside: its state and programs, the data that lie in its memory, and what keeps runs apart.
import type { Engine } from "../engine/engine.js";
import { DataError, SteepestError } from "../engine/errors.js";
import { flattenValues, writeFloats } from "../graph/values.js";
import { createProgramCache, type ProgramCache } from "./cache.js";
import {
  checkTargetCount,
  countSamples,
  loadSamples,
  type ResidentData,
  type SampleFormat,
  type Samples,
  writeTargets,
} from "./data.js";
import type { Feed } from "./programs.js";
import { checkOpen, createState, type Recipe, releaseState, type State } from "./state.js";
import type { SliceOptions, Walk } from "./steps.js";
import { checkQuiet, type Work } from "./work.js";

export interface Session {
  readonly engine: Engine;
  readonly state: State;
  readonly cache: ProgramCache;
  readonly format: SampleFormat;
  readonly staging: Staging;
  /** Data that were laid into memory by this session and not yet disposed of. */
  readonly resident: Set<ResidentData>;
  /** A fit or an evaluation is under way. */
  busy: boolean;
  /** Where `trainFor` stands, until something else goes through the data. */
  walk: Walk | undefined;
}

export function openSession(recipe: Recipe, engine: Engine): Session {
  const { model, loss } = recipe;
  const state = createState(engine, recipe);
  return {
    engine,
    state,
    cache: createProgramCache(state),
    format: { inputShape: model.inputShape, outputShape: model.outputShape, targets: loss.targets },
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
  throw new SteepestError("trainer: another fit or evaluation is still running: await it, or leave its loop, first");
}

/** Lays samples into memory at once, to stay until they are disposed of. */
export function load(session: Session, samples: Samples): ResidentData {
  const work = loading(session, samples);
  for (;;) {
    const { done, value } = work.next(0);
    if (done) return value;
  }
}

/** The same with breaths. */
function* loading(session: Session, samples: Samples): Work<ResidentData> {
  checkOpen(session.state);
  const { engine, format, resident, cache } = session;
  const loaded = yield* loadSamples(engine, samples, format);
  const data: ResidentData = {
    ...loaded,
    dispose() {
      if (!resident.has(data)) return;
      checkQuiet(engine, "data");
      resident.delete(data);
      // Programs that read the data go with them.
      cache.clear();
      loaded.dispose();
    },
  };
  resident.add(data);
  return data;
}

/** Runs `work` as the only one; data that were laid into memory for it are freed afterwards. */
export function* exclusively<R, Y = never>(
  session: Session,
  data: readonly (Samples | ResidentData | undefined)[],
  work: (...resident: (ResidentData | undefined)[]) => Work<R, Y>,
): Work<R, Y> {
  checkIdle(session);
  session.busy = true;
  session.walk = undefined;
  const owned: ResidentData[] = [];
  try {
    const resident: (ResidentData | undefined)[] = [];
    for (const samples of data) {
      if (samples === undefined || "order" in samples) {
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
export function walkOn(session: Session, data: ResidentData, { batchSize = 32, shuffle = true }: SliceOptions): Walk {
  checkIdle(session);
  checkQuiet(session.engine, "trainFor");
  checkResident(session, data);
  const { walk } = session;
  const same = walk?.data === data && walk.batchSize === batchSize && walk.shuffle === shuffle;
  session.walk = same ? walk : { data, batchSize, shuffle, left: 0 };
  return session.walk;
}

function checkResident({ resident }: Session, data: ResidentData): ResidentData {
  if (resident.has(data)) return data;
  throw new DataError("data: these were loaded by another trainer, or disposed of: load them into this one");
}

/** Copies samples into the staging regions; returns where they are and how many. */
export function stage({ state, engine, format, staging }: Session, batch: Samples): { feed: Feed; count: number } {
  checkOpen(state);
  checkQuiet(engine, "trainer");
  const x = flattenValues("x", batch.x);
  const y = flattenValues("y", batch.y);
  const count = countSamples("x", x, format.inputShape);
  checkTargetCount(y, count, format);
  const xAt = staging.x(x.data.length * 4);
  const yAt = staging.y(y.data.length * 4);
  writeFloats("x", engine.floats(xAt, x.data.length), x.data);
  writeTargets(engine, yAt, y, format);
  engine.changed(xAt, x.data.length * 4);
  engine.changed(yAt, y.data.length * 4);
  return { feed: { kind: "staged", x: xAt, y: yAt }, count };
}

/** Two regions that single batches are copied into before a program reads them; they grow as needed. */
export interface Staging {
  x(bytes: number): number;
  y(bytes: number): number;
  dispose(): void;
}

function createStaging(engine: Engine): Staging {
  const regions = { x: { address: 0, bytes: 0 }, y: { address: 0, bytes: 0 } };
  const take = (name: "x" | "y", bytes: number): number => {
    const region = regions[name];
    if (region.bytes >= bytes) return region.address;
    if (region.address !== 0) engine.allocator.free(region.address);
    region.bytes = 0;
    region.address = 0;
    region.address = engine.allocator.allocate(bytes);
    region.bytes = bytes;
    return region.address;
  };
  return {
    x: (bytes) => take("x", bytes),
    y: (bytes) => take("y", bytes),
    dispose() {
      for (const { address } of Object.values(regions)) if (address !== 0) engine.allocator.free(address);
    },
  };
}
