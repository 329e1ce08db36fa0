// 100 steps of a small model against PyTorch: every optimizer that PyTorch has, in each of its forms, with and without decay, under
// each way of clipping and none; every schedule that it has, groups, frozen parameters and averages; in a trainer, in a trainer
// that goes on from a checkpoint, and in a workspace.
import * as S from "steepest";
import { mean, square, sub, type Tensor } from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";
import { createWeights, startOf } from "../golden/starts.js";
import golden from "../golden/trajectories.json" with { type: "json" };

const engine = S.createEngineSync();
afterAll(() => engine.dispose());

const STEPS = 100;
const ROWS = 16;
/** The relative error that is allowed, of losses and parameters. PyTorch's own float32 is off by up to 4.3e-6 (rprop). */
const MAX_ERROR = 1e-5;

/** A rate, or a schedule with the name of what makes it. */
type Rate =
  | number
  | { readonly kind: string; readonly rate: Rate; readonly options: object }
  | { readonly kind: "joinSchedules"; readonly rates: readonly Rate[]; readonly milestones: readonly number[] };

interface Case {
  readonly name: string;
  readonly optimizer?: string;
  readonly options?: { readonly learningRate: number };
  readonly groups?: readonly (readonly [pattern: string, optimizer: string, options: object])[];
  readonly clip?: readonly [kind: "clipByValue" | "clipByNorm" | "clipByGlobalNorm", max: number];
  readonly schedule?: Rate;
  readonly plateau?: S.PlateauOptions;
  readonly frozen?: readonly string[];
  readonly average?: S.AveragedOptions;
  /** Of every tenth step. */
  readonly losses: readonly number[];
  readonly parameters: readonly number[];
  readonly averages?: readonly number[];
}

// Recorded by trajectories.py, which is next to it.
const cases = golden.cases as unknown as readonly Case[];

const made = S as unknown as Readonly<Record<string, (...given: unknown[]) => unknown>>;

function rateOf(rate: Rate): S.LearningRate {
  if (typeof rate === "number") return rate;
  if ("rates" in rate) return S.joinSchedules(rate.rates.map(rateOf), rate.milestones);
  return made[rate.kind](rateOf(rate.rate), rate.options) as S.Schedule;
}

/** The optimizer of a case, and what is told the loss of each step. */
function optimizerOf(one: Case): {
  readonly optimizer: S.Optimizer;
  readonly observe: ((loss: number) => number) | undefined;
} {
  const make = (name: string, options: object) => made[name](options) as S.Optimizer;
  const plateau =
    one.plateau === undefined ? undefined : S.reduceOnPlateau(one.options?.learningRate as number, one.plateau);
  const learningRate = one.schedule === undefined ? plateau : rateOf(one.schedule);
  let optimizer =
    one.groups === undefined
      ? make(one.optimizer as string, { ...one.options, ...(learningRate === undefined ? {} : { learningRate }) })
      : S.groups(Object.fromEntries(one.groups.map(([pattern, name, options]) => [pattern, make(name, options)])));
  if (one.clip !== undefined) {
    const [kind, max] = one.clip;
    optimizer = made[kind](max, optimizer) as S.Optimizer;
  }
  if (one.average !== undefined) optimizer = S.averaged(optimizer, one.average);
  return { optimizer, observe: plateau?.observe };
}

const model = S.sequential({ input: [3] }, S.dense(4), S.tanh(), S.dense(2));
const next = createWeights(2);
const x = Float32Array.from({ length: ROWS * 3 }, next);
const y = Float32Array.from({ length: ROWS * 2 }, (_, i) => {
  const first = 3 * Math.floor(i / 2) + (i % 2);
  return 8 * (x[first] - x[first + 1]);
});
const data = { x, y };

function open(one: Case) {
  const { optimizer, observe } = optimizerOf(one);
  const options = { loss: S.meanSquaredError(), optimizer, engine, frozen: one.frozen ?? [] };
  const trainer = S.compileSync(model, options);
  trainer.setParameters(startOf(model));
  /** Trains, and returns the losses. */
  const train = (steps: number): number[] => {
    const some = { batchSize: ROWS, shuffle: false };
    if (observe === undefined) return [...trainer.trainStepsSync(data, { ...some, steps })];
    return Array.from({ length: steps }, () => {
      const [loss] = trainer.trainStepsSync(data, { ...some, steps: 1 });
      observe(loss);
      return loss;
    });
  };
  return { trainer, train, [Symbol.dispose]: () => trainer.dispose() };
}

/** The step of a workspace that trains some of the parameters: `step()` returns its loss. */
function stepOf(optimizer: S.Optimizer, trained: Iterable<readonly [string, Tensor]>) {
  const workspace = S.createWorkspaceSync({ engine });
  const step = workspace.step((given, { apply }) => ({ loss: mean(square(sub(apply(given.x, model), given.y))) }), {
    inputs: { x: [ROWS, 3], y: [ROWS, 2] },
    train: { parameters: new Map(trained) },
    optimizer,
  });
  workspace.setParameters(model, startOf(model));
  return {
    step: () => step(data).loss[0],
    parameters: () => workspace.parameters(model),
    [Symbol.dispose]: () => workspace.dispose(),
  };
}

type Values = ReadonlyMap<string, { readonly data: Float32Array }>;
const flat = (values: Values) => [...values.values()].flatMap(({ data }) => [...data]);

function expectNear(found: readonly number[], expected: readonly number[], least = 0): void {
  expect(found).toHaveLength(expected.length);
  const errors = found.map((value, i) => Math.abs(value - expected[i]) / Math.max(least, Math.abs(expected[i])));
  expect(Math.max(...errors)).toBeLessThan(MAX_ERROR);
}

function expectPath(one: Case, losses: readonly number[], parameters: Values): void {
  expect(losses).toHaveLength(STEPS);
  expectNear(
    losses.filter((_, step) => step % 10 === 0),
    one.losses,
  );
  expectNear(flat(parameters), one.parameters, 1);
}

/** The forms of each optimizer by the flags and momenta that they have. */
const FORMS: Readonly<Record<string, readonly string[]>> = {
  sgd: ["", "momentum", "momentum dampening", "momentum nesterov"],
  adam: ["", "amsgrad"],
  adamW: ["", "amsgrad"],
  nadam: [""],
  radam: [""],
  adamax: [""],
  adagrad: [""],
  adadelta: [""],
  rmsprop: ["", "momentum", "centered", "centered momentum"],
  rprop: [""],
};

test("every optimizer that PyTorch has is there in each form, with decay and without, clipped in each way and not", () => {
  const plain = cases.flatMap((one) => {
    if ((one.optimizer === undefined || one.schedule) ?? one.plateau ?? one.frozen ?? one.average) return [];
    const { weightDecay = 0, ...options } = one.options as Readonly<Record<string, unknown>> & { weightDecay?: number };
    const form = Object.keys(options).filter((key) => /momentum|dampening|nesterov|amsgrad|centered/.test(key));
    return [`${one.optimizer} ${form.sort().join(" ")} ${weightDecay > 0} ${one.clip?.[0]}`];
  });
  const every = Object.entries(FORMS).flatMap(([name, forms]) =>
    forms.flatMap((form) =>
      // Rprop has no decay.
      (name === "rprop" ? [false] : [false, true]).flatMap((decays) =>
        [undefined, "clipByValue", "clipByNorm", "clipByGlobalNorm"].map(
          (clip) => `${name} ${form.split(" ").sort().join(" ")} ${decays} ${clip}`,
        ),
      ),
    ),
  );
  expect(plain.sort()).toEqual(every.sort());
});

describe.each(cases.map((one) => [one.name, one] as const))("%s", (_, one) => {
  test("a trainer takes PyTorch's path", () => {
    using run = open(one);
    expectPath(one, run.train(STEPS), run.trainer.parameters());
    if (one.averages !== undefined) expectNear(flat(run.trainer.parameters({ of: "average" })), one.averages, 1);
  });

  test("so does a step of a workspace", () => {
    const { optimizer, observe } = optimizerOf(one);
    const trained = [...model.parameters].filter(([path]) => !one.frozen?.includes(path));
    using made = stepOf(optimizer, trained);
    const losses = Array.from({ length: STEPS }, () => {
      const loss = made.step();
      observe?.(loss);
      return loss;
    });
    expectPath(one, losses, made.parameters());
  });
});

// Clipping has no state; a plateau's is no part of a checkpoint: see schedules.test.ts.
const resumable = cases.filter(({ clip, plateau }) => clip === undefined && plateau === undefined);

test.each(resumable.map((one) => [one.name, one] as const))("%s: from a checkpoint, the same bits", (_, one) => {
  using whole = open(one);
  using first = open(one);
  using second = open(one);
  const losses = whole.train(STEPS);
  const begun = first.train(37);
  second.trainer.restore(first.trainer.checkpoint());
  expect([...begun, ...second.train(STEPS - 37)]).toEqual(losses);
  expect(second.trainer.checkpoint()).toEqual(whole.trainer.checkpoint());
});

// What PyTorch has not is compared with float64 in papers.test.ts, define.test.ts, sharpnessAware.test.ts and averaged.test.ts.
const others: Readonly<Record<string, () => S.Optimizer>> = {
  lion: () => S.lion({ learningRate: 1e-2, weightDecay: 0.1 }),
  lars: () => S.lars({ learningRate: 5, weightDecay: 0.1 }),
  lamb: () => S.lamb({ learningRate: 1e-2, weightDecay: 0.1 }),
  adafactor: () => S.adafactor({ learningRate: 5e-2 }),
  muon: () => S.groups({ "*.weight": S.muon(), "*": S.adamW({ learningRate: 2e-2 }) }),
  lookahead: () => S.lookahead(S.adam({ learningRate: 2e-2 }), { every: 3 }),
  averaged: () => S.averaged(S.sgd({ learningRate: 1e-2 }), { every: 2 }),
  sharpnessAware: () => S.sharpnessAware(S.sgd({ learningRate: 1e-2 }), { rho: 0.5 }),
  "lazy adam": () => S.adam({ learningRate: 2e-2, lazy: true }),
};

test.each(Object.entries(others))("%s: a workspace takes the path of a trainer, 100 steps", (_, make) => {
  using trainer = S.compileSync(model, { loss: S.meanSquaredError(), optimizer: make(), engine });
  trainer.setParameters(startOf(model));
  const losses = [...trainer.trainStepsSync(data, { steps: STEPS, batchSize: ROWS, shuffle: false })];
  expect(losses[STEPS - 1]).toBeLessThan(0.9 * losses[0]);
  using same = stepOf(make(), [...model.parameters]);
  expectNear(
    losses.map(() => same.step()),
    losses,
  );
  expectNear(flat(same.parameters()), flat(trainer.parameters()), 1);
});
