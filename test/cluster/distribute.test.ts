// distribute() in one process: what a job says besides the training.
import { adam, dense, meanSquaredError, sequential } from "steepest";
import { defineJob, distribute } from "steepest/cluster";
import { memoryStore } from "steepest/io";
import { expect, test } from "vitest";

const parts = {
  model: sequential({ input: [2] }, dense(1)),
  loss: meanSquaredError(),
  optimizer: adam(),
  shard: (index: number, count: number) => ({ x: [[index, count]], y: [[index + count]] }),
};

test("values go to the store that the job names, and the bits are the same", async () => {
  const store = memoryStore();
  const losses: number[][] = [];
  for (const job of [defineJob({ ...parts, store }), defineJob(parts)]) {
    const run = await distribute(job, { name: "sums", shards: 2, rounds: 3, keep: 2 });
    const found: number[] = [];
    for await (const { loss } of run) found.push(loss);
    losses.push(found);
    if (job.store !== undefined) await run.keep("last");
    await run.close();
  }
  expect(losses[1]).toEqual(losses[0]);
  expect(losses[0]).toHaveLength(3);
  // Of two rounds, an update and a state of each shard, and the end; and what is kept.
  const names = await store.list();
  expect(names.filter((name) => /^sums\.[23]\.(s[01]\.(update|state)|merged)\.[0-9a-f]{64}$/.test(name))).toHaveLength(
    10,
  );
  expect(names).toHaveLength(11);
  expect(names).toContain("sums.kept-last");
});

test.each(["local", "synchronous"] as const)(
  "%s: a round that is kept comes back, in a later program too",
  async (scheme) => {
    const job = defineJob({ ...parts, store: memoryStore() });
    const options = { name: "sums", shards: 2, scheme, rounds: 3 };
    const values = (run: { trainer: { parameters(): ReadonlyMap<string, { data: Float32Array }> } }) =>
      [...run.trainer.parameters().values()].map(({ data }) => [...data]);
    const first = await distribute(job, options);
    let second: number[][] = [];
    for await (const { round } of first) {
      if (round !== 2) continue;
      await first.keep("second");
      second = values(first);
    }
    expect(values(first)).not.toEqual(second);
    await first.restore("second");
    expect(values(first)).toEqual(second);
    await first.close();
    const later = await distribute(job, options);
    await later.restore("second");
    expect(values(later)).toEqual(second);
    await expect(later.restore("third")).rejects.toThrow(/"sums\.kept-third"/);
    await expect(later.restore("a b")).rejects.toThrow(/^run\.restore: name must be of letters/);
    await later.close();
  },
);

test("what is no store is refused where the job is defined", () => {
  expect(() => defineJob({ ...parts, store: { save: () => {} } as never })).toThrow(
    "defineJob: store.load must be a function, got undefined",
  );
  expect(() => defineJob({ ...parts, store: "values" as never })).toThrow(
    /^defineJob: needs a store, got "values": make one with folderStore\(path\)/,
  );
});
