// Numbers that no optimizer, wrapper or schedule may be given: each is refused by name when it is made, before there is a trainer.
// Groups and schedules that do not fit are refused when the trainer, or the step of a workspace, is made.
import {
  compileSync,
  createEngineSync,
  createWorkspaceSync,
  dense,
  meanSquaredError,
  sequential,
  tanh,
} from "steepest";
import { mean, square, sub } from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";
import { ModelError } from "../../src/engine/errors.js";
import * as optim from "../../src/optim/index.js";
import * as schedules from "../../src/optim/schedules.js";

const { adam, groups, sgd } = optim;

type Make = (options: Record<string, unknown>) => unknown;
const of =
  (make: unknown, ...first: unknown[]): Make =>
  (options) =>
    (make as (...args: unknown[]) => unknown)(...first, options);

/** What each option may not be, by its name, besides NaN, infinities and strings. */
const RATE = { learningRate: [-1, -1e-12] };
const DECAY = { weightDecay: [-1e-6, 1001] };
const betas = (...names: string[]) => Object.fromEntries(names.map((name) => [name, [-0.1, 1, 1 - 1e-9, 1.5]]));
// The smallest and the largest are 0 and infinity in float32.
const BOUND = { max: [0, -1, 1e-46, 1e39] };
const EPSILON = { epsilon: [0, -1e-8, 1.5] };
const BETAS = betas("beta1", "beta2");

const makers: Record<string, readonly [Make, Record<string, readonly number[]>]> = {
  sgd: [of(optim.sgd), { ...RATE, ...DECAY, ...betas("momentum") }],
  adam: [of(optim.adam), { ...RATE, ...DECAY, ...BETAS, ...EPSILON }],
  adamW: [of(optim.adamW), { ...RATE, ...DECAY, ...BETAS, ...EPSILON }],
  nadam: [of(optim.nadam), { ...RATE, ...DECAY, ...BETAS, ...EPSILON, momentumDecay: [-1] }],
  radam: [of(optim.radam), { ...RATE, ...DECAY, ...BETAS, ...EPSILON }],
  adamax: [of(optim.adamax), { ...RATE, ...DECAY, ...BETAS, ...EPSILON }],
  adagrad: [of(optim.adagrad), { ...RATE, ...DECAY, ...EPSILON, learningRateDecay: [-1], initialAccumulator: [-1] }],
  adadelta: [of(optim.adadelta), { ...RATE, ...DECAY, ...EPSILON, ...betas("rho") }],
  rmsprop: [of(optim.rmsprop), { ...RATE, ...DECAY, ...EPSILON, ...betas("alpha", "momentum") }],
  rprop: [of(optim.rprop), { ...RATE, shorter: [0, 1], longer: [1, 0.5], minStep: [-1], maxStep: [-1] }],
  lion: [of(optim.lion), { ...RATE, ...DECAY, ...BETAS }],
  lars: [of(optim.lars), { ...RATE, ...DECAY, ...betas("momentum"), trustCoefficient: [0, -1] }],
  lamb: [of(optim.lamb), { ...RATE, ...DECAY, ...BETAS, ...EPSILON }],
  adafactor: [
    of(optim.adafactor),
    { ...RATE, ...DECAY, beta2Decay: [0.1], epsilon1: [0], epsilon2: [-1], clipThreshold: [0] },
  ],
  muon: [of(optim.muon), { ...RATE, ...DECAY, ...EPSILON, ...betas("momentum"), iterations: [0, 1.5] }],
  averaged: [of(optim.averaged, adam()), { ...betas("decay"), start: [0, 1.5], every: [0, 1.5] }],
  lookahead: [of(optim.lookahead, adam()), { every: [0, 1.5], alpha: [0, -0.5, 1.1] }],
  sharpnessAware: [of(optim.sharpnessAware, adam()), { rho: [0, -1, 1e39] }],
  clipByValue: [({ max }) => optim.clipByValue(max as number, sgd()), BOUND],
  clipByNorm: [({ max }) => optim.clipByNorm(max as number, sgd()), BOUND],
  clipByGlobalNorm: [({ max }) => optim.clipByGlobalNorm(max as number, sgd()), BOUND],
};

const rate = 0.1;
const STEPS = [0, -1, 1.5];
const FACTOR = { factor: [-0.1, 1.5] };

/** The same of schedules, besides their first rate. What a row leaves out must be given. */
const scheduleMakers: Record<string, readonly [Make, Record<string, readonly number[]>, given?: object]> = {
  stepDecay: [of(schedules.stepDecay, rate), { every: STEPS, ...FACTOR }, { every: 2 }],
  multiStepDecay: [of(schedules.multiStepDecay, rate), { milestones: STEPS, ...FACTOR }, { milestones: [2] }],
  exponentialDecay: [of(schedules.exponentialDecay, rate), { ...FACTOR, every: STEPS }, { factor: 0.5 }],
  polynomialDecay: [of(schedules.polynomialDecay, rate), { steps: STEPS, end: [-1], power: [-1] }, { steps: 9 }],
  cosineDecay: [of(schedules.cosineDecay, rate), { steps: STEPS, end: [-1] }, { steps: 9 }],
  cosineRestarts: [of(schedules.cosineRestarts, rate), { steps: STEPS, factor: STEPS, end: [-1] }, { steps: 9 }],
  warmup: [of(schedules.warmup, rate), { steps: STEPS, start: [-0.1, 1.1] }, { steps: 9 }],
  oneCycle: [
    of(schedules.oneCycle, rate),
    { steps: [...STEPS, 1], rise: [-0.1, 1.1], startDivisor: [0, 0.9, -1], endDivisor: [0, 0.9, -1] },
    { steps: 9 },
  ],
  inverseSquareRoot: [of(schedules.inverseSquareRoot, rate), { warmup: STEPS }],
  reduceOnPlateau: [
    of(schedules.reduceOnPlateau, rate),
    { ...FACTOR, patience: [-1, 1.5], threshold: [-1], cooldown: [-1, 1.5], min: [-1] },
  ],
};

const rows = Object.entries({ ...makers, ...scheduleMakers }).flatMap(([name, [make, bad, given]]) =>
  Object.entries(bad).map(([option, values]) => [`${name}: ${option}`, make, option, values, given] as const),
);

test("every optimizer, wrapper and schedule has its rows", () => {
  const { learningRateAt, groups, defineOptimizer, ...all } = optim;
  expect(Object.keys(makers).sort()).toEqual(Object.keys(all).sort());
  const { joinSchedules, ...others } = schedules;
  expect(Object.keys(scheduleMakers).sort()).toEqual(Object.keys(others).sort());
});

test.each(rows)("%s", (where, make, option, values, given) => {
  for (const value of [...values, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, "0.1"]) {
    const refuse = () => make({ ...given, [option]: value });
    expect(refuse, `${where} ${value}`).toThrow(ModelError);
    expect(refuse, `${where} ${value}`).toThrow(new RegExp(`^${where.replace(/:.*/, "")}: ${option} must be`));
  }
});

test("a lookahead may follow all the way", () => {
  expect(optim.lookahead(sgd(), { alpha: 1 }).hyperparameters).toMatchObject({ lookaheadAlpha: 1 });
});

const scheduled = schedules as unknown as Record<string, (...given: unknown[]) => unknown>;

test.each(Object.entries(scheduleMakers))("%s: a rate below 0, of no number, and what must be given", (name, row) => {
  const [make, bad, given = { warmup: 9 }] = row;
  for (const first of [-1, -1e-12, Number.NaN, Number.POSITIVE_INFINITY, "0.1", undefined]) {
    const refuse = () => scheduled[name](first, { ...(name === "reduceOnPlateau" ? {} : given) });
    expect(refuse, `${first}`).toThrow(ModelError);
    expect(refuse, `${first}`).toThrow(new RegExp(`^${name}: learningRate must be`));
  }
  if (name === "reduceOnPlateau") return;
  expect(() => make({})).toThrow(new RegExp(`^${name}: (${Object.keys(bad).join("|")}) must be .*undefined`));
});

test.each([
  [[[5, 3]], "going up, got [5, 3]"],
  [[[2, 2]], "going up, got [2, 2]"],
  [[[]], "going up, got []"],
  [[[0, 2]], "of at least 1, going up, got [0, 2]"],
  [[["1"]], 'of at least 1, going up, got ["1"]'],
])("milestones %j are refused", ([milestones], message) => {
  const wrong = milestones as number[];
  const rates = Array(wrong.length + 1).fill(rate);
  expect(() => schedules.multiStepDecay(rate, { milestones: wrong })).toThrow(message);
  if (wrong.length > 0) expect(() => schedules.joinSchedules(rates, wrong)).toThrow(message);
});

test("joined schedules are refused one by one, and if they are fewer than two or not one more than the milestones", () => {
  const { joinSchedules } = schedules;
  expect(() => joinSchedules([0.1, -1], [2])).toThrow(
    "joinSchedules: rate 1: learningRate must be a number of at least",
  );
  expect(() => joinSchedules([0.1, "fast" as never], [2])).toThrow(
    "joinSchedules: rate 1: learningRate must be a number",
  );
  expect(() => joinSchedules([0.1], [])).toThrow(
    "joinSchedules: the rates must be at least two, in an array, got [0.1]",
  );
  expect(() => joinSchedules([0.1, 0.2, 0.3], [2])).toThrow("milestones must be 2, one less than the rates, got [2]");
});

test("the last phase of one cycle has room: a rise of three phases is at most half", () => {
  const make = (rise: number) => schedules.oneCycle(rate, { steps: 10, threePhases: true, rise });
  expect(() => make(0.51)).toThrow("oneCycle: rise must be at most 0.5 with threePhases, got 0.51");
  expect(make(0.5)(10)).toBeCloseTo(rate / 25 / 1e4, 12);
});

describe("when a trainer or a step is made", () => {
  const engine = createEngineSync();
  afterAll(() => engine.dispose());
  const model = sequential({ input: [2] }, dense(3), tanh(), dense(1));
  const compiling = (optimizer: optim.Optimizer, frozen: string[] = []) => {
    compileSync(model, { loss: meanSquaredError(), optimizer, engine, frozen }).dispose();
  };
  const stepping = (optimizer: optim.Optimizer) => {
    using workspace = createWorkspaceSync({ engine });
    workspace.step((given, { apply }) => ({ loss: mean(square(sub(apply(given.x, model), given.y))) }), {
      inputs: { x: [4, 2], y: [4, 1] },
      train: model,
      optimizer,
    });
  };
  const descent = (learningRate: unknown) => sgd({ learningRate: learningRate as optim.LearningRate });

  const cases: readonly (readonly [name: string, optimizer: optim.Optimizer, message: string])[] = [
    [
      "a path that is none",
      groups({ "hidden.*": sgd(), "*": adam() }),
      'groups: "hidden.*" must match a parameter that is trained, got 0.weight, 0.bias, 2.weight, 2.bias',
    ],
    [
      "a path that is part of one",
      groups({ "0.weigh": sgd(), "*": adam() }),
      'groups: "0.weigh" must match a parameter that is trained',
    ],
    [
      "a parameter without a group",
      groups({ "0.*": sgd(), "*.weight": adam() }),
      'groups: every parameter must match a pattern, got "2.bias" and the patterns "0.*", "*.weight"',
    ],
    [
      "a group that is empty, as those before take all",
      groups({ "*.weight": sgd(), "*.bias": sgd(), "2.*": adam() }),
      'groups: "2.*" must match a parameter that no pattern before it does, got "2.weight" taken: put it first',
    ],
    [
      "an empty group within a group",
      groups({ "0.*": groups({ "*.weight": sgd(), "*.bias": sgd(), "*": adam() }), "*": sgd() }),
      'groups: "*" must match a parameter that no pattern before it does, got "0.weight" taken',
    ],
    [
      "an empty group within a wrapper",
      optim.clipByGlobalNorm(1, optim.averaged(groups({ nothing: sgd(), "*": sgd() }))),
      'groups: "nothing" must match a parameter that is trained',
    ],
    [
      "a vector for muon",
      groups({ "0.*": optim.muon(), "*": sgd() }),
      'muon: a parameter must have at least two axes, got "0.bias" of shape [3]',
    ],
    ["a schedule below 0", descent(() => -1), "sgd: learningRate(1) must be a number of at least 0, got -1"],
    [
      "a schedule of NaN",
      descent((step: number) => Math.log(-step)),
      "sgd: learningRate(1) must be a number of at least 0, got NaN",
    ],
    [
      "a schedule without a rate",
      descent(() => {}),
      "sgd: learningRate(1) must be a number of at least 0, got undefined",
    ],
    [
      "a schedule that throws",
      descent(() => {
        throw new RangeError("no");
      }),
      "optimizer sgd: learningRate(1) must not throw, got RangeError: no",
    ],
    [
      "a schedule of a group within a wrapper",
      optim.lookahead(groups({ "0.*": descent(() => -2), "*": adam() })),
      'sgd and adam: "0.*": learningRate(1) must be a number of at least 0, got -2',
    ],
  ];

  test.each(cases)("%s is refused", (_, optimizer, message) => {
    const used = engine.allocator.usedBytes();
    for (const [make, where] of [
      [compiling, "compile"],
      [stepping, "workspace.step"],
    ] as const) {
      const refuse = () => make(optimizer);
      expect(refuse).toThrow(ModelError);
      expect(refuse).toThrow(`${where}: ${message}`);
    }
    expect(engine.allocator.usedBytes()).toBe(used);
  });

  test("a group whose parameters are all frozen is empty", () => {
    const optimizer = groups({ "0.*": sgd(), "*": adam() });
    compiling(optimizer, ["0.weight"]);
    expect(() => compiling(optimizer, ["0"])).toThrow(
      'compile: groups: "0.*" must match a parameter that is trained, got 2.weight, 2.bias: leave it out, or correct it',
    );
  });

  test.each([
    [() => groups({}), "groups: must be given optimizers by pattern"],
    [() => groups([sgd()] as never), "groups: must be given optimizers by pattern"],
    [() => groups({ "": sgd() }), 'groups: a pattern must be part of a path, got ""'],
    [() => groups({ 0: sgd(), "*": sgd() }), 'groups: a pattern must be part of a path, got "0"'],
    [() => groups({ "*": undefined as never }), 'groups: "*": optimizer must be one such as adam(), got undefined'],
    [() => groups({ "*": adam as never }), 'groups: "*": optimizer must be one such as adam()'],
  ])("groups that are none are refused: case %#", (make, message) => {
    expect(make).toThrow(ModelError);
    expect(make).toThrow(message);
  });
});
