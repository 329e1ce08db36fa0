// The defaults of optimizers are PyTorch's, and the ones that docs/optimizers.md says.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as optim from "../../src/optim/index.js";
import golden from "../golden/trajectories.json" with { type: "json" };

const makers = optim as unknown as Readonly<Record<string, (...given: unknown[]) => optim.Optimizer>>;

/** What is told of an option: those that are off may be left out. */
function told({ learningRate, hyperparameters }: optim.Optimizer, option: string): unknown {
  return option === "learningRate" ? learningRate : (hyperparameters?.[option] ?? 0);
}

// Recorded by trajectories.py.
test.each(Object.entries(golden.defaults))("%s has PyTorch's defaults", (name, defaults) => {
  const optimizer = makers[name]();
  const found = Object.keys(defaults).map((option) => [option, told(optimizer, option)]);
  expect(Object.fromEntries(found)).toEqual(
    Object.fromEntries(Object.entries(defaults).map(([option, value]) => [option, Number(value)])),
  );
});

const docs = readFileSync(new URL("../../docs/optimizers.md", import.meta.url), "utf8");
const [, table] = docs.split("**Options and defaults**");
const rows = table
  .split("**Weight decay**")[0]
  .split("\n")
  .flatMap((line): [name: string, cell: string][] => {
    const [, name, cell] = /^\| `(\w+)` \| ([^|]*) \|/.exec(line) ?? [];
    return name === undefined ? [] : [[name, cell]];
  });

test("the table has a row for every optimizer and wrapper", () => {
  const { learningRateAt, groups, defineOptimizer, clipByGlobalNorm, clipByNorm, clipByValue, ...all } = optim;
  expect(rows.map(([name]) => name).sort()).toEqual([...Object.keys(all), "minimize"].sort());
});

/** What wrappers call their options among the numbers that they tell. */
const WRAPPED: Readonly<Record<string, string>> = {
  "lookahead every": "lookaheadEvery",
  "lookahead alpha": "lookaheadAlpha",
  "averaged decay": "averageDecay",
  "averaged start": "averagedFrom",
};

const plain = rows.filter(([name]) => name !== "minimize");
test.each(plain)("%s: the table's defaults are the code's", (name, cell) => {
  const isWrapper = ["sharpnessAware", "lookahead", "averaged"].includes(name);
  const optimizer = isWrapper ? makers[name](optim.sgd()) : makers[name]();
  const said = [...cell.matchAll(/`(\w+)` (-?[\d.]+(?:e-?\d+)?|true|false)/g)];
  expect(said.length).toBeGreaterThan(0);
  for (const [, option, value] of said) {
    // Other ways of averaging, and the decoupling of no decay, are not told.
    if (["averaged mean", "averaged every", "lion decoupled"].includes(`${name} ${option}`)) continue;
    const expected = value === "true" ? 1 : value === "false" ? 0 : Number(value);
    expect(told(optimizer, WRAPPED[`${name} ${option}`] ?? option), `${name} ${option}`).toBe(expected);
  }
  // Every number that it tells has its place in the table, if it is not that of Adam.
  const own = Object.keys(optimizer.hyperparameters ?? {}).filter(
    (option) => !isWrapper || !(option in (optim.sgd().hyperparameters ?? {})),
  );
  for (const option of own) {
    if (/^(adamW|nadam)$/.test(name) && /beta|epsilon|decoupled/.test(option)) continue;
    const named =
      Object.entries(WRAPPED)
        .find(([, as]) => as === option)?.[0]
        .split(" ")[1] ?? option;
    expect(cell, `${name} ${option}`).toContain(`\`${named}\``);
  }
});

/** Of each form: the slots that it keeps, in their order, and all numbers that it tells. No form keeps what it does not need. */
const forms: readonly (readonly [
  made: () => optim.Optimizer,
  slots: string,
  numbers: Readonly<Record<string, number>>,
])[] = [
  [() => optim.sgd(), "", { momentum: 0, nesterov: 0 }],
  [() => optim.sgd({ momentum: 0.5 }), "velocity", { momentum: 0.5, nesterov: 0 }],
  [() => optim.sgd({ momentum: 0.5, nesterov: true }), "velocity", { momentum: 0.5, nesterov: 1 }],
  [() => optim.sgd({ momentum: 0.5, dampening: 0.4 }), "velocity", { momentum: 0.5, nesterov: 0, dampening: 0.4 }],
  [() => optim.sgd({ weightDecay: 0.1 }), "", { momentum: 0, nesterov: 0, weightDecay: 0.1, decoupled: 0 }],
  [() => optim.sgd({ momentum: 0.5, lazy: true }), "velocity", { momentum: 0.5, nesterov: 0, lazy: 1 }],
  [() => optim.adam(), "firstMoment secondMoment", { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }],
  [
    () => optim.adam({ amsgrad: true, weightDecay: 0.1 }),
    "firstMoment secondMoment maxSecondMoment",
    { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, amsgrad: 1, weightDecay: 0.1, decoupled: 0 },
  ],
  [() => optim.adam({ lazy: true }), "firstMoment secondMoment", { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, lazy: 1 }],
  [
    () => optim.adamW({ weightDecay: 0.1 }),
    "firstMoment secondMoment",
    { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, decoupled: 1 },
  ],
  [
    () => optim.nadam(),
    "firstMoment secondMoment momentumProduct",
    { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, momentumDecay: 0.004 },
  ],
  [() => optim.radam(), "firstMoment secondMoment", { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }],
  [() => optim.adamax(), "firstMoment largest", { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }],
  [() => optim.adagrad(), "sum", { learningRateDecay: 0, initialAccumulator: 0, epsilon: 1e-10 }],
  [() => optim.adadelta(), "squareAverage stepAverage", { rho: 0.9, epsilon: 1e-6 }],
  [() => optim.rmsprop(), "squareAverage", { alpha: 0.99, momentum: 0, centered: 0, epsilon: 1e-8 }],
  [
    () => optim.rmsprop({ momentum: 0.5 }),
    "squareAverage velocity",
    { alpha: 0.99, momentum: 0.5, centered: 0, epsilon: 1e-8 },
  ],
  [
    () => optim.rmsprop({ centered: true }),
    "squareAverage gradientAverage",
    { alpha: 0.99, momentum: 0, centered: 1, epsilon: 1e-8 },
  ],
  [
    () => optim.rmsprop({ centered: true, momentum: 0.5, weightDecay: 0.1, decoupled: true }),
    "squareAverage gradientAverage velocity",
    { alpha: 0.99, momentum: 0.5, centered: 1, epsilon: 1e-8, weightDecay: 0.1, decoupled: 1 },
  ],
  [() => optim.lion(), "momentum", { beta1: 0.9, beta2: 0.99 }],
  [() => optim.lars(), "velocity", { momentum: 0.9, trustCoefficient: 1e-3 }],
  [() => optim.lars({ weightDecay: 0.1 }), "velocity", { momentum: 0.9, trustCoefficient: 1e-3, weightDecay: 0.1 }],
  [() => optim.lamb(), "firstMoment secondMoment", { beta1: 0.9, beta2: 0.999, epsilon: 1e-6 }],
  [
    () => optim.lamb({ weightDecay: 0.1 }),
    "firstMoment secondMoment",
    { beta1: 0.9, beta2: 0.999, epsilon: 1e-6, weightDecay: 0.1 },
  ],
  [() => optim.rprop(), "previousGradient step", { shorter: 0.5, longer: 1.2, minStep: 1e-6, maxStep: 50 }],
  [() => optim.sharpnessAware(optim.sgd()), "perturbed", { momentum: 0, nesterov: 0, rho: 0.05 }],
  [
    () => optim.sharpnessAware(optim.sgd(), { adaptive: true }),
    "perturbed",
    { momentum: 0, nesterov: 0, rho: 0.05, adaptive: 1 },
  ],
  [
    () => optim.lookahead(optim.averaged(optim.sgd({ momentum: 0.5 }))),
    "velocity average slow",
    { momentum: 0.5, nesterov: 0, averageDecay: 0.999, averagedFrom: 1, lookaheadEvery: 5, lookaheadAlpha: 0.5 },
  ],
];

test.each(forms.map(([make, slots, numbers]) => [make().name, slots, make, numbers] as const))(
  "%s keeps %j",
  (_, slots, make, numbers) => {
    const optimizer = make();
    expect(optimizer.hyperparameters).toEqual(numbers);
    const tensor = { path: "a", shape: [2, 3], length: 6 };
    expect((optimizer.slots?.([tensor]) ?? []).map(({ name }) => name).join(" ")).toBe(slots);
  },
);

test("an optimizer tells its numbers, a wrapper those of what it wraps too, groups by their patterns", () => {
  const numbers = ({ hyperparameters }: optim.Optimizer) => hyperparameters;
  const momentum = { momentum: 0.5, nesterov: 0 };
  const adams = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
  expect(numbers(optim.sgd({ momentum: 0.5 }))).toEqual(momentum);
  expect(numbers(optim.sgd({ momentum: 0.5, nesterov: true, lazy: true }))).toEqual({
    ...momentum,
    nesterov: 1,
    lazy: 1,
  });
  expect(numbers(optim.adam())).toEqual(adams);
  expect(numbers(optim.adam({ lazy: true, beta1: 0.8 }))).toEqual({ ...adams, beta1: 0.8, lazy: 1 });
  const average = optim.averaged(optim.sgd({ momentum: 0.5 }), { decay: 0.75 });
  expect(numbers(average)).toEqual({ ...momentum, averagedFrom: 1, averageDecay: 0.75 });
  expect(numbers(optim.averaged(optim.sgd({ momentum: 0.5 }), { mean: true, start: 9 }))).toEqual({
    ...momentum,
    averagedFrom: 9,
  });
  const clipped = optim.clipByGlobalNorm(1, optim.clipByNorm(2, optim.clipByValue(3, average)));
  const clips = { clipByGlobalNorm: 1, clipByNorm: 2, clipByValue: 3 };
  expect(numbers(clipped)).toEqual({ ...numbers(average), ...clips });
  expect(numbers(optim.groups({ "*.bias": optim.clipByNorm(2, optim.sgd()), "*": optim.adam() }))).toEqual({
    "*.bias: momentum": 0,
    "*.bias: nesterov": 0,
    "*.bias: clipByNorm": 2,
    ...Object.fromEntries(Object.entries(adams).map(([name, value]) => [`*: ${name}`, value])),
  });
});

test("a wrapper stores the tensors as what it wraps likes them: a group in one block", () => {
  const parts = optim.groups({ "*.bias": optim.sgd(), "*": optim.adam() });
  const tensors = ["a.weight", "a.bias", "b.weight", "b.bias"].map((path) => ({ path, shape: [4], length: 4 }));
  const paths = (optimizer: optim.Optimizer) => optimizer.order?.(tensors).map(({ path }) => path);
  expect(paths(parts)).toEqual(["a.bias", "b.bias", "a.weight", "b.weight"]);
  expect(paths(optim.lookahead(optim.clipByNorm(1, parts)))).toEqual(paths(parts));
});
