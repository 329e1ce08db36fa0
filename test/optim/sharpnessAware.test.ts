// Sharpness-aware steps: gradients are taken twice, and everything else is as of the first time.
import {
  averaged,
  batchNorm,
  clipByGlobalNorm,
  compileSync,
  createEngine,
  createEngineSync,
  createWorkspaceSync,
  dense,
  dropout,
  groups,
  meanSquaredError,
  type Optimizer,
  sequential,
  sgd,
  sharpnessAware,
  tanh,
} from "steepest";
import { mean, square, sub } from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const model = sequential({ input: [2] }, dense(8), tanh(), dense(1));
const x = Array.from({ length: 40 }, (_, i) => [Math.sin(3 * i), Math.cos(5 * i)]);
const data = { x, y: x.map(([a, b]) => [2 * a - b]) };
const loss = meanSquaredError();
const open = (optimizer: Optimizer, of = model, accumulate = 1) =>
  compileSync(of, { loss, optimizer, engine, seed: 3, accumulate });

type Values = Map<string, { readonly data: Float32Array }>;
const flat = (values: Values, paths: Iterable<string>) =>
  [...paths].flatMap((path) => [...(values.get(path)?.data ?? [])]);

/** The gradients at the point of Foret et al. 2021, equation 2 (adaptive: Kwon et al. 2021, with η = 0). */
function gradientsAhead(
  probe: ReturnType<typeof open>,
  batch: typeof data,
  at: Values,
  rho: number,
  adaptive: boolean,
): Values {
  probe.setParameters(at as never);
  const g = probe.gradientsSync(batch);
  const paths = [...g.keys()];
  const [p, slope] = [flat(at, paths), flat(g, paths)];
  const norm = Math.hypot(...slope.map((value, i) => (adaptive ? p[i] * value : value)));
  const ahead = new Map(
    paths.map((path) => {
      const [values, own] = [flat(at, [path]), flat(g, [path])];
      return [
        path,
        Float32Array.from(values, (value, i) => value + (rho / norm) * own[i] * (adaptive ? value ** 2 : 1)),
      ];
    }),
  );
  probe.setParameters(Object.fromEntries(ahead));
  return probe.gradientsSync(batch);
}

function expectStep(after: Values, before: Values, gradients: Values, rate: number): void {
  for (const [path, { data: g }] of gradients) {
    const [p, q] = [flat(before, [path]), flat(after, [path])];
    g.forEach((value, i) => expect(Math.abs(q[i] - (p[i] - rate * value))).toBeLessThan(1e-6));
  }
}

describe("sharpnessAware", () => {
  test.each([
    [0.05, false, 10],
    [0.5, false, 100],
    [0.5, true, 100],
  ])("rho %f, adaptive %s: the step that the gradients ahead give, %i times", (rho, adaptive, steps) => {
    using trainer = open(sharpnessAware(sgd({ learningRate: 0.1 }), { rho, adaptive }));
    using plain = open(sgd());
    for (let step = 1; step <= steps; step++) {
      const before = trainer.parameters();
      plain.setParameters(before);
      const scored = plain.evaluateSync(data).loss;
      const [first] = trainer.trainStepsSync(data, { steps: 1 });
      // The loss is that at the parameters.
      expect(first).toBeCloseTo(scored, 6);
      expectStep(trainer.parameters(), before, gradientsAhead(plain, data, before, rho, adaptive), 0.1);
    }
  });

  test("with several batches a step, each batch looks for its own point", () => {
    using trainer = open(sharpnessAware(sgd({ learningRate: 0.1 }), { rho: 0.5 }), model, 3);
    using plain = open(sgd());
    const before = trainer.parameters();
    const losses = trainer.trainStepsSync(data, { steps: 1, batchSize: 16, shuffle: false });
    const parts = [0, 16, 32].map((row) => ({ x: data.x.slice(row, row + 16), y: data.y.slice(row, row + 16) }));
    const all = parts.map((part) => gradientsAhead(plain, part, before, 0.5, false));
    const sum = new Map(
      [...all[0]].map(([path, { data }]) => [
        path,
        {
          data: data.map((_, i) =>
            all.reduce((s, one, k) => s + (parts[k].x.length / 40) * (one.get(path)?.data[i] as number), 0),
          ),
        },
      ]),
    );
    expectStep(trainer.parameters(), before, sum, 0.1);
    plain.setParameters(before);
    expect(losses[0]).toBeCloseTo(plain.evaluateSync(data).loss, 6);
  });

  test("statistics of batches are those at the parameters; dropout draws the same masks twice", () => {
    const layers = sequential({ input: [2] }, dense(8), batchNorm(), tanh(), dropout(0.5), dense(1));
    using trainer = open(sharpnessAware(sgd({ learningRate: 0 }), { rho: 5 }), layers);
    using plain = open(sgd({ learningRate: 0 }), layers);
    for (const one of [trainer, plain]) one.trainStepsSync(data, { steps: 5, batchSize: 8 });
    expect(trainer.parameters()).toEqual(plain.parameters());
    // At a rho of next to nothing, the step is the plain one: with other masks it would be far from it.
    using near = open(sharpnessAware(sgd({ learningRate: 0.1 }), { rho: 1e-7 }), layers);
    using other = open(sgd({ learningRate: 0.1 }), layers);
    for (const one of [near, other]) one.trainStepsSync(data, { steps: 3, batchSize: 8 });
    for (const [path, { data }] of other.parameters()) {
      data.forEach((value, i) => expect(near.parameters().get(path)?.data[i]).toBeCloseTo(value, 4));
    }
  });

  test("within a wrapper it looks ahead as it does alone", () => {
    const make = () => sharpnessAware(sgd({ learningRate: 0.1 }), { rho: 0.5 });
    const [inside, alone, plain] = [averaged(make()), make(), sgd({ learningRate: 0.1 })].map((optimizer) => {
      using trainer = open(optimizer);
      trainer.trainStepsSync(data, { steps: 3 });
      return trainer.parameters();
    });
    expect(inside).toEqual(alone);
    expect(inside).not.toEqual(plain);
  });

  test("its point is not in checkpoints, and no average", () => {
    using trainer = open(sharpnessAware(averaged(sgd({ momentum: 0.5 }))));
    trainer.trainStepsSync(data, { steps: 2 });
    expect([...trainer.checkpoint().optimizer.slots.keys()]).toEqual(["velocity", "average"]);
    expect(() => trainer.evaluateSync(data, { parameters: "perturbed" })).toThrow('parameters must be "average"');
  });

  test("within groups, the others stay where they are; wrappers go around and within; a workspace does the same", () => {
    const make = () =>
      clipByGlobalNorm(
        0.5,
        groups({ "0.*": sharpnessAware(averaged(sgd({ learningRate: 0.1 })), { rho: 0.3 }), "*": sgd() }),
      );
    using trainer = open(make());
    using workspace = createWorkspaceSync({ engine, seed: 3 });
    workspace.setParameters(model, trainer.parameters());
    const step = workspace.step(
      (given, { apply }) => {
        const y = apply(given.x, model);
        return { loss: mean(square(sub(y, given.y))), y };
      },
      { inputs: { x: [40, 2], y: [40, 1] }, train: model, optimizer: make() },
    );
    for (let i = 0; i < 6; i++) {
      const predicted = trainer.predictSync(x);
      const [expected] = trainer.trainStepsSync(data, { steps: 1 });
      const result = step(data);
      expect(result.loss[0]).toBeCloseTo(expected, 6);
      // Results are from before the changes, and not from ahead.
      result.y.forEach((value, j) => expect(value).toBeCloseTo(predicted[j], 5));
    }
    for (const [path, { data }] of trainer.parameters()) {
      data.forEach((value, i) => expect(workspace.parameters(model).get(path)?.data[i]).toBeCloseTo(value, 5));
    }
  });

  test("the same bits for 1, 2 and 4 threads", async () => {
    const large = sequential({ input: [100] }, dense(300), tanh(), dense(100));
    const rows = { x: Float32Array.from({ length: 800 }, (_, i) => Math.sin(i)), y: new Float32Array(800).fill(0.5) };
    const ends = [];
    for (const threads of [1, 2, 4]) {
      using own = await createEngine({ threads });
      const optimizer = sharpnessAware(sgd({ learningRate: 0.1, momentum: 0.9 }), { adaptive: true });
      using trainer = compileSync(large, { loss, optimizer, engine: own, seed: 1, accumulate: 2 });
      trainer.trainStepsSync(rows, { steps: 4, batchSize: 3 });
      ends.push(trainer.checkpoint());
    }
    for (const end of ends.slice(1)) expect(end).toEqual(ends[0]);
  });

  test.each([
    [() => sharpnessAware(sgd(), { rho: 0 }), "sharpnessAware: rho must be a number above 0, got 0"],
    [() => sharpnessAware({} as never), "sharpnessAware: optimizer must be one such as adam(), got {}"],
    [
      () => open(sharpnessAware(sharpnessAware(sgd()))),
      'slots must have names of their own, got "perturbed" twice for "0.weight"',
    ],
    [
      () =>
        open({ name: "mine", learningRate: 0, slots: () => [{ name: "q", length: 3, perturbed: true }], record() {} }),
      'slot "q": must have a value for each parameter if it is perturbed, got a length: leave it out',
    ],
  ] as [() => unknown, string][])("refuses: case %#", (create, message) => {
    expect(create).toThrowError(
      expect.objectContaining({ name: "ModelError", message: expect.stringContaining(message) }),
    );
  });
});
