// A training over shards is a function of its plan: not of who computes, dies, or answers first.
import {
  adam,
  averaged,
  batchNorm,
  clipByGlobalNorm,
  compileSync,
  conv2d,
  createEngineSync,
  crossEntropy,
  dense,
  dropout,
  flatten,
  l2,
  ModelError,
  meanSquaredError,
  relu,
  sequential,
  sgd,
  sharpnessAware,
  tanh,
} from "steepest";
import { afterAll, describe, expect, test } from "vitest";
import { createExecutor, type RunStore } from "../../src/cluster/executor.js";
import { type PlanOptions, planOf } from "../../src/cluster/plan.js";
import { doPart } from "../../src/cluster/run.js";
import type { Trainers } from "../../src/cluster/trainers.js";
import { bitsOf, train, trainersFor, world } from "./harness.js";

const engine = createEngineSync({ threads: 1 });
const opened: Trainers[] = [];
afterAll(async () => {
  for (const trainers of opened) await trainers.dispose();
  engine.dispose();
});

async function workers(count: number, job: unknown, options: PlanOptions): Promise<Trainers[]> {
  const made = await Promise.all(Array.from({ length: count }, () => trainersFor(job, options)));
  opened.push(...made);
  return made;
}

/** Numbers that look random. */
const noise = (length: number, seed: number): Float32Array =>
  Float32Array.from({ length }, (_, i) =>
    Math.fround(((((i + 1) * 2654435761 + seed * 40503) >>> 0) / 2 ** 31 - 1) * 2),
  );

/** Samples of two classes in 2 dimensions: shard `index` has so many. */
const points = (count: number, seed: number) => {
  const x = noise(count * 2, seed);
  return { x, y: Float32Array.from({ length: count }, (_, i) => x[2 * i] * 0.5 - x[2 * i + 1]) };
};
const regression = {
  model: sequential({ input: [2] }, dense(8, { weightRegularizer: l2(0.01) }), tanh(), dense(1)),
  loss: meanSquaredError(),
  optimizer: clipByGlobalNorm(0.5, adam({ learningRate: (step) => 0.05 / Math.sqrt(step) })),
};
const sizes = [5, 7, 9];
const shards = (index: number) => points(sizes[index], index);
const joined = (parts: readonly { x: Float32Array; y: Float32Array }[]) => ({
  x: Float32Array.from(parts.flatMap(({ x }) => [...x])),
  y: Float32Array.from(parts.flatMap(({ y }) => [...y])),
});

/** Everything that could make a difference: buffers, dropout, a schedule, clipping, a slot that starts at the parameters. */
const images = {
  model: sequential({ input: [6, 6, 1] }, conv2d(4, 3), batchNorm(), relu(), dropout(0.2), flatten(), dense(3)),
  loss: crossEntropy(),
  metrics: ["accuracy"],
  optimizer: averaged(clipByGlobalNorm(1, sgd({ learningRate: (step: number) => 0.1 / step, momentum: 0.9 }))),
  shard: (index: number) => ({
    x: noise((10 + index) * 36, index),
    y: Uint32Array.from({ length: 10 + index }, (_, i) => (i * 7 + index) % 3),
  }),
};

/** The job's trainer, without a cluster. */
function onOneMachine(job: object, seed = 0) {
  const { model, shard: _, ...recipe } = job as typeof regression & { shard?: unknown };
  return compileSync(model, { ...recipe, engine, seed });
}

const largest = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);

describe("the mathematics", () => {
  test("local with one shard and the plain mean is the training on one machine, bit by bit", async () => {
    const job = { ...images, shard: () => images.shard(3) };
    const options = { shards: 1, localSteps: 5, batchSize: 4, seed: 9, outer: { learningRate: 1, momentum: 0 } };
    const finished = await train(await workers(1, job, options), options, world(), { rounds: 4 });
    using alone = onOneMachine(job, 9);
    const losses = alone.trainStepsSync(job.shard(), { steps: 20, batchSize: 4 });
    const end = finished.at(-1)?.checkpoint.parameters;
    for (const [path, { data }] of alone.parameters()) expect(end?.get(path)?.data, path).toEqual(data);
    const means = [0, 1, 2, 3].map(
      (round) => losses.slice(round * 5, round * 5 + 5).reduce((sum, loss) => sum + loss, 0) / 5,
    );
    expect(finished.map(({ record }) => record.loss)).toEqual(means);
  });

  test("synchronous is the training on the whole batch, up to rounding: uneven shards, clipping, a schedule, a regularizer", async () => {
    const options = { shards: 3, scheme: "synchronous", batchSize: 100 } as const;
    const job = { ...regression, shard: shards };
    const finished = await train(await workers(1, job, options), options, world(), { rounds: 30 });
    using alone = onOneMachine(regression);
    const losses = alone.trainStepsSync(joined([0, 1, 2].map(shards)), { steps: 30, shuffle: false });
    finished.forEach(({ record }, round) => expect(record.loss).toBeCloseTo(losses[round], 5));
    expect(finished[0].record.samples).toBe(21);
    const end = finished[29].checkpoint;
    for (const [path, { data }] of alone.parameters()) {
      expect(largest(end.parameters.get(path)?.data as Float32Array, data), path).toBeLessThan(2e-6);
    }
    // What it keeps is the job's own: another trainer goes on with it.
    alone.restore(end);
    expect(alone.steps).toBe(30);
  });

  test("ragged last batches count by their samples, across passes", async () => {
    const options = { shards: 3, scheme: "synchronous", batchSize: 4, shuffle: false } as const;
    const job = { ...regression, shard: shards };
    const finished = await train(await workers(1, job, options), options, world(), { rounds: 9 });
    // Shards of 5, 7 and 9 samples have batches of 4 1, 4 3 and 4 4 1.
    const batchesOf = (size: number) =>
      Array.from({ length: Math.ceil(size / 4) }, (_, i) => [i * 4, Math.min(size, i * 4 + 4)]);
    using alone = onOneMachine(regression);
    for (let round = 0; round < 9; round++) {
      const parts = sizes.map((size, index) => {
        const [from, to] = batchesOf(size)[round % batchesOf(size).length];
        const { x, y } = shards(index);
        return { x: x.slice(from * 2, to * 2), y: y.slice(from, to) };
      });
      const whole = joined(parts);
      expect(finished[round].record.samples).toBe(whole.y.length);
      expect(finished[round].record.loss).toBeCloseTo(alone.trainBatchSync(whole), 5);
    }
    const end = finished[8].checkpoint.parameters;
    for (const [path, { data }] of alone.parameters())
      expect(largest(end.get(path)?.data as Float32Array, data), path).toBeLessThan(2e-6);
  });

  test("statistics of normalization are the means of the shards'; what is frozen keeps its bits", async () => {
    const job = { ...images, frozen: ["0.weight"], optimizer: sgd({ learningRate: 0 }) };
    for (const scheme of ["local", "synchronous"] as const) {
      const options = { shards: 2, scheme, batchSize: 50, ...(scheme === "local" ? { localSteps: 1 } : {}) } as const;
      const [trainers] = await workers(1, job, options);
      const [{ checkpoint }] = await train([trainers], options, world(), { rounds: 1 });
      const of = (shard: number) => {
        using alone = onOneMachine(job);
        alone.trainBatchSync(images.shard(shard));
        return alone.parameters().get("1.runningMean")?.data as Float32Array;
      };
      const [first, second] = [of(0), of(1)];
      const weights = scheme === "local" ? [1, 1] : [10, 11];
      const mean = first.map((value, i) => (value * weights[0] + second[i] * weights[1]) / (weights[0] + weights[1]));
      expect(checkpoint.parameters.get("1.runningMean")?.data).toEqual(mean);
      expect(checkpoint.parameters.get("0.weight")).toEqual(trainers.initial.parameters.get("0.weight"));
    }
  });

  test("an optimizer that takes gradients twice trains by itself, and is refused where gradients are merged", async () => {
    const job = { ...regression, optimizer: sharpnessAware(sgd()), shard: shards };
    await expect(workers(1, job, { shards: 3, scheme: "synchronous" })).rejects.toThrow(
      /cluster: the optimizer must take gradients once a step .* got sgd that takes them twice: take scheme "local"/,
    );
    const options = { shards: 3, localSteps: 2 };
    expect(await train(await workers(1, job, options), options, world(), { rounds: 2 })).toHaveLength(2);
  });

  test("a source that says its count trains as its samples do; one that does not is refused where samples count", async () => {
    const sourceOf = (index: number) => ({
      count: sizes[index],
      *open() {
        const { x, y } = shards(index);
        for (let i = 0; i < sizes[index]; i += 3) yield { x: x.slice(i * 2, i * 2 + 6), y: y.slice(i, i + 3) };
      },
    });
    for (const plan of [{ scheme: "synchronous" }, { localSteps: 3 }] as const) {
      const options: PlanOptions = { shards: 3, batchSize: 4, shuffle: false, ...plan };
      const [inMemory, streamed] = [
        { ...regression, shard: shards },
        { ...regression, shard: sourceOf },
      ];
      const expected = await train(await workers(1, inMemory, options), options, world(), { rounds: 5 });
      const found = await train(await workers(1, streamed, options), options, world(), { rounds: 5 });
      expect(bitsOf(found)).toEqual(bitsOf(expected));
    }
    const options = { shards: 3, scheme: "synchronous" } as const;
    const uncounted = { ...regression, shard: (index: number) => sourceOf(index).open };
    await expect(train(await workers(1, uncounted, options), options, world(), { rounds: 1 })).rejects.toThrow(
      ModelError,
    );
  });
});

const plans: Record<string, PlanOptions> = {
  synchronous: { shards: 5, scheme: "synchronous", batchSize: 4, seed: 3 },
  local: { shards: 5, localSteps: 3, batchSize: 4, seed: 3 },
  "local, in bfloat16": { shards: 5, localSteps: 3, batchSize: 4, seed: 3, transfer: "bfloat16" },
  "synchronous, in bfloat16": { shards: 5, scheme: "synchronous", batchSize: 4, transfer: "bfloat16" },
};

describe.each(Object.entries(plans))("%s: the bits do not depend on", async (name, options) => {
  const crew = await workers(5, images, options);
  const rounds = 4;
  const expected = bitsOf(await train(crew, options, world(), { rounds, workers: 1 }));

  test("the number of workers", async () => {
    expect(new Set(expected.map((round) => (round as unknown[])[1])).size).toBe(rounds);
    for (const count of [2, 3, 5]) {
      expect(bitsOf(await train(crew, options, world(), { rounds, workers: count })), `${count} workers`).toEqual(
        expected,
      );
    }
  });

  test("where a run was stopped, and what was computed twice", async () => {
    const place = world();
    const parts = [1, 3, rounds];
    const found = [];
    for (const until of parts)
      found.push(...(await train(crew, options, place, { rounds: until, workers: 2, audit: 1 })));
    expect(bitsOf(found)).toEqual(expected);
    expect(await train(crew, options, place, { rounds })).toEqual([]);
  });

  test("values that the store has damaged or lost", async () => {
    const place = world();
    const found = [...bitsOf(await train(crew, options, place, { rounds: 2 }))];
    const names = (await place.values.list()).filter((name) => name.startsWith("test.2."));
    expect(names).toHaveLength(11);
    for (const [index, name] of names.entries()) {
      const bytes = await place.values.load(name);
      bytes[bytes.length - 1 - index] ^= 1;
      if (index % 3 === 0) await place.values.remove(name);
      else await place.values.save(name, bytes);
    }
    found.push(...bitsOf(await train(crew, options, place, { rounds, workers: 3 })));
    expect(found).toEqual(expected);
  });

  // Each takes seconds, and the other two have no call that these have not.
  test.skipIf(["local", "synchronous, in bfloat16"].includes(name))(
    "who dies, at whatever call to the store",
    async () => {
      let calls = 0;
      const counting = (store: RunStore): RunStore =>
        failing(store, () => {
          calls += 1;
        });
      await train(crew, options, world(), { rounds: 2, workers: 2, storeOf: (_, store) => counting(store) });
      expect(calls).toBeGreaterThan(50);
      // A worker dies before or after its n-th call; for the coordinator, another one goes on.
      for (let n = 1; n <= calls; n += 23) {
        for (const when of ["before", "after"] as const) {
          const place = world();
          let left = n;
          const dying = (store: RunStore): RunStore =>
            failing(store, (moment) => {
              if (moment === when && --left === 0) throw new Error("killed");
            });
          const found = [];
          for (let tries = 0; tries < 2 && found.length < 2; tries++) {
            try {
              const setting = {
                rounds: 2,
                workers: 2,
                storeOf: (_: number, store: RunStore) => (tries === 0 ? dying(store) : store),
              };
              found.push(...bitsOf(await train(crew, options, place, setting)));
            } catch (error) {
              expect((error as Error).message).toBe("killed");
            }
          }
          const head = await place.records.read("run", "head");
          expect(head, `${when} call ${n}`).toBe("2");
          expect(JSON.parse((await place.records.read("round-2", "merge")) as string).merged, `${when} call ${n}`).toBe(
            (expected[1] as unknown[])[1],
          );
        }
      }
    },
  );
});

/** A store that tells of each call before and after it is done. */
function failing({ name, values, records }: RunStore, told: (moment: "before" | "after") => void): RunStore {
  const around = <T extends object>(target: T): T =>
    new Proxy(target, {
      get:
        (of, key) =>
        async (...given: unknown[]) => {
          told("before");
          const result = await (of as Record<PropertyKey, (...given: unknown[]) => Promise<unknown>>)[key](...given);
          told("after");
          return result;
        },
    });
  return { name, values: around(values), records: around(records) };
}

describe("a worker that computes other bits", () => {
  const options = { shards: 3, localSteps: 2, batchSize: 4 };

  test("is found by an audit, stops the run, and is named; the run begins again with what was in doubt", async () => {
    const [good, bad] = [
      ...(await workers(1, { ...regression, shard: shards }, options)),
      ...(await workers(1, { ...regression, shard: (index: number) => points(sizes[index], 99) }, options)),
    ];
    const place = world();
    const audited = { rounds: 2, audit: 1 };
    // Both have their turns, so one of them is the first for some shard and the other the second.
    await expect(train([good, bad], options, place, audited)).rejects.toThrow(
      /shard \d of round 1 must have the same bits whoever computes it, got others of worker "worker [01]" than of worker "worker [01]"/,
    );
    expect(await place.records.read("failed", "reason")).toMatch(/^BitsError: /);
    const expected = await train([good], options, world(), { rounds: 2 });
    expect(bitsOf(await train([good], options, place, audited))).toEqual(bitsOf(expected));
  });

  test("goes unnoticed where nobody looks", async () => {
    const [good] = await workers(1, { ...regression, shard: shards }, options);
    expect(await train([good], options, world(), { rounds: 1 })).toHaveLength(1);
  });
});

interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

function gate(): Gate {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Neither records nor values of these rounds are in the store. */
async function expectRemoved(place: ReturnType<typeof world>, rounds: readonly number[]): Promise<void> {
  for (const round of rounds) {
    for (const name of ["shard-0", "shard-1", "shard-2", "merge"])
      expect(await place.records.read(`round-${round}`, name), `${name} of round ${round}`).toBeUndefined();
  }
  const left = (await place.values.list()).filter((name) => rounds.includes(Number(name.split(".")[1])));
  expect(left).toEqual([]);
}

describe("a run", () => {
  const options = { shards: 3, localSteps: 2, batchSize: 4 };

  test("keeps its last rounds, and no more", async () => {
    const place = world();
    const [trainers] = await workers(1, { ...regression, shard: shards }, options);
    await train([trainers], options, place, { rounds: 6, keep: 2 });
    const rounds = new Set((await place.values.list()).map((name) => name.split(".")[1]));
    expect([...rounds].sort()).toEqual(["5", "6"]);
    expect(await place.records.read("round-4", "merge")).toBeUndefined();
    expect(await place.values.list()).toHaveLength(2 * (2 * 3 + 1));
  });

  test("has nothing of a round left by a worker that was cut off in the middle of merging it", async () => {
    const place = world();
    const job = { ...regression, shard: shards };
    const [others, late] = await workers(2, job, options);
    const plan = planOf("test", options);
    const executor = createExecutor({ plan, trainers: others, store: place.store, worker: "others" });
    for (let shard = 0; shard < 3; shard++) await executor.shard(1, shard);
    const back = gate();
    const load = async (name: string) => back.opened.then(() => place.values.load(name));
    const store = { ...place.store, values: { ...place.values, load } };
    const merging = doPart(store, createExecutor({ plan, trainers: late, store, worker: "late" }), { round: 1 });
    await train([others], options, place, { rounds: 4, keep: 2 });
    back.open();
    await expect(merging).rejects.toThrow("shard 1 of round 1 must be done before it is gone on from");
    await expectRemoved(place, [1, 2]);
  });

  test("has nothing left of a round whose value a frozen worker missed, and computed anew", async () => {
    const place = world();
    const [others, late] = await workers(2, { ...regression, shard: shards }, options);
    await train([others], options, place, { rounds: 1 });
    const [asked, back] = [gate(), gate()];
    const load = async (name: string) => {
      asked.open();
      await back.opened;
      return place.values.load(name);
    };
    const store = { ...place.store, values: { ...place.values, load } };
    const plan = planOf("test", options);
    const executor = createExecutor({ plan, trainers: late, store, worker: "late" });
    // The merged values it knows, so the first that it asks for is the shard's own.
    await Promise.all([executor.merged(1), asked.opened.then(back.open)]);
    const [askedAgain, backAgain] = [gate(), gate()];
    store.values.load = async (name) => {
      askedAgain.open();
      await backAgain.opened;
      return place.values.load(name);
    };
    const training = doPart(store, executor, { round: 2, shard: 0 });
    await askedAgain.opened;
    await train([others], options, place, { rounds: 6, keep: 2 });
    backAgain.open();
    await training.catch(() => {});
    await expectRemoved(place, [1, 2]);
  });

  test("has nothing left by a worker that writes while the round is removed", async () => {
    const place = world();
    const [others, late] = await workers(2, { ...regression, shard: shards }, options);
    const plan = planOf("test", options);
    const executor = createExecutor({ plan, trainers: late, store: place.store, worker: "late" });
    const [computed, removed] = [gate(), gate()];
    const waiting = {
      ...executor,
      async shard(round: number, shard: number) {
        computed.open();
        await removed.opened;
        return executor.shard(round, shard, true);
      },
    };
    const training = doPart(place.store, waiting, { round: 1, shard: 0 });
    await computed.opened;
    // The worker does all of its work just after the round's records are removed.
    const storeOf = (_: number, store: RunStore): RunStore => ({
      ...store,
      records: {
        ...store.records,
        async removeScope(scope) {
          await store.records.removeScope(scope);
          if (scope !== "round-1") return;
          removed.open();
          await training;
        },
      },
    });
    await train([others], options, place, { rounds: 4, keep: 2, storeOf });
    await expectRemoved(place, [1, 2]);
  });

  test("has nothing left by a worker that could not save an update while its state was on its way", async () => {
    const place = world();
    const [others, late] = await workers(2, { ...regression, shard: shards }, options);
    const dropped = gate();
    const save = async (name: string, bytes: Uint8Array) => {
      if (name.includes("update")) throw new Error("the store has no room");
      await dropped.opened;
      await place.values.save(name, bytes);
    };
    const store = { ...place.store, values: { ...place.values, save } };
    const plan = planOf("test", options);
    const executor = createExecutor({ plan, trainers: late, store, worker: "late" });
    const training = doPart(store, executor, { round: 1, shard: 0 });
    training.catch(() => {});
    await train([others], options, place, { rounds: 4, keep: 2 });
    dropped.open();
    await expect(training).rejects.toThrow("the store has no room");
    await expectRemoved(place, [1, 2]);
  });

  test("is refused under the name of another one, which is told apart", async () => {
    const place = world();
    const [trainers] = await workers(1, { ...regression, shard: shards }, options);
    await train([trainers], options, place, { rounds: 1 });
    await expect(train([trainers], { ...options, localSteps: 3 }, place, { rounds: 2 })).rejects.toThrow(
      /test: the run "test" began with localSteps 2, got 3: go on with the same, or give the run another name/,
    );
  });

  test("waits while it is paused, ends when it is stopped, and goes on", async () => {
    const place = world();
    const [trainers] = await workers(1, { ...regression, shard: shards }, options);
    await train([trainers], options, place, { rounds: 1 });
    await place.records.write("run", "control", "pause");
    let polls = 0;
    const storeOf = (_: number, store: RunStore): RunStore => ({
      ...store,
      records: {
        ...store.records,
        async read(scope, name) {
          const text = await store.records.read(scope, name);
          if (name === "control" && text === "pause" && ++polls === 5)
            await store.records.write("run", "control", "stop");
          return text;
        },
      },
    });
    expect(await train([trainers], options, place, { rounds: 3, storeOf })).toEqual([]);
    expect(polls).toBe(5);
    expect(await train([trainers], options, place, { rounds: 3 })).toHaveLength(2);
  });

  test("a store that went back by rounds is gone forward with again, and must come to the same", async () => {
    const place = world();
    const crew = await workers(1, { ...regression, shard: shards }, options);
    const expected = await train(crew, options, world(), { rounds: 5 });
    let reads = 0;
    // Once, the head that is read is older by one, as after a restart of Redis.
    const storeOf = (worker: number, store: RunStore): RunStore =>
      worker >= 0
        ? store
        : {
            ...store,
            records: {
              ...store.records,
              async read(scope, name) {
                const text = await store.records.read(scope, name);
                if (name !== "head" || text !== "3" || ++reads !== 1) return text;
                await store.records.write("run", "head", "2");
                await store.records.removeScope("round-3");
                return "2";
              },
            },
          };
    expect(bitsOf(await train(crew, options, place, { rounds: 5, storeOf }))).toEqual(bitsOf(expected));
    expect(reads).toBe(2);
  });
});
