// What metrics add to an epoch: training with them, next to the same without.
import type { Engine } from "../../src/engine/engine.js";
import { adam, balancedAccuracy, compile, crossEntropy, dense, f1, relu, sequential } from "../../src/index.js";
import { classificationData } from "../data.js";
import { engineOf } from "../engines.js";
import { LeftOut, type RemoteContestant, variantOf, type Workload } from "../workload.js";
import { checkValues } from "./values.js";

const BATCH = 32;
const METRICS = ["accuracy", f1(), balancedAccuracy()] as const;

/** `uniqueBatches` come twice: see ../data.ts. */
export function metricsWorkload(uniqueBatches = 64): Workload {
  const { x, y } = classificationData(BATCH, 784, 10, 5, uniqueBatches);
  const labels = y as Uint32Array;
  const epochsOf = async (engine: Engine, metrics: typeof METRICS | readonly []) => {
    const model = sequential({ input: [784] }, dense(128), relu(), dense(10));
    return compile(model, { loss: crossEntropy(), optimizer: adam(), metrics, seed: 1, engine });
  };
  const contestantOf = (trainer: Awaited<ReturnType<typeof epochsOf>>): RemoteContestant => ({
    remote: true,
    async reset() {},
    async run(epochs) {
      const start = performance.now();
      await trainer.fit({ x, y: labels }, { epochs, batchSize: BATCH });
      return { elapsedMs: performance.now() - start };
    },
    dispose: () => trainer.dispose(),
  });
  return {
    name: "metrics-mnist",
    description: `an epoch of 784-128-10 (ReLU, Adam), ${2 * uniqueBatches} batches of ${BATCH}, with accuracy, F1 and balanced accuracy`,
    metric: "step-ms",
    work: 1,
    async prepare(implementation) {
      const variant = variantOf(implementation);
      if (variant === undefined) throw new LeftOut("it has no metrics");
      const trainer = await epochsOf(await engineOf(variant), METRICS);
      const { accuracy } = (await trainer.evaluate({ x, y: labels })) as { accuracy: number };
      const probabilities = await trainer.predict(x);
      const right = labels.filter((label, i) => {
        const row = probabilities.subarray(10 * i, 10 * i + 10);
        return row.indexOf(Math.max(...row)) === label;
      });
      checkValues("accuracy", [accuracy], [right.length / labels.length], () => 1e-9);
      return contestantOf(trainer);
    },
    yardstick: {
      name: "without",
      prepare: async (variant) => contestantOf(await epochsOf(await engineOf(variant), [])),
    },
  };
}
