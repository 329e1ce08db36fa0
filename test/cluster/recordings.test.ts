// Programs are recorded once for each size of a batch, and with random numbers for each shard: not whenever a worker turns to another
// shard, whose seed differs.
import { crossEntropy, defineLayer, dense, dropout, mixUp, sequential, sgd } from "steepest";
import { afterAll, describe, expect, test } from "vitest";
import type { PlanOptions } from "../../src/cluster/plan.js";
import type { Trainers } from "../../src/cluster/trainers.js";
import { train, trainersFor, world } from "./harness.js";

const opened: Trainers[] = [];
afterAll(async () => {
  for (const trainers of opened) await trainers.dispose();
});

async function worker(job: object, options: PlanOptions): Promise<Trainers> {
  const trainers = await trainersFor(job, options);
  opened.push(trainers);
  return trainers;
}

const SHARDS = 3;
// Batches of 4, and of 2 at the end of a pass.
const SIZES = 2;

/** A job, and how often its model was traced for training: a program is recorded of each trace. */
function counting({ random, ...more }: { random?: boolean; mix?: object }) {
  const counted = { traces: 0 };
  const counter = defineLayer("counter", (x, { training }) => {
    if (training) counted.traces += 1;
    return x;
  });
  const job = {
    model: sequential({ input: [4] }, counter(), ...(random ? [dropout(0.3)] : []), dense(3)),
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.05 }),
    shard: (index: number) => ({
      x: Float32Array.from({ length: 40 }, (_, i) => Math.sin(i * 7 + index)),
      y: Uint32Array.from({ length: 10 }, (_, i) => (i + index) % 3),
    }),
    ...more,
  };
  return { counted, job };
}

describe.each<[string, PlanOptions]>([
  ["local", { shards: SHARDS, localSteps: 3, batchSize: 4 }],
  ["synchronous", { shards: SHARDS, scheme: "synchronous", batchSize: 4 }],
])("%s: a worker that does all shards records", (_, options) => {
  test.each([
    ["once for each size of a batch", {}, SIZES],
    ["once more for each shard with dropout, whose masks are of the shard's seed", { random: true }, SIZES * SHARDS],
    ["once more for each shard with mixed samples", { mix: mixUp() }, SIZES * SHARDS],
  ])("%s", async (_, kind, programs) => {
    const { counted, job } = counting(kind);
    const one = await worker(job, options);
    const before = counted.traces;
    const place = world();
    await train([one], options, place, { rounds: 3 });
    expect(counted.traces - before).toBe(programs);
    await train([one], options, place, { rounds: 9 });
    expect(counted.traces - before).toBe(programs);
    // A worker that has met no other shard comes to the same bits.
    for (let shard = 0; shard < SHARDS; shard++) {
      const fresh = await worker(job, options);
      const of = (trainers: Trainers) => trainers.trainShard(shard, one.initial, one.initialState(shard));
      expect(await of(one)).toEqual(await of(fresh));
    }
  });
});
