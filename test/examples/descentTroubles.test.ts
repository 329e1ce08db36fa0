import {
  adam,
  binaryCrossEntropy,
  compileSync,
  DivergenceError,
  dense,
  glorotUniform,
  heUniform,
  relu as reluLayer,
  sequential,
  sgd,
  sigmoid as sigmoidLayer,
} from "steepest";
import { relu, sigmoid } from "steepest/graph";
import { describe, expect, test } from "vitest";
import {
  CURVATURE,
  circle,
  circleEntropy,
  crossings,
  decayingRate,
  descendParabola,
  descendRavine,
  descendValleys,
  gradientNorms,
  learnCircle,
  learnSine,
  ravine,
  ravineRate,
  ravineStart,
  trainRavine,
} from "../../examples/descentTroubles.js";

describe("the step", () => {
  // x is multiplied by 1 - 2·rate: LeCun et al. 1998, "Efficient BackProp", section 5.1: it diverges beyond 2 / curvature.
  test.each([1.02, 0.005, 0.3])("rate %d on a parabola is a geometric sequence", (rate) => {
    descendParabola(rate).values.forEach((value, step) => {
      expect(value / (1 - 2 * rate) ** (2 * step)).toBeCloseTo(1, 9);
    });
  });

  test("too large diverges, too small has hardly moved, a good one has arrived", () => {
    expect(descendParabola(1.02).value).toBeGreaterThan(100);
    expect(descendParabola(0.005).value).toBeGreaterThan(0.25);
    expect(descendParabola(0.3).value).toBeLessThan(1e-40);
  });

  test("a net learns at rate 0.1 and diverges at rate 2, with a DivergenceError that says when", () => {
    const { losses, error } = learnSine(0.1);
    expect(error).toBeUndefined();
    expect(losses).toHaveLength(60);
    expect(losses[59]).toBeLessThan(losses[0] / 20);
    const blown = learnSine(2);
    expect(blown.error).toBeInstanceOf(DivergenceError);
    expect(blown.error?.step).toBe(blown.losses.length + 1);
    expect(blown.error?.message).toMatch(
      /loss became (Infinity|NaN) at step \d+ .* learning rate 2; the trainer is back at the end of step \d+: /,
    );
    blown.losses.slice(2).forEach((loss, i) => {
      expect(loss).toBeGreaterThan(1e3 * blown.losses[i + 1]);
    });
  });
});

describe("the local minimum", () => {
  // Where 4x³ - 8x + 1 = 0, by Viète's formula for three real roots.
  const root = (k: number) =>
    2 * Math.sqrt(2 / 3) * Math.cos(Math.acos(-(3 / 16) * Math.sqrt(3 / 2)) / 3 - (2 * Math.PI * k) / 3);
  const [local, hill, global] = [root(0), root(1), root(2)].sort((a, b) => b - a);

  test("the roots are those that the example names", () => {
    expect([local, hill, global].map((x) => x.toFixed(3))).toEqual(["1.347", "0.126", "-1.473"]);
  });

  test("holds plain descent, which never sees the other side of the hill", () => {
    const { x, path } = descendValleys(0);
    expect(x[0]).toBeCloseTo(local, 6);
    for (const [at] of path) expect(at).toBeGreaterThan(hill);
  });

  test("momentum gets over the hill, and ends lower", () => {
    const { x, value } = descendValleys(0.9);
    expect(Math.abs(x[0] - global)).toBeLessThan(0.01);
    expect(value).toBeLessThan(descendValleys(0).value - 2);
  });
});

describe("the plateau", () => {
  const sigmoidNorms = gradientNorms(sigmoid, glorotUniform());
  const reluNorms = gradientNorms(relu, heUniform());

  // The slope of a sigmoid is at most 1/4 (Hochreiter 1991; Glorot & Bengio 2010).
  test("sigmoid gradients vanish layer by layer, ReLU's do not", () => {
    expect(sigmoidNorms).toHaveLength(8);
    sigmoidNorms.slice(1).forEach((norm, i) => {
      expect(sigmoidNorms[i]).toBeLessThan(norm / 2);
    });
    expect(sigmoidNorms[7] / sigmoidNorms[0]).toBeGreaterThan(1e4);
    expect(reluNorms[7] / reluNorms[0]).toBeLessThan(5);
    expect(Math.min(...reluNorms)).toBeGreaterThan(0.01);
  });

  // Descent at rate 1 moves the weights by the gradient: the same numbers through layers and optimizer.
  test.each([
    ["ReLU", reluLayer, heUniform(), reluNorms, 0],
    ["sigmoid", sigmoidLayer, glorotUniform(), sigmoidNorms, 5],
  ] as const)(
    "the norms of %s are those of one step of a trainer",
    (_, activation, weightInitializer, norms, first) => {
      const layers = Array.from({ length: 7 }, () => [dense(16, { bias: false, weightInitializer }), activation()]);
      const model = sequential({ input: [2] }, ...layers.flat(), dense(1, { bias: false, weightInitializer }));
      using trainer = compileSync(model, { loss: binaryCrossEntropy(), optimizer: sgd({ learningRate: 1 }), seed: 0 });
      const before = [...trainer.parameters().values()].map(({ data }) => data);
      trainer.trainBatchSync(circle);
      const after = [...trainer.parameters().values()].map(({ data }) => data);
      for (let layer = first; layer < 8; layer++) {
        const moved = Math.hypot(...before[layer].map((weight, i) => weight - after[layer][i]));
        // Weights up to 1 are rounded to 2^-24: 1e-6 in all over 256 of them.
        expect(Math.abs(moved - norms[layer])).toBeLessThan(1e-6);
      }
    },
  );

  test("so the sigmoid net stays at the entropy of the share of ones, while the ReLU net learns", () => {
    const [stuck, learnt] = [learnCircle(sigmoidLayer, glorotUniform()), learnCircle(reluLayer, heUniform())];
    const ones = circle.y.filter((y) => y === 1).length;
    expect(circleEntropy).toBeCloseTo(
      -(ones / 64) * Math.log(ones / 64) - (1 - ones / 64) * Math.log(1 - ones / 64),
      12,
    );
    for (const loss of stuck.slice(100)) expect(Math.abs(loss - circleEntropy)).toBeLessThan(1e-3);
    expect(learnt[399]).toBeLessThan(0.01);
  });
});

describe("the ravine", () => {
  test("plain descent at 2 / curvature is thrown from wall to wall for ever", () => {
    const run = descendRavine();
    run.path.forEach((point, step) => {
      expect(point[1]).toBeCloseTo((-1) ** step, 10);
    });
    expect(crossings(run)).toBe(100);
    expect(run.values[100]).toBeGreaterThan(CURVATURE / 2);
  });

  test("a decaying rate is asked for at every step, from 1, and ends the bouncing", () => {
    const { path, values } = descendRavine({ learningRate: decayingRate });
    let [x0, x1] = ravineStart;
    for (let step = 1; step <= 100; step++) {
      x0 *= 1 - decayingRate(step);
      x1 *= 1 - decayingRate(step) * CURVATURE;
      expect(path[step][0]).toBeCloseTo(x0, 10);
      expect(path[step][1]).toBeCloseTo(x1, 10);
    }
    expect(Math.abs(path[100][1])).toBeLessThan(1e-6);
    expect(values[100]).toBeLessThan(1);
  });

  // Polyak 1964: each coordinate follows z² - (1 + m - rate·curvature)·z + m = 0; the larger root rules.
  test("momentum shrinks f by the square of the larger root in each step", () => {
    const sum = 1 + 0.6 - ravineRate;
    const larger = (sum + Math.sqrt(sum * sum - 4 * 0.6)) / 2;
    const { values } = descendRavine({ momentum: 0.6 });
    expect(values[100] / values[99]).toBeCloseTo(larger ** 2, 4);
    expect(values[100]).toBeLessThan(1e-9);
  });

  test("a neuron's loss is the same ravine: the library's SGD goes the same way in it", () => {
    const rate = ravineRate / 2;
    const trained = trainRavine(sgd({ learningRate: rate, momentum: 0.6 }));
    const descended = descendRavine({ learningRate: rate, momentum: 0.6 });
    trained.path.forEach((point, step) => {
      expect(Math.abs(point[0] - descended.path[step][0])).toBeLessThan(1e-5);
      expect(Math.abs(point[1] - descended.path[step][1])).toBeLessThan(1e-5);
    });
  });

  // Kingma & Ba 2015, algorithm 1, in float64.
  test("Adam goes the way of its algorithm, and gets further than plain descent", () => {
    const x = [...ravineStart];
    const [m, v] = [
      [0, 0],
      [0, 0],
    ];
    const run = trainRavine(adam({ learningRate: 0.5 }));
    for (let t = 1; t <= 100; t++) {
      const slope = [x[0], CURVATURE * x[1]];
      slope.forEach((g, i) => {
        m[i] = 0.9 * m[i] + 0.1 * g;
        v[i] = 0.999 * v[i] + 0.001 * g * g;
        x[i] -= (0.5 * (m[i] / (1 - 0.9 ** t))) / (Math.sqrt(v[i] / (1 - 0.999 ** t)) + 1e-8);
      });
      expect(Math.abs(run.path[t][0] - x[0])).toBeLessThan(1e-4);
      expect(Math.abs(run.path[t][1] - x[1])).toBeLessThan(1e-4);
    }
    expect(run.values[100]).toBeLessThan(ravine([1, 0.1]));
    expect(run.values[100]).toBeLessThan(descendRavine().values[100] / 1000);
  });
});
