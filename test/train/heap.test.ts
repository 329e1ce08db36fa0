// A step allocates nothing on the JavaScript heap: a million of them leave it as it was, and wake no collector.
import { PerformanceObserver } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { binaryCrossEntropy, compileSync, dense, sequential, sgd, tanh } from "steepest";
import { expect, test } from "vitest";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const STEPS = 1_000_000;
const CALL = 10_000;

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
  let collections = 0;
  const observer = new PerformanceObserver((list) => {
    collections += list.getEntries().length;
  });
  observer.observe({ entryTypes: ["gc"] });
  train(STEPS);
  // What was observed is delivered in a later task.
  await new Promise((resolve) => setTimeout(resolve, 20));
  observer.disconnect();
  collect();
  const grown = process.memoryUsage().heapUsed - before;
  expect(trainer.steps).toBe(STEPS + 20 * CALL);
  // A single number kept of each step would be megabytes; other test files' threads have heaps of their own.
  expect(grown).toBeLessThan(256 * 1024);
  // Of each call, not of each step, there is a result: the losses of 10,000 steps are 4 MB for all the calls.
  expect(collections).toBeLessThan(20);
});
