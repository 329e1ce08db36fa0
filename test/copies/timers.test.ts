// A test framework's fake timers stop no training, whether they came before the package was loaded or after it.
import { mock } from "node:test";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { bundle, type Copy, load } from "./bundle.js";

let code: string;
let copy: Copy;
let right: number[];

beforeAll(async () => {
  code = await bundle();
  copy = load(code);
  right = await useAll(copy, {});
});

const FAKED = [
  "Date",
  "clearImmediate",
  "clearInterval",
  "clearTimeout",
  "performance",
  "queueMicrotask",
  "setImmediate",
  "setInterval",
  "setTimeout",
] as const;

/** What replaces the timers, and what gives them back. */
const frameworks: [string, () => void, () => void][] = [
  ["vitest's and jest's", () => void vi.useFakeTimers({ toFake: [...FAKED] }), () => void vi.useRealTimers()],
  ["node:test's", () => mock.timers.enable(), () => mock.timers.reset()],
  [
    "jest's older",
    () => {
      for (const name of ["setTimeout", "setImmediate"] as const)
        vi.stubGlobal(
          name,
          Object.assign(() => 0, { _isMockFunction: true }),
        );
    },
    () => void vi.unstubAllGlobals(),
  ],
];

afterEach(() => {
  for (const [, , restore] of frameworks) restore();
});

const data = {
  x: Array.from({ length: 200 }, (_, i) => [i % 7, i % 3]),
  y: Array.from({ length: 200 }, (_, i) => i % 2),
};

/** Every method that lets the host breathe, over an engine on this thread, with threads, and in the background. */
async function useAll(of: Copy, options: object): Promise<number[]> {
  const model = of.sequential({ input: [2] }, of.dense(8), of.relu(), of.dense(2));
  const trainer = await of.compile(model, {
    loss: of.crossEntropy(),
    optimizer: of.sgd({ learningRate: 0.01 }),
    ...options,
  });
  const numbers: number[] = [];
  for await (const { loss } of trainer.fit(data, { epochs: 2, batchSize: 1 })) numbers.push(loss);
  numbers.push(...(await trainer.trainSteps(data, { steps: 50, batchSize: 8 })));
  numbers.push((await trainer.evaluate(data)).loss, ...((await trainer.predict(data.x)) as Float32Array));
  // Its end is a time: what is counted is that it comes.
  expect(trainer.trainFor(2, trainer.load(data)).length).toBeGreaterThan(0);
  trainer.dispose();
  return numbers;
}

const modes: [string, object][] = [
  ["on this thread", {}],
  ["with two threads", { threads: 2 }],
  ["in the background", { background: true, threads: 2 }],
];

describe.each(frameworks)("%s fake timers", (_, replace) => {
  test.each(modes)("after the package was loaded, %s", async (_, options) => {
    replace();
    expect(await useAll(copy, options)).toEqual(right);
  });

  test.each(modes)("before the package was loaded, %s", async (_, options) => {
    replace();
    expect(await useAll(load(code), options)).toEqual(right);
  });
});
