// A step allocates nothing on the JavaScript heap: a million of them leave it as it was, and hardly touch it meanwhile.
import { Session } from "node:inspector/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { binaryCrossEntropy, compileSync, createEngineSync, dense, sequential, sgd, tanh } from "steepest";
import { expect, test } from "vitest";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const STEPS = 1_000_000;
const CALL = 10_000;

interface Allocations {
  readonly selfSize: number;
  readonly children: readonly Allocations[];
}

/** Bytes that were taken of the heap while `work` went on, as V8 samples them; also those that were given back. */
async function allocatedBy(work: () => void): Promise<number> {
  const session = new Session();
  session.connect();
  await session.post("HeapProfiler.startSampling", {
    samplingInterval: 4096,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  } as object);
  work();
  const { profile } = await session.post("HeapProfiler.stopSampling");
  session.disconnect();
  const sum = ({ selfSize, children }: Allocations): number =>
    children.reduce((bytes, child) => bytes + sum(child), selfSize);
  return sum(profile.head);
}

test("a million steps leave the heap flat", async () => {
  using trainer = compileSync(sequential({ input: [2] }, dense(8), tanh(), dense(1)), {
    loss: binaryCrossEntropy(),
    optimizer: sgd({ learningRate: 0.5 }),
  });
  const data = trainer.load({ x: [0, 0, 0, 1, 1, 0, 1, 1], y: [0, 1, 1, 0] });
  const train = (steps: number) => {
    for (let done = 0; done < steps; done += CALL) trainer.trainStepsSync(data, { steps: CALL });
  };
  train(20 * CALL);
  collect();
  const before = process.memoryUsage().heapUsed;
  const allocated = await allocatedBy(() => train(STEPS));
  collect();
  const grown = process.memoryUsage().heapUsed - before;
  expect(trainer.steps).toBe(STEPS + 20 * CALL);
  // A single number kept of each step would be megabytes; other test files' threads have heaps of their own.
  expect(grown).toBeLessThan(512 * 1024);
  // An object for each step would be 16 MB at least. Of each call there is a result, whose losses lie elsewhere.
  expect(allocated).toBeLessThan(4 * 2 ** 20);
});

test("an engine's properties are found without a look into a dictionary", () => {
  setFlagsFromString("--allow-natives-syntax");
  const hasFastProperties = runInNewContext("(object) => %HasFastProperties(object)") as (object: object) => boolean;
  // V8 makes one of an object with getters of its own.
  expect(
    hasFastProperties({
      get steps() {
        return 0;
      },
    }),
  ).toBe(false);
  const engines = [createEngineSync(), createEngineSync()];
  expect(engines.map(hasFastProperties)).toEqual([true, true]);
  for (const engine of engines) engine.dispose();
});
