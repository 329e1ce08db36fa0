// What sources are put together from: the same elements from sources that give at once and over time; everything that is read
// from is closed, whatever happens; and a trainer takes the result.
import {
  adam,
  compileSync,
  createEngineSync,
  DataError,
  dense,
  meanSquaredError,
  SteepestError,
  sequential,
} from "steepest";
import { type DataSource, source } from "steepest/data";
import { afterAll, describe, expect, test } from "vitest";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Numbers, at once and over time, and how many of their passes are open. */
function numbers(count: number) {
  const log = { open: 0, opened: 0 };
  const now = source(function* () {
    log.open += 1;
    log.opened += 1;
    try {
      yield* upTo(count);
    } finally {
      log.open -= 1;
    }
  });
  const later = source(async function* () {
    log.open += 1;
    log.opened += 1;
    try {
      for (let i = 0; i < count; i++) {
        if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
        yield i;
      }
    } finally {
      log.open -= 1;
    }
  });
  return { log, both: [now, later] };
}

/** Nobody waits for what is closed while it waits itself. */
async function allClosed(log: { readonly open: number }): Promise<void> {
  for (let turn = 0; log.open > 0 && turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(log.open).toBe(0);
}

/** All elements of a pass; at once if they come so. */
async function elements<T>(from: DataSource<T>, pass = 1): Promise<T[]> {
  const all: T[] = [];
  const opened = from.open({ pass, skip: 0 });
  for (let next = await opened.next(); !next.done; next = await opened.next()) all.push(next.value);
  return all;
}

const CHAINS: Record<string, [(from: DataSource<number>) => DataSource<unknown>, unknown[]]> = {
  map: [(from) => from.map((x) => 2 * x), upTo(10).map((x) => 2 * x)],
  "map over time": [(from) => from.map(async (x) => 2 * x), upTo(10).map((x) => 2 * x)],
  filter: [(from) => from.filter((x) => x % 2 === 0), [0, 2, 4, 6, 8]],
  "filter over time": [(from) => from.filter(async (x) => x % 2 === 0), [0, 2, 4, 6, 8]],
  batch: [
    (from) => from.batch(4),
    [
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ],
  ],
  unbatch: [(from) => from.batch(4).unbatch(), upTo(10)],
  take: [(from) => from.take(3), [0, 1, 2]],
  "take more than there are": [(from) => from.take(30), upTo(10)],
  skip: [(from) => from.skip(7), [7, 8, 9]],
  repeat: [(from) => from.take(2).repeat(3), [0, 1, 0, 1, 0, 1]],
  "repeat without an end": [(from) => from.take(2).repeat().take(5), [0, 1, 0, 1, 0]],
  zip: [
    (from) => from.zip(from.skip(8)),
    [
      [0, 8],
      [1, 9],
    ],
  ],
  "zip with an array": [
    (from) => from.skip(8).zip(["a", "b", "c"]),
    [
      [8, "a"],
      [9, "b"],
    ],
  ],
  prefetch: [(from) => from.prefetch(3), upTo(10)],
  "all of it": [
    (from) =>
      from
        .map((x) => x + 1)
        .filter((x) => x % 3 > 0)
        .zip(from)
        .batch(2)
        .prefetch()
        .unbatch()
        .take(3),
    [
      [1, 0],
      [2, 1],
      [4, 2],
    ],
  ],
};

describe("elements", () => {
  test.each(Object.entries(CHAINS))("%s", async (_, [chain, expected]) => {
    const { both, log } = numbers(10);
    for (const from of both) {
      const made = chain(from);
      for (const pass of [1, 2]) expect(await elements(made, pass)).toEqual(expected);
      expect(await made.toArray()).toEqual(expected);
      await allClosed(log);
      // Left in the middle.
      for await (const _ of made) break;
      await allClosed(log);
    }
  });

  test("shuffle: another order in each pass, the same for the same seed, over the whole with a large buffer", async () => {
    for (const buffer of [1, 4, 1000, Infinity]) {
      const { both } = numbers(200);
      const [now, later] = both.map((from) => from.shuffle(buffer, { seed: 2 ** 40 + 3 }));
      const passes = [await elements(now, 1), await elements(now, 2), await elements(now, 1)];
      expect(await elements(later, 2)).toEqual(passes[1]);
      expect(passes[2]).toEqual(passes[0]);
      for (const pass of passes) expect([...pass].sort((a, b) => a - b)).toEqual(upTo(200));
      if (buffer === 1) expect(passes[0]).toEqual(upTo(200));
      else expect(passes[1]).not.toEqual(passes[0]);
      // An element waits for its turn, but none comes before it was read.
      passes[0].forEach((element, index) => expect(element).toBeLessThanOrEqual(index + buffer));
      // Those that go out while others come in are drawn too, not only the last ones.
      const early = passes[0].slice(0, 100);
      if (buffer > 1) expect(early).not.toEqual([...early].sort((a, b) => a - b));
      const others = await elements(both[0].shuffle(buffer, { seed: 4 }));
      if (buffer > 1) expect(others).not.toEqual(passes[0]);
    }
  });

  test("what is repeated is shuffled anew in each round", async () => {
    const { both } = numbers(20);
    const twice = both[0].shuffle(20).repeat(2);
    const [one, two] = [await elements(twice, 1), await elements(twice, 2)];
    const rounds = [one.slice(0, 20), one.slice(20), two.slice(0, 20), two.slice(20)];
    expect(new Set(rounds.map(String)).size).toBe(4);
    for (const round of rounds) expect([...round].sort((a, b) => a - b)).toEqual(upTo(20));
    const endless = await elements(both[1].shuffle(20).repeat().take(60));
    expect(new Set([0, 20, 40].map((from) => String(endless.slice(from, from + 20)))).size).toBe(3);
  });

  test("split: parts without a common element, the same in each pass, also of what is shuffled before", async () => {
    for (const from of numbers(1000).both) {
      const {
        training,
        validation,
        test: rest,
      } = from.shuffle(100).split({ parts: { training: 0.7, validation: 0.2, test: 0.1 }, seed: 5 });
      const parts = [await elements(training), await elements(validation, 7), await elements(rest, 3)];
      expect(await elements(training, 2)).toEqual(parts[0]);
      expect(parts.flat().sort((a, b) => a - b)).toEqual(upTo(1000));
      parts.forEach((part, i) => expect(Math.abs(part.length - [700, 200, 100][i])).toBeLessThan(50));
      const other = from.shuffle(100).split({ parts: { training: 0.7, test: 0.3 }, seed: 6 });
      const same = from.shuffle(100).split({ parts: { training: 0.7, test: 0.3 }, seed: 5 });
      expect(await elements(same.training)).toEqual(parts[0]);
      expect(await elements(other.training)).not.toEqual(parts[0]);
    }
  });

  test("prefetch: as many elements as are asked for are read before they are", async () => {
    let read = 0;
    const counted = source(function* () {
      for (; read < 10; read++) yield read;
    });
    const pass = counted.prefetch(3).open();
    expect(await pass.next()).toEqual({ done: false, value: 0 });
    await new Promise((resolve) => setImmediate(resolve));
    // The first one, which was taken, and the three behind it, at the last of which it waits.
    expect(read).toBe(3);
    pass.return();
  });

  test("cache: read once, and kept only when it is complete", async () => {
    for (const index of [0, 1]) {
      const { both, log } = numbers(10);
      const kept = both[index].cache();
      for await (const _ of kept) break;
      await new Promise((resolve) => setImmediate(resolve));
      expect(await elements(kept)).toEqual(upTo(10));
      expect(await elements(kept, 2)).toEqual(upTo(10));
      expect(log).toEqual({ opened: 2, open: 0 });
    }
  });

  test("samples in memory are elements one by one", async () => {
    const x = Float32Array.from([1, 2, 3, 4, 5, 6]);
    const y = Uint8Array.of(0, 1, 2);
    expect(await source({ x, y }).toArray()).toEqual([0, 1, 2].map((i) => ({ x: x.subarray(2 * i, 2 * i + 2), y: i })));
    expect(source({ x, y }).count).toBe(3);
    expect([source({ x, y }).repeat(2).count, source({ x, y }).repeat().count]).toEqual([6, undefined]);
    const named = { x: { a: [[1], [2]], b: Float32Array.of(3, 4) }, y: [[5], [6]], weights: [1, 2] };
    const rows = [
      { x: { a: [1], b: 3 }, y: [5], weights: 1 },
      { x: { a: [2], b: 4 }, y: [6], weights: 2 },
    ];
    expect(await source(named).toArray()).toEqual(rows);
    expect(
      await source([{ x: [[1], [2]], y: [[5], [6]] }])
        .unbatch()
        .toArray(),
    ).toEqual([
      { x: [1], y: [5] },
      { x: [2], y: [6] },
    ]);
    // Those that were trained on are left out at once.
    const opened = source({ x, y }).open({ pass: 1, skip: 2 });
    expect([opened.skipped, opened.next()]).toEqual([2, { done: false, value: { x: x.subarray(4), y: 2 } }]);
  });
});

describe("faults", () => {
  test("an error anywhere comes out, and everything is closed", async () => {
    const failure = new RangeError("gone");
    const fail = (x: number): number => {
      if (x === 5) throw failure;
      return x;
    };
    const chains: ((from: DataSource<number>) => DataSource<unknown>)[] = [
      (from) => from.map(fail),
      (from) => from.map(async (x) => fail(x)),
      (from) => from.filter((x) => fail(x) >= 0),
      (from) => from.map(fail).batch(3).prefetch().unbatch().shuffle(4),
      (from) => from.zip(from.map(fail)),
      (from) => from.map(fail).repeat(2),
      (from) => from.map(fail).cache(),
      (from) => from.map(fail).split({ parts: { all: 1 } }).all,
    ];
    for (const chain of chains) {
      const { both, log } = numbers(10);
      for (const from of both) {
        await expect(elements(chain(from))).rejects.toBe(failure);
        await allClosed(log);
      }
    }
  });

  test("what is no source, and wrong options", async () => {
    for (const given of [undefined, null, 3, "abc", {}]) expect(() => source(given as never)).toThrow(DataError);
    const { both } = numbers(3);
    const [from] = both;
    const wrong: [() => unknown, string][] = [
      [() => from.map(3 as never), "map: change must be a function, got 3"],
      [() => from.filter(undefined as never), "filter: test must be a function"],
      [() => from.batch(0), "batch: size must be a whole number of at least 1, got 0"],
      [() => from.shuffle(0.5), "shuffle: buffer must be a whole number of at least 1"],
      [() => from.shuffle(2, { sed: 1 } as never), "sed"],
      [() => from.repeat(0), "repeat: times must be a whole number of at least 1"],
      [() => from.take(-1), "take: elements must be a whole number of at least 1"],
      [() => from.skip(-1), "skip: elements must be a whole number of at least 0"],
      [() => from.prefetch(0), "prefetch: elements must be a whole number of at least 1"],
      [() => from.split({ parts: { a: 0.5 } }), "split: parts must be 1 together"],
      [() => source(from, { count: 0 }), "source: count must be a whole number of at least 1"],
    ];
    for (const [act, message] of wrong) expect(act).toThrow(message);
    await expect(
      from
        .filter(() => false)
        .repeat()
        .toArray(),
    ).rejects.toThrow("repeat: what is repeated must have elements, got none");
    await expect(source(() => 3 as never).toArray()).rejects.toThrow("must be something that gives batches");
  });
});

describe("a trainer", () => {
  const model = sequential({ input: [2] }, dense(1));
  const open = () => compileSync(model, { loss: meanSquaredError(), optimizer: adam(), engine, seed: 1 });
  const x = Float32Array.from({ length: 100 }, (_, i) => Math.sin(i));
  const y = Float32Array.from({ length: 50 }, (_, i) => Math.cos(i));

  test("has the bits of samples in memory, whatever the elements are", async () => {
    using inMemory = open();
    inMemory.fitSync({ x, y }, { epochs: 2, batchSize: 8, shuffle: false });
    const rows = source({ x, y }, { count: 50 });
    for (const data of [rows, rows.batch(7), rows.batch(5).prefetch(2), rows.cache(), rows.map(async (row) => row)]) {
      using trainer = open();
      const results = await trainer.fit(data, { epochs: 2, batchSize: 8 });
      expect(results[1].samples).toBe(50);
      expect(trainer.parameters()).toEqual(inMemory.parameters());
      expect(await trainer.evaluate(data)).toEqual(inMemory.evaluateSync({ x, y }));
    }
  });

  test("goes on in the middle of a shuffled pass", async () => {
    const data = source({ x, y }, { count: 50 })
      .shuffle(20, { seed: 3 })
      .map((row) => row);
    using whole = open();
    whole.fitSync(data, { epochs: 3, batchSize: 8 });
    using first = open();
    first.trainStepsSync(data, { steps: 10, batchSize: 8 });
    using second = open();
    second.restore(first.checkpoint());
    second.fitSync(data, { epochs: 2, batchSize: 8 });
    expect(second.parameters()).toEqual(whole.parameters());
    expect(second.epochs).toBe(3);
  });

  test("refuses what takes time in a synchronous call", () => {
    using trainer = open();
    const data = source({ x, y }, { count: 50 });
    expect(() => trainer.fitSync(data.prefetch())).toThrow(SteepestError);
    expect(() => trainer.fitSync(data.map(async (row) => row))).toThrow(
      "takes time, which a synchronous method cannot wait for",
    );
  });
});
