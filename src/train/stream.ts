// A pass over a source: its batches are written to a ring of rows in memory, ahead of the steps that read them.
//
//           row of the next step          where the next rows are written
//                    ▼                             ▼
//   ┌──────┬──────┬──────┬──────┬──────┬──────┬────┬─┬──────┬──────┐
//   │ free │ free │ step │ step │ step │ step │ ra │  free  │ free │   rows of each input and target, whole steps of them
//   └──────┴──────┴──────┴──────┴──────┴──────┴────┴─┴──────┴──────┘
//
// A step never runs over the end. The ring is resident data to the programs: its addresses are in the feed, the row is in the clock.
import { DataError, SteepestError } from "../engine/errors.js";
import { breathe, performance } from "../engine/host.js";
import { leasing } from "../engine/lease.js";
import { showShape, sizeOf } from "../graph/tensor.js";
import { checkPresent, sliceOf } from "../graph/values.js";
import { bytesOf, columnsOf, type ResidentData, type SampleFormat, targetShape } from "./data.js";
import { type Job, waitFor } from "./job.js";
import { type GivenSamples, readSamples, storedFormat } from "./samples.js";
import { type GivenSource, isPromise, iteratorOf, type PassIterator, skippedBy } from "./source.js";
import { guard, type State } from "./state.js";

/** The rows of the next steps. */
export interface Rows {
  readonly data: ResidentData;
  readonly row: number;
  /** At least a step, or all that are left of the pass. */
  readonly count: number;
  /** Rows until the end of the pass, if all of them are there. */
  readonly left: number | undefined;
}

/** A pass that is open. */
export interface Stream {
  /** Whether it has not been closed. */
  readonly isOpen: boolean;
  /** Whether it waits for its turn, while others are trained on. */
  readonly reserved: boolean;
  /** Waits for the first batch, which is checked and kept until rows are asked for. If it throws, the stream is closed. */
  begin(wanted: Pick<Wanted, "later" | "check">): Job<void>;
  /** Waits for the rows of the next step; `undefined` at the end of the pass. If it throws, the stream is closed. */
  rows(wanted: Wanted): Job<Rows | undefined>;
  /** Gives rows free, of steps that are done. */
  advance(rows: number): void;
  /** Lets whoever waits for rows call their `check`. */
  wake(): void;
  /** Ends the pass: its iterator is closed, its memory freed. */
  close(): void;
}

export interface Wanted {
  /** Rows of a step. */
  readonly unit: number;
  /** Whether there is time to wait for batches. */
  readonly later: boolean;
  /** It is called before each wait and after it, and may throw. */
  readonly check?: (() => void) | undefined;
}

/** What is opened, and for whom. */
export interface StreamOf {
  /** How errors begin: "fit". */
  readonly what: string;
  readonly source: GivenSource;
  readonly pass: number;
  readonly skip: number;
  readonly reserved?: boolean;
}

// How much is read ahead: about so many bytes, at least two steps, at most so many.
const RING_BYTES = 1 << 24;
const MAX_STEPS = 1024;
// How many values are copied at a time, and the time between pauses.
const PART = 1 << 16;
const PART_MS = 2;

/** What reading waits for: room in the ring, other work of the host, a promise. */
type Request = "room" | "breath" | PromiseLike<unknown>;

/** Rows in memory. */
interface Ring {
  readonly data: ResidentData;
  /** Bytes of a row of each input and target, and where their rows are. */
  readonly widths: readonly number[];
  readonly places: readonly number[];
}

/** The inside of a stream. */
interface Reading extends StreamOf {
  readonly state: State;
  /** Number of the batch that was read last. */
  batch: number;
  /** Format of the first batch: the others must have it. */
  format: SampleFormat | undefined;
  ring: Ring | undefined;
  /** Rows written to the ring and read from it. */
  written: number;
  read: number;
  ended: boolean;
  closed: boolean;
  failure: { readonly error: unknown } | undefined;
  pausedAt: number;
  /** Resolves `changed`, which whoever waits for rows waits for. */
  tell: () => void;
  changed: Promise<void> | undefined;
}

/** Opens a pass. Nothing is read before rows are asked for. */
export function openStream(state: State, of: StreamOf): Stream {
  const reading: Reading = {
    ...of,
    state,
    batch: 0,
    format: undefined,
    ring: undefined,
    written: 0,
    read: 0,
    ended: false,
    closed: false,
    failure: undefined,
    pausedAt: 0,
    tell: () => {},
    changed: undefined,
  };
  const reader = createReader(reading);
  const stream: Stream = {
    get isOpen() {
      return !reading.closed;
    },
    reserved: of.reserved === true,
    begin: (wanted) => orClosed(stream, firstBatch(reading, reader, wanted)),
    rows: (wanted) => orClosed(stream, nextRows(reading, reader, wanted)),
    advance(rows) {
      reading.read += rows;
    },
    wake: () => reading.tell(),
    close() {
      if (reading.closed) return;
      reading.closed = true;
      state.streams.delete(stream);
      reader.stop();
      freeRing(reading);
      reading.tell();
    },
  };
  state.streams.add(stream);
  return stream;
}

/** If it throws, the stream is closed. */
function* orClosed<T>(stream: Stream, job: Job<T>): Job<T> {
  let came = false;
  try {
    const value = yield* job;
    came = true;
    return value;
  } finally {
    if (!came) stream.close();
  }
}

function checkReading({ state, what, failure, closed }: Reading, check: Wanted["check"]): void {
  check?.();
  guard(state, what);
  if (failure !== undefined) throw failure.error;
  if (closed) throw new SteepestError(`${what}: its source was closed meanwhile: call it again`);
}

function* firstBatch(reading: Reading, reader: Reader, { later, check }: Pick<Wanted, "later" | "check">): Job<void> {
  for (;;) {
    checkReading(reading, check);
    if (reading.format !== undefined || reading.ended) return;
    yield* readOn(reading, reader, later);
  }
}

/** Reads on, and waits for a change. */
function* readOn(reading: Reading, reader: Reader, later: boolean): Job<void> {
  if (!later) return reader.run();
  const changed = changeOf(reading);
  reader.start();
  yield* waitFor(sourceOf(reading), changed);
}

function* nextRows(reading: Reading, reader: Reader, { unit, later, check }: Wanted): Job<Rows | undefined> {
  for (;;) {
    checkReading(reading, check);
    if (reading.format !== undefined) makeRing(reading, reading.format, unit);
    const { written, read, ended, ring } = reading;
    const there = written - read;
    if (ring !== undefined && (there >= unit || (ended && there > 0))) {
      // While the background trains on these, the next are read.
      if (later) reader.start();
      const row = read % ring.data.count;
      // A half of the ring stays free for them.
      const most = Math.max(unit, Math.floor(ring.data.count / unit / 2) * unit);
      const count = Math.min(there, ring.data.count - row, most);
      return { data: ring.data, row, count, left: ended ? there : undefined };
    }
    if (ended) return undefined;
    yield* readOn(reading, reader, later);
  }
}

/** Resolves when rows were written, or reading has come to an end. */
function changeOf(reading: Reading): Promise<void> {
  reading.changed ??= new Promise((resolve) => {
    reading.tell = () => {
      reading.tell = () => {};
      reading.changed = undefined;
      resolve();
    };
  });
  return reading.changed;
}

/** Makes the ring, of whole steps of `unit` rows. If there is one of other steps, its rows move to the new one. */
function makeRing(reading: Reading, format: SampleFormat, unit: number): void {
  const { state, ring: old, written, read } = reading;
  if (old !== undefined && old.data.count % unit === 0 && read % unit === 0) return;
  const { engine } = state;
  const there = written - read;
  const ring = allocateRing(state, format, unit, there);
  if (old !== undefined) {
    ring.widths.forEach((width, index) => {
      for (let row = 0; row < there; row++) {
        const from = old.places[index] + ((read + row) % old.data.count) * width;
        engine.write(ring.places[index] + row * width, engine.bytes(from, width).slice(), "uint8");
      }
    });
    freeRing(reading);
  }
  Object.assign(reading, { ring, written: there, read: 0 });
  state.samples.resident.add(ring.data);
}

/** `atLeast`: rows that it must have room for. */
function allocateRing(state: State, format: SampleFormat, unit: number, atLeast: number): Ring {
  const { inputs, targets, bytes: stored } = format;
  const widths = [
    ...inputs.map(({ shape }, index) => sizeOf(shape) * (stored?.[index] === undefined ? 4 : 1)),
    ...targets.map((target) => sizeOf(targetShape(target)) * 4),
  ];
  const rowBytes = widths.reduce((sum, width) => sum + width, 0);
  const steps = Math.min(MAX_STEPS, Math.floor(RING_BYTES / Math.max(1, unit * rowBytes)));
  const count = unit * Math.max(2, steps, Math.ceil(atLeast / unit));
  return leasing(state.engine, ({ take, release }) => {
    const places = widths.map((width) => take(count * width));
    const [x, y] = [places.slice(0, inputs.length), places.slice(inputs.length)];
    const dispose = (): void => {
      if (state.samples.resident.delete(data)) release();
    };
    const bytes = count * rowBytes;
    // The rows are taken in the order in which they are stored.
    const data: ResidentData = { count, x, y, order: 0, format, bytes, dispose, [Symbol.dispose]: dispose };
    return { data, widths, places };
  });
}

function freeRing(reading: Reading): void {
  reading.ring?.data.dispose();
  reading.ring = undefined;
}

/** Drives what reads the batches. */
interface Reader {
  /** Until the ring is full or the pass has ended. Throws SteepestError if a batch takes time. */
  run(): void;
  /** The same, next to everything else. */
  start(): void;
  stop(): void;
}

function createReader(reading: Reading): Reader {
  const flow = readBatches(reading);
  let request: Request = "room";
  let isRunning = false;
  let isStarted = false;
  const goesOn = (): boolean =>
    !reading.closed && !reading.ended && reading.failure === undefined && !(request === "room" && isFull(reading));
  const resume = (go: () => IteratorResult<Request, void>): void => {
    isRunning = true;
    try {
      const { done, value } = go();
      if (!done) request = value as Request;
    } catch (error) {
      reading.failure = { error };
    } finally {
      isRunning = false;
      // The source itself closed it: by disposing of the trainer.
      if (reading.closed) flow.return();
      reading.tell();
    }
  };
  const answer = async (promise: PromiseLike<unknown>): Promise<void> => {
    let go: () => IteratorResult<Request, void>;
    try {
      const value = await promise;
      go = () => flow.next(value);
    } catch (error) {
      go = () => flow.throw(error);
    }
    if (!reading.closed) resume(go);
  };
  const pump = async (): Promise<void> => {
    isStarted = true;
    while (goesOn()) {
      const asked = request;
      if (isPromise(asked)) {
        await answer(asked);
        continue;
      }
      if (asked === "breath") await breathe();
      // Meanwhile a synchronous call may have gone on.
      if (request === asked && goesOn()) resume(() => flow.next());
    }
    isStarted = false;
  };
  return {
    run() {
      while (goesOn()) {
        if (isPromise(request)) {
          throw new SteepestError(
            `${sourceOf(reading)} takes time, which a synchronous method cannot wait for: call the method without Sync, and await it`,
          );
        }
        resume(() => flow.next());
      }
    },
    start() {
      if (!isStarted) void pump();
    },
    stop() {
      if (isRunning) return;
      // Nobody waits for it any more, so nobody else hears of its failure.
      if (isPromise(request)) request.then(undefined, () => {});
      flow.return();
    },
  };
}

/** Whether there is no room for rows. Before the first batch nothing is known of them. */
function isFull({ format, ring, written, read }: Reading): boolean {
  return format !== undefined && (ring === undefined || written - read >= ring.data.count);
}

function sourceOf({ what, pass }: Pick<Reading, "what" | "pass">): string {
  return `${what}: pass ${pass} of its source`;
}

/** Reads the batches of a pass and writes them to the ring. */
function* readBatches(reading: Reading): Generator<Request, void, unknown> {
  const { source, pass, skip } = reading;
  const where = sourceOf(reading);
  let opened = source.open({ pass, skip });
  if (isPromise(opened)) opened = yield opened;
  const iterator = iteratorOf(where, opened);
  try {
    let samples = skippedBy(where, opened, skip);
    for (;;) {
      let next = iterator.next();
      if (isPromise(next)) next = yield next;
      const { done, value } = (next ?? {}) as { done?: boolean; value?: unknown };
      if (done) break;
      reading.batch += 1;
      const given = readBatch(reading, value);
      // Until it is written, others may fill the same arrays.
      const batch = reading.reserved && reading.batch === 1 ? located(reading, () => checkedCopy(given)) : given;
      yield* writeBatch(reading, batch, Math.min(batch.flat.count, Math.max(0, skip - samples)));
      samples += batch.flat.count;
    }
    checkEnd(where, reading, samples);
    reading.ended = true;
  } finally {
    if (!reading.ended) closeIterator(iterator);
  }
}

/** Throws DataError if a pass ends that has no samples, or fewer or more than it must have. */
function checkEnd(where: string, { skip, source: { count } }: Reading, samples: number): void {
  if (samples === 0) {
    throw new DataError(`${where}: must give samples, got none: an empty data set cannot be used`);
  }
  if (count !== undefined && samples !== count) {
    throw new DataError(`${where}: must give ${count} samples, as its count says, got ${samples}: correct the count`);
  }
  if (samples < skip) {
    throw new DataError(
      `${where}: must give the ${skip} samples again that were trained on before, got ${samples}: a pass that is opened again must give the same`,
    );
  }
}

/** Nobody waits for a source that has failed, or hangs, to close itself. */
function closeIterator(iterator: PassIterator): void {
  try {
    const closed = iterator.return?.();
    if (isPromise(closed)) closed.then(undefined, () => {});
  } catch {
    // There is an error already, or nobody who would read on.
  }
}

/** Throws DataError that says which batch it is about. */
function located<T>(reading: Reading, use: () => T): T {
  try {
    return use();
  } catch (error) {
    if (!(error instanceof SteepestError)) throw error;
    throw new DataError(`${sourceOf(reading)}, batch ${reading.batch}: ${error.message}`, { cause: error });
  }
}

function readBatch(reading: Reading, value: unknown): GivenSamples {
  guard(reading.state, reading.what);
  return located(reading, () => {
    const batch = readSamples(reading.state, value, undefined, "the batch");
    const stored = storedFormat(reading.state, batch.format, batch.flat.x);
    reading.format ??= stored;
    const { format } = reading;
    // Bytes among numbers become numbers as well.
    if (stored === format || batch.format === format) return { flat: batch.flat, format };
    throw new DataError(
      `the samples must be like those of the first batch, ${showFormat(format)}, got ${showFormat(stored)}`,
    );
  });
}

const ARRAYS = { float32: Float32Array, uint32: Uint32Array, uint8: Uint8Array };

/** What is wrong with a value is found when it is written. */
function checkedCopy({ flat, format }: GivenSamples): GivenSamples {
  for (const { name, dtype, data, size, fill } of columnsOf(flat, format)) {
    const count = flat.count * size;
    checkPresent(name, data, count);
    fill(new ARRAYS[dtype](count), data, 0);
  }
  const copies = (all: GivenSamples["flat"]["x"]) => all.map((one) => ({ ...one, data: one.data.slice() }));
  return { flat: { ...flat, x: copies(flat.x), y: copies(flat.y) }, format };
}

function showFormat({ inputs, targets, bytes }: SampleFormat): string {
  const kind = (index: number): string => {
    const scaled = bytes?.[index];
    return scaled === undefined ? "" : ` of bytes · ${scaled.scale} + ${scaled.offset}`;
  };
  const x = inputs.map(({ shape }, index) => `${showShape(shape)}${kind(index)}`);
  return `${x.join(", ")} with targets ${targets.map((target) => showShape(targetShape(target))).join(", ")}`;
}

/** Writes the rows of a batch from `first` on. */
function* writeBatch(
  reading: Reading,
  { flat, format }: GivenSamples,
  first: number,
): Generator<Request, void, unknown> {
  const { engine } = reading.state;
  const columns = columnsOf(flat, format);
  const widest = columns.reduce((most, { size }) => Math.max(most, size), 1);
  for (let from = first; from < flat.count; ) {
    if (isFull(reading)) {
      yield "room";
      continue;
    }
    const { data, places } = reading.ring as Ring;
    const row = reading.written % data.count;
    const room = data.count - (reading.written - reading.read);
    const rows = Math.min(room, data.count - row, flat.count - from, Math.max(1, Math.floor(PART / widest)));
    located(reading, () => {
      for (const [index, { name, dtype, data: values, size, fill }] of columns.entries()) {
        const part = sliceOf(values, from * size, rows * size);
        checkPresent(name, part, rows * size);
        fill(engine.writable(places[index] + row * size * bytesOf(dtype), rows * size, dtype), part, from * size);
      }
    });
    reading.written += rows;
    from += rows;
    reading.tell();
    yield* breathing(reading);
  }
  yield* breathing(reading);
}

function* breathing(reading: Reading): Generator<Request, void, unknown> {
  if (performance.now() - reading.pausedAt <= PART_MS) return;
  yield "breath";
  reading.pausedAt = performance.now();
}
