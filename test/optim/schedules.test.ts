import {
  adam,
  compile,
  compileSync,
  cosineDecay,
  cosineRestarts,
  createEngineSync,
  createWorkspaceSync,
  defineLoss,
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
import { mean } from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";
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

test("one cycle, by hand: up in three steps of ten, down in seven, and no jump after the last", () => {
  const linear = oneCycle(0.5, { steps: 10, shape: "linear" });
  const down = (steps: number) => 0.5 + ((2e-6 - 0.5) * steps) / 7;
  const expected = [0.02, 0.26, 0.5, down(1), down(2), down(3), down(4), down(5), down(6), 2e-6, 2e-6, 2e-6];
  expected.forEach((rate, index) => expect(linear(index + 1)).toBeCloseTo(rate, 14));
  const wave = oneCycle(0.5, { steps: 10, startDivisor: 10, endDivisor: 100 });
  expect(wave(1)).toBeCloseTo(0.05, 14);
  expect(wave(2)).toBeCloseTo((0.05 + 0.5) / 2, 14);
  expect(wave(3)).toBe(0.5);
  expect(wave(4)).toBeCloseTo(0.0005 + (0.4995 * (1 + Math.cos(Math.PI / 7))) / 2, 14);
  for (const step of [10, 11, 1000]) expect(wave(step)).toBeCloseTo(0.0005, 14);
  // Two steps are the first and the last.
  const short = oneCycle(1, { steps: 2, rise: 0 });
  expect([1, 2, 3].map(short)).toEqual([1, 1 / 25 / 1e4, 1 / 25 / 1e4]);
  // Without a rise it begins at the top; with nothing else it ends there.
  expect(oneCycle(1, { steps: 10, rise: 0 })(1)).toBe(1);
  // A rise of one step is over at once.
  expect(oneCycle(1, { steps: 10, rise: 0.1 })(1)).toBe(1);
  for (const step of [10, 11, 1000]) expect(oneCycle(1, { steps: 10, rise: 1 })(step)).toBe(1);
});

describe("the rates that trainings apply", () => {
  const engine = createEngineSync();
  afterAll(() => engine.dispose());
  const model = sequential({ input: [1] }, dense(1, { bias: false }));
  // A gradient of 1, at a weight of 0: the step leaves minus the rate.
  const loss = defineLoss("output", (output) => mean(output));
  const data = { x: [[1]], y: [[0]] };
  const zero = { "0.weight": new Float32Array(1) };
  const weightOf = (of: { parameters(): ReadonlyMap<string, { readonly data: Float32Array }> }) =>
    -(of.parameters().get("0.weight")?.data[0] as number);
  const open = (learningRate: Schedule) => compileSync(model, { loss, optimizer: sgd({ learningRate }), engine });
  const apply = (trainer: ReturnType<typeof open>) => {
    trainer.setParameters(zero);
    trainer.trainStepsSync(data, { steps: 1 });
    return weightOf(trainer);
  };

  // Each with its first rate, and that of its last step, which is 12.
  const rates: Readonly<Record<string, readonly [Schedule, first: number, last: number]>> = {
    stepDecay: [stepDecay(1, { every: 4, factor: 0.5 }), 1, 0.25],
    multiStepDecay: [multiStepDecay(1, { milestones: [3, 11], factor: 0.5 }), 1, 0.25],
    exponentialDecay: [exponentialDecay(1, { factor: 0.5, every: 11 }), 1, 0.5],
    polynomialDecay: [polynomialDecay(1, { steps: 11, end: 0.125 }), 1, 0.125],
    cosineDecay: [cosineDecay(1, { steps: 11, end: 0.125 }), 1, 0.125],
    cosineRestarts: [cosineRestarts(1, { steps: 11 }), 1, 1],
    warmup: [warmup(1, { steps: 12 }), 1 / 12, 1],
    oneCycle: [oneCycle(1, { steps: 12, startDivisor: 4, endDivisor: 8 }), 0.25, 1 / 32],
    "oneCycle in three phases": [
      oneCycle(1, { steps: 12, startDivisor: 4, endDivisor: 8, threePhases: true }),
      0.25,
      1 / 32,
    ],
    inverseSquareRoot: [inverseSquareRoot(1, { warmup: 3 }), 1 / 3, 0.5],
    joinSchedules: [
      joinSchedules([warmup(1, { steps: 4 }), oneCycle(1, { steps: 7, endDivisor: 2 })], [5]),
      0.25,
      1 / 50,
    ],
  };

  test.each(Object.entries(rates))("%s: first, last, beyond, and resumed in the midst and at the end", (_, row) => {
    const [rate, first, last] = row;
    const expected = Array.from({ length: 15 }, (_, index) => Math.fround(rate(index + 1)));
    expect(expected[0]).toBe(Math.fround(first));
    expect(expected[11]).toBe(Math.fround(last));
    using trainer = open(rate);
    const checkpoints = expected.map((one, index) => {
      const before = trainer.checkpoint();
      expect(apply(trainer), `step ${index + 1}`).toBe(one);
      return before;
    });
    // Before steps 2, 6, the last, and the first beyond it.
    for (const index of [1, 5, 11, 12]) {
      using resumed = open(rate);
      resumed.restore(checkpoints[index]);
      expect([apply(resumed), apply(resumed)]).toEqual(expected.slice(index, index + 2));
    }
    using workspace = createWorkspaceSync({ engine });
    const step = workspace.step((given, { apply }) => ({ loss: mean(apply(given.x, model)) }), {
      inputs: { x: [1, 1] },
      train: model,
      optimizer: sgd({ learningRate: rate }),
    });
    for (const one of expected) {
      workspace.setParameters(model, zero);
      step({ x: [[1]] });
      expect(weightOf({ parameters: () => workspace.parameters(model) })).toBe(one);
    }
  });
});

test("joined schedules count their own steps", () => {
  const rate = joinSchedules([warmup(1, { steps: 2 }), cosineDecay(1, { steps: 2 }), 0.125], [2, 5]);
  expect([1, 2, 3, 4, 5, 6, 7].map(rate)).toEqual([0.5, 1, 1, 0.5, 0, 0.125, 0.125]);
  const fall = stepDecay(1, { every: 1, factor: 0.5 });
  const three = joinSchedules([fall, fall, fall], [2, 5]);
  expect([1, 2, 3, 4, 5, 6, 7].map(three)).toEqual([1, 0.5, 1, 0.5, 0.25, 1, 0.5]);
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

test("a plateau upwards: more than a tenth above the best is progress", () => {
  const plateau = reduceOnPlateau(1, { mode: "max", threshold: 0.1, patience: 0, factor: 0.5 });
  expect([1, 1.15, 1.25].map((score) => plateau.observe(score))).toEqual([1, 1, 0.5]);
});

test("a difference that is progress is to the better side; the bound itself is none", () => {
  const observed = (options: object, values: number[]) => {
    const plateau = reduceOnPlateau(1, {
      patience: 0,
      factor: 0.5,
      thresholdMode: "absolute",
      threshold: 0.5,
      ...options,
    });
    return values.map((value) => plateau.observe(value));
  };
  expect(observed({ mode: "max" }, [1, 1.75, 2.25, 1.8])).toEqual([1, 1, 0.5, 0.25]);
  expect(observed({ mode: "min" }, [2, 1.25, 0.75, 1.2])).toEqual([1, 1, 0.5, 0.25]);
  expect(observed({ threshold: 0 }, [1, 1, 0.75])).toEqual([1, 0.5, 0.5]);
});

test("what is best while nothing is counted stays the best", () => {
  const plateau = reduceOnPlateau(1, { patience: 0, factor: 0.5, cooldown: 2 });
  // The second value cools for two; 1 is the best of these.
  expect([5, 6, 1, 6, 2].map((value) => plateau.observe(value))).toEqual([1, 0.5, 0.5, 0.5, 0.25]);
});

test("a plateau goes on from every state", () => {
  const options = { patience: 1, cooldown: 3, factor: 0.5 };
  const whole = reduceOnPlateau(0.1, options);
  const rates = golden.values.map((value) => whole.observe(value));
  let part = reduceOnPlateau(0.1, options);
  golden.values.forEach((value, index) => {
    const next = reduceOnPlateau(9, options);
    next.restore(JSON.parse(JSON.stringify(part)));
    part = next;
    expect(part.observe(value), `value ${index}`).toBe(rates[index]);
  });
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
  expect(() => second.restore({ ...first.toJSON(), cooling: -1 })).toThrow("cooling must be a whole number");
});

test("a plateau whose rate has come down to 0 goes on from there", () => {
  const first = reduceOnPlateau(0.1, { factor: 0, patience: 0 });
  expect([2, 3].map((value) => first.observe(value))).toEqual([0.1, 0]);
  const second = reduceOnPlateau(0.1);
  second.restore(first.toJSON());
  expect(second(1)).toBe(0);
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
