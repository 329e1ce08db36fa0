// A row for each export of "steepest/cluster".
import * as S from "steepest";
import * as cluster from "steepest/cluster";
import { memoryStore } from "steepest/io";
import type { Row } from "../sweep.js";

const job = () => ({
  model: S.sequential({ input: [2] }, S.dense(3)),
  loss: S.crossEntropy(),
  optimizer: S.sgd(),
  store: memoryStore(),
  shard: () => ({ x: Float32Array.of(0.1, 0.2, 0.3, 0.4), y: Uint32Array.of(0, 2) }),
});

export const clusterRows: readonly Row[] = [
  {
    name: "defineJob",
    call: cluster.defineJob as never,
    good: () => [job()],
    // compile() checks them, when there is a run.
    untouched: ["0.model", "0.loss", "0.optimizer"],
    opaque: ["0.model", "0.loss", "0.optimizer", "0.store"],
    accepts: { "0.shard": ["function"], "0.store": ["undefined"] },
    records: ["0"],
  },
  {
    name: "distribute",
    call: cluster.distribute as never,
    good: () => [
      job(),
      {
        ...{ name: "rows", rounds: 1, shards: 2, scheme: "local", localSteps: 2, batchSize: 2, shuffle: true, seed: 1 },
        ...{
          outer: { learningRate: 1, momentum: 0.5 },
          transfer: "float32",
          connection: undefined,
        },
        ...{ audit: 0, keep: 2, validateEvery: 1, signal: new AbortController().signal },
      },
    ],
    opaque: ["0", "1.signal"],
    // Whatever has the form of a connection needs the address of a job.
    untouched: ["0", "1.connection"],
    required: ["1.name", "1.rounds", "1.shards"],
    after: async (run) => await (run as { close(): Promise<void> }).close(),
  },
];

export const namesOfCluster = Object.keys(cluster).filter((name) => name !== "BitsError");
