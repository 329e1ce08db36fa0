// Numbers that no optimizer, wrapper or schedule may be given: each is refused by name when it is made, before there is a trainer.
import { expect, test } from "vitest";
import { ModelError } from "../../src/engine/errors.js";
import * as optim from "../../src/optim/index.js";
import { stepDecay } from "../../src/optim/schedules.js";

const { adam, sgd } = optim;

type Make = (options: Record<string, unknown>) => unknown;
const of =
  (make: unknown, ...first: unknown[]): Make =>
  (options) =>
    (make as (...args: unknown[]) => unknown)(...first, options);

/** What each option may not be, by its name, besides NaN, infinities and strings. */
const RATE = { learningRate: [-1, -1e-12] };
const DECAY = { weightDecay: [-1e-6, 1001] };
const betas = (...names: string[]) => Object.fromEntries(names.map((name) => [name, [-0.1, 1, 1 - 1e-9, 1.5]]));
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
  sharpnessAware: [of(optim.sharpnessAware, adam()), { rho: [0, -1] }],
  clipByValue: [({ max }) => optim.clipByValue(max as number, sgd()), { max: [0, -1] }],
  clipByNorm: [({ max }) => optim.clipByNorm(max as number, sgd()), { max: [0, -1] }],
  clipByGlobalNorm: [({ max }) => optim.clipByGlobalNorm(max as number, sgd()), { max: [0, -1] }],
};

const rows = Object.entries(makers).flatMap(([name, [make, bad]]) =>
  Object.entries(bad).map(([option, values]) => [`${name}: ${option}`, make, option, values] as const),
);

test("every optimizer and wrapper has its rows", () => {
  const { learningRateAt, groups, defineOptimizer, ...all } = optim;
  expect(Object.keys(makers).sort()).toEqual(Object.keys(all).sort());
});

test.each(rows)("%s", (where, make, option, values) => {
  for (const value of [...values, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, "0.1"]) {
    const refuse = () => make({ [option]: value });
    expect(refuse, `${where} ${value}`).toThrow(ModelError);
    expect(refuse, `${where} ${value}`).toThrow(new RegExp(`^${where.replace(/:.*/, "")}: ${option} must be`));
  }
});

test("a schedule's factor may not make the rate grow", () => {
  expect(() => stepDecay(1, { every: 2, factor: 1.5 })).toThrow("stepDecay: factor must be");
});
