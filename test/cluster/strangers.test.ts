// What whoever can write to Redis may have left in the places of jobs, contracts and plans.
import { expect, test } from "vitest";
import { parseContract } from "../../src/cluster/contract.js";
import { memoryRecords, RUN } from "../../src/cluster/records.js";
import { readPlanned } from "../../src/cluster/run.js";
import { memoryStore } from "../../src/io/store.js";
import { readTask } from "../../src/platform/nodeQueue.js";
import { contract } from "./harness.js";

const shard = { run: "digits", round: 3, shard: 4095, again: true };

test("jobs come back as they were put into the queue", () => {
  expect(readTask(shard)).toEqual(shard);
  expect(readTask({ run: "digits", round: 1 })).toEqual({ run: "digits", round: 1, shard: undefined, again: false });
});

test.each([
  ...[undefined, null, 7, "{}", [], {}],
  ...[undefined, 7, "", "a:b", "a.b", "../a", "-a", "a".repeat(65)].map((run) => ({ ...shard, run })),
  ...[undefined, "1", 0, -1, 0.5, 2 ** 53, Number.NaN].map((round) => ({ ...shard, round })),
  ...["1", -1, 0.5, 4096, null].map((index) => ({ ...shard, shard: index })),
])("%j is no job", (data) => {
  expect(readTask(data)).toBeUndefined();
});

test("a contract is three texts", () => {
  expect(parseContract({ ...contract, more: 1 })).toEqual(contract);
  for (const other of [undefined, null, 7, [], {}, { ...contract, job: 1 }, { ...contract, version: "1".repeat(101) }])
    expect(parseContract(other)).toBeUndefined();
});

test.each([
  ["{", /^worker: the store must have the plan and the contract of the run, got "\{": forget the run/],
  ["null", /the plan and the contract of the run, got "null"/],
  ['{"plan":{"shards":2}}', /the plan and the contract of the run/],
  [JSON.stringify({ contract, plan: { shards: 0 } }), /shards must be a whole number from 1 to 4096, got 0/],
  [JSON.stringify({ contract, plan: [] }), /a plan must be an object, got \[\]/],
])("the plan %j is refused", async (text, says) => {
  const records = memoryRecords();
  await records.write(RUN, "plan", text);
  const store = { name: "digits", values: memoryStore(), records };
  await expect(readPlanned("worker", store)).rejects.toThrow(says);
});
