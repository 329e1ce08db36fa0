import {
  adam,
  compile,
  cosineDecay,
  cosineRestarts,
  dense,
  exponentialDecay,
  inverseSquareRoot,
  joinSchedules,
  meanSquaredError,
  multiStepDecay,
  oneCycle,
  polynomialDecay,
  reduceOnPlateau,
  type Schedule,
  sequential,
  sgd,
  stepDecay,
  warmup,
} from "steepest";
import { describe, expect, test } from "vitest";
import golden from "../golden/schedules.json" with { type: "json" };

const makers = {
  stepDecay,
  multiStepDecay,
  exponentialDecay,
  polynomialDecay,
  cosineDecay,
  cosineRestarts,
  warmup,
  oneCycle,
} as unknown as Readonly<Record<string, (rate: number, options: object) => Schedule>>;

/** PyTorch's recursions round in each step. */
const near = (found: number, expected: number) => Math.abs(found - expected) <= 1e-12 * Math.abs(expected) + 1e-15;

describe("PyTorch's rates", () => {
  test.each(golden.cases.map((one) => [`${one.kind} ${JSON.stringify(one.options)}`, one] as const))("%s", (_, one) => {
    const rate = makers[one.kind](one.rate, one.options);
    const found = one.result.map((_value, index) => rate(index + 1));
    expect(found.map((value, index) => (near(value, one.result[index]) ? one.result[index] : value))).toEqual(
      one.result,
    );
  });

  test.each(golden.plateaus.map((one) => [JSON.stringify(one.options), one] as const))("plateau %s", (_, one) => {
    const plateau = reduceOnPlateau(one.rate, one.options as object);
    golden.values.forEach((value, index) => {
      const found = plateau.observe(value);
      expect(near(found, one.result[index]), `value ${index}: ${found}, not ${one.result[index]}`).toBe(true);
      expect(plateau(index)).toBe(found);
    });
  });
});

test("the first and the last step, and what follows", () => {
  const at = (rate: Schedule, ...steps: number[]) => steps.map(rate);
  expect(at(stepDecay(1, { every: 3, factor: 0.5 }), 1, 3, 4, 7)).toEqual([1, 1, 0.5, 0.25]);
  expect(at(multiStepDecay(1, { milestones: [2, 5], factor: 0.5 }), 2, 3, 5, 6)).toEqual([1, 0.5, 0.5, 0.25]);
  expect(
    at(exponentialDecay(1, { factor: 0.25, every: 4 }), 1, 3, 5, 9).map((rate) => Number(rate.toFixed(12))),
  ).toEqual([1, 0.5, 0.25, 0.0625]);
  expect(at(polynomialDecay(1, { steps: 4, end: 0.2 }), 1, 3, 5, 6, 100)).toEqual([1, 0.6, 0.2, 0.2, 0.2]);
  expect(at(polynomialDecay(0.2, { steps: 4, end: 1 }), 1, 5)).toEqual([0.2, 1]);
  expect(at(cosineDecay(1, { steps: 4 }), 1, 3, 5, 6)).toEqual([1, 0.5, 0, 0]);
  expect(at(cosineRestarts(1, { steps: 2, factor: 2 }), 1, 2, 3, 5, 7, 15)).toEqual([1, 0.5, 1, 0.5, 1, 1]);
  expect(at(warmup(1, { steps: 4 }), 1, 2, 4, 5)).toEqual([0.25, 0.5, 1, 1]);
  expect(at(warmup(1, { steps: 5, start: 0 }), 1, 2, 5)).toEqual([0, 0.25, 1]);
  expect(at(warmup(1, { steps: 1 }), 1, 2)).toEqual([1, 1]);
  expect(at(warmup(stepDecay(1, { every: 2 }), { steps: 2 }), 1, 2, 3)).toEqual([0.5, 1, 0.1]);
  const inverse = inverseSquareRoot(1, { warmup: 4 });
  expect(at(inverse, 1, 4, 16, 64)).toEqual([0.25, 1, 0.5, 0.25]);
});

test("one cycle ends at its last step, and stays there", () => {
  for (const options of [{}, { threePhases: true }, { shape: "linear" as const }, { rise: 0 }, { rise: 0.001 }]) {
    const rate = oneCycle(1, { steps: 100, ...options });
    const rates = Array.from({ length: 120 }, (_, index) => rate(index + 1));
    const top = rates.indexOf(Math.max(...rates));
    for (let step = 1; step < 120; step++) {
      if (step <= top) expect(rates[step], `step ${step + 1}`).toBeGreaterThanOrEqual(rates[step - 1]);
      else expect(rates[step], `step ${step + 1}`).toBeLessThanOrEqual(rates[step - 1]);
    }
    expect(near(rates[99], 1 / 25 / 1e4)).toBe(true);
    expect(rates.slice(99)).toEqual(Array(21).fill(rates[99]));
  }
});

test("joined schedules count their own steps", () => {
  const rate = joinSchedules([warmup(1, { steps: 2 }), cosineDecay(1, { steps: 2 }), 0.125], [2, 5]);
  expect([1, 2, 3, 4, 5, 6, 7].map(rate)).toEqual([0.5, 1, 1, 0.5, 0, 0.125, 0.125]);
});

test("a training that goes on from a checkpoint has the rates of one that was never stopped", async () => {
  const rate = joinSchedules([warmup(0.1, { steps: 5 }), oneCycle(0.1, { steps: 20 })], [6]);
  const seen: number[] = [];
  const learningRate = (step: number) => {
    seen.push(step);
    return rate(step);
  };
  const make = () =>
    compile(sequential({ input: [2] }, dense(1)), {
      loss: meanSquaredError(),
      optimizer: adam({ learningRate }),
      seed: 1,
    });
  const data = { x: Float32Array.from({ length: 64 }, (_, i) => Math.sin(i)), y: new Float32Array(32).fill(1) };
  const whole = await make();
  await whole.trainSteps(data, { steps: 24, batchSize: 4 });
  const first = await make();
  await first.trainSteps(data, { steps: 11, batchSize: 4 });
  const second = await make();
  second.restore(first.checkpoint());
  seen.length = 0;
  await second.trainSteps(data, { steps: 13, batchSize: 4 });
  expect(seen[0]).toBe(12);
  expect(second.parameters()).toEqual(whole.parameters());
});

test("a plateau goes on from its state", () => {
  const options = { patience: 2, cooldown: 2, factor: 0.5 };
  const values = golden.values;
  const whole = reduceOnPlateau(0.1, options);
  const rates = values.map((value) => whole.observe(value));
  const first = reduceOnPlateau(0.1, options);
  for (const value of values.slice(0, 29)) first.observe(value);
  const second = reduceOnPlateau(9, options);
  second.restore(JSON.parse(JSON.stringify(first)));
  expect(values.slice(29).map((value) => second.observe(value))).toEqual(rates.slice(29));
  expect(() => second.observe(NaN)).toThrow("observe: the value must be a number, got NaN");
  expect(() => second.restore({ ...first.toJSON(), rate: -1 })).toThrow(
    "rate must be a finite number of at least 0, got -1",
  );
});

test("bits that every engine gives", () => {
  const rates = [
    cosineDecay(0.1, { steps: 7 })(3),
    oneCycle(0.1, { steps: 9 })(5),
    exponentialDecay(0.1, { factor: 0.9, every: 7 })(4),
    polynomialDecay(0.1, { steps: 9, power: 1.5 })(4),
    inverseSquareRoot(0.1, { warmup: 3 })(7),
  ];
  const words = new BigInt64Array(Float64Array.from(rates).buffer);
  expect([...words].map((word) => word.toString(16))).toEqual([
    "3fb4c7d9f437f8ba",
    "3fb21083675c74b1",
    "3fb87841d4bd5c44",
    "3fabdea7eefbeaed",
    "3fb0c2569a96f755",
  ]);
});

test("what is out of range is refused", () => {
  expect(() => cosineDecay(-1, { steps: 3 })).toThrow(
    "cosineDecay: learningRate must be a number of at least 0, got -1",
  );
  expect(() => cosineDecay(0.1, { steps: 0 })).toThrow(
    "cosineDecay: steps must be a whole number of at least 1, got 0",
  );
  expect(() => multiStepDecay(0.1, { milestones: [3, 3] })).toThrow(
    "milestones must be whole numbers of at least 1, going up, got [3, 3]",
  );
  expect(() => joinSchedules([0.1, 0.2], [1, 2])).toThrow("milestones must be 1, one less than the rates, got [1, 2]");
  expect(() => oneCycle(0.1, { steps: 9, threePhases: true, rise: 0.6 })).toThrow(
    "rise must be at most 0.5 with threePhases, got 0.6",
  );
  expect(() => stepDecay(sgd as never, { every: 1 })).toThrow("joinSchedules() combines schedules");
});
