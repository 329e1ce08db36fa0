import { describe, expect, test } from "vitest";
import { createRandom, initialParameters, uniformValues } from "../../bench/data.js";
import {
  type Activation,
  activate,
  deactivate,
  formulas,
  type HiddenActivation,
} from "../../bench/javascript/activations.js";
import { createConvolution } from "../../bench/javascript/conv.js";
import { gemm, rowMajor, transposed } from "../../bench/javascript/gemm.js";
import type { LossName } from "../../bench/javascript/losses.js";
import { createNetwork, type NetworkOptions, type OptimizerName } from "../../bench/javascript/network.js";
import { CheckError } from "../../bench/workload.js";
import { checkConvolution } from "../../bench/workloads/convolution.js";

const random = createRandom(1);
const range = (length: number) => Array.from({ length }, (_, i) => i);

describe("gemm", () => {
  // Below, at and above the panels (3 × 4), the blocks (96 × 128, depth 256) and the row count that is not packed (2).
  const sizes = [
    [1, 5, 3],
    [2, 130, 7],
    [3, 4, 1],
    [4, 5, 2],
    [7, 9, 257],
    [95, 127, 5],
    [96, 128, 256],
    [97, 129, 258],
  ];
  const forms = { plain: [rowMajor, rowMajor], "transposed left": [transposed, rowMajor] } as const;
  const transposedRight = { "transposed right": [rowMajor, transposed] } as const;

  for (const [form, [left, right]] of Object.entries({ ...forms, ...transposedRight })) {
    test.each(sizes)(`${form}: %i × %i, depth %i, against float64`, (m, n, k) => {
      const a = uniformValues(random, m * k);
      const b = uniformValues(random, k * n);
      const start = uniformValues(random, m * n + 8);
      const c = start.slice();
      const x = left(a, left === rowMajor ? k : m);
      const y = right(b, right === rowMajor ? n : k);
      gemm(c, x, y, m, n, k);
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let sum = start[i * n + j];
          for (let p = 0; p < k; p++) {
            sum += a[i * x.rowStride + p * x.columnStride] * b[p * y.rowStride + j * y.columnStride];
          }
          // Float64 inside; what is rounded to float32 is each block of the depth, or each four terms of a few rows.
          if (!(Math.abs(c[i * n + j] - sum) <= 1e-5)) expect.fail(`(${i}, ${j}): ${c[i * n + j]} for ${sum}`);
        }
      }
      expect(c.subarray(m * n)).toEqual(start.subarray(m * n));
    });
  }
});

describe("convolution", () => {
  test.each([
    { batch: 2, height: 5, width: 4, channels: 3, filters: 2, window: 3, padding: 1 },
    { batch: 1, height: 6, width: 7, channels: 1, filters: 5, window: 3, padding: 0 },
    { batch: 2, height: 4, width: 4, channels: 2, filters: 3, window: 2, padding: 2 },
  ])("and its gradients in float64: %j", (sizes) => {
    const { batch, height, width, channels, filters, window } = sizes;
    const convolution = createConvolution(sizes);
    const x = uniformValues(random, batch * height * width * channels);
    const weight = uniformValues(random, window * window * channels * filters);
    const upstream = uniformValues(random, batch * convolution.outHeight * convolution.outWidth * filters);
    const [y, dx, dW] = [upstream, x, weight].map(({ length }) => new Float32Array(length).fill(9));
    convolution.forward(y, x, weight);
    convolution.backwardInput(dx, upstream, weight);
    convolution.backwardWeight(dW, x, upstream);
    const results = [y, dx, dW];
    const places = results.map(({ length }) => range(length));
    const values = () => results.flatMap((result) => Array.from(result));
    checkConvolution(values(), places, { x, weight, upstream }, sizes);
    dx[dx.length - 1] += 1e-4;
    expect(() => checkConvolution(values(), places, { x, weight, upstream }, sizes)).toThrow(CheckError);
  });
});

describe("activations", () => {
  const x = Float32Array.from({ length: 41 }, (_, i) => (i - 20) / 4);

  test.each(Object.keys(formulas) as Activation[])("%s is its formula", (name) => {
    const y = new Float32Array(x.length);
    activate[name](y, x);
    const expected = Float32Array.from(x, formulas[name]);
    for (const i of range(x.length)) expect(Math.abs(y[i] - expected[i])).toBeLessThanOrEqual(2e-7 * Math.abs(y[i]));
  });

  test.each(["relu", "sigmoid", "tanh"] as const)("%s has the derivative of its formula", (name) => {
    const at = x.filter((value) => value !== 0);
    const y = Float32Array.from(at, formulas[name]);
    const dy = new Float32Array(at.length).fill(2);
    deactivate[name](dy, y);
    at.forEach((value, i) => {
      const slope = (formulas[name](value + 1e-5) - formulas[name](value - 1e-5)) / 2e-5;
      expect(Math.abs(dy[i] - 2 * slope)).toBeLessThan(1e-6);
    });
  });
});

/** The loss, term by term in float64: written apart from the network that it checks. */
function lossInFloat64(
  parameters: readonly Float64Array[],
  x: Float32Array,
  targets: Float32Array | Uint32Array,
  { sizes, hidden, loss, batch }: NetworkOptions,
): number {
  let total = 0;
  for (const sample of range(batch)) {
    let values = range(sizes[0]).map((i) => x[sample * sizes[0] + i]);
    sizes.slice(1).forEach((units, layer) => {
      const [weight, bias] = parameters.slice(2 * layer);
      values = range(units).map((j) => values.reduce((sum, value, i) => sum + value * weight[i * units + j], bias[j]));
      if (layer < sizes.length - 2) values = values.map(formulas[hidden]);
    });
    if (loss === "softmaxCrossEntropy") {
      const sum = values.reduce((s, value) => s + Math.exp(value), 0);
      total += Math.log(sum) - values[targets[sample]];
    } else {
      values.forEach((value, j) => {
        const probability = 1 / (1 + Math.exp(-value));
        const target = targets[sample * values.length + j];
        total -= (target * Math.log(probability) + (1 - target) * Math.log(1 - probability)) / values.length;
      });
    }
  }
  return total / batch;
}

function createCase(
  sizes: number[],
  batch: number,
  hidden: HiddenActivation,
  loss: LossName,
  optimizer: OptimizerName,
) {
  const options: NetworkOptions = { sizes, batch, hidden, loss, optimizer, learningRate: 0.01 };
  const network = createNetwork(options);
  const initial = initialParameters(sizes, 3).map((values) => (values[0] === 0 ? values.fill(0.1) : values));
  network.reset(initial);
  const x = uniformValues(random, batch * sizes[0]);
  const outputs = sizes[sizes.length - 1];
  const targets =
    loss === "softmaxCrossEntropy"
      ? Uint32Array.from({ length: batch }, () => Math.floor(random() * outputs))
      : Float32Array.from({ length: batch * outputs }, () => Math.round(random()));
  return { options, network, initial, x, targets };
}

describe("network", () => {
  // Small products run in plain loops; [24, 20, 6] with batch 9 has blocked ones.
  const shapes: [number[], number][] = [
    [[2, 8, 1], 4],
    [[3, 5, 4, 3], 3],
    [[24, 20, 6], 9],
  ];
  const cases = shapes.flatMap(([sizes, batch]) =>
    (["relu", "sigmoid", "tanh"] as const).flatMap((hidden) =>
      (["softmaxCrossEntropy", "binaryCrossEntropy"] as const).map((loss) => ({ sizes, batch, hidden, loss })),
    ),
  );

  test.each(cases)("$sizes, batch $batch, $hidden, $loss: gradients are the slopes of the loss in float64", (c) => {
    const { options, network, initial, x, targets } = createCase(c.sizes, c.batch, c.hidden, c.loss, "sgd");
    const exact = initial.map((values) => Float64Array.from(values));
    const loss = network.computeGradients(x, targets);
    expect(Math.abs(loss - lossInFloat64(exact, x, targets, options))).toBeLessThan(1e-6);
    exact.forEach((values, block) => {
      for (const i of range(values.length)) {
        const before = values[i];
        const [above, below] = [1e-5, -1e-5].map((change) => {
          values[i] = before + change;
          return lossInFloat64(exact, x, targets, options);
        });
        values[i] = before;
        // Gradients are of the order of 0.1; float32 keeps them to 1e-8, the central difference to 1e-10.
        expect(Math.abs(network.gradients[block][i] - (above - below) / 2e-5)).toBeLessThan(3e-7);
      }
    });
  });

  test("computing gradients leaves the parameters alone", () => {
    const { network, initial, x, targets } = createCase([3, 5, 2], 4, "relu", "softmaxCrossEntropy", "sgd");
    network.computeGradients(x, targets);
    expect(network.parameters).toEqual(initial);
  });

  test("sgd: p - rate · g", () => {
    const { network, initial, x, targets } = createCase([3, 5, 2], 4, "relu", "softmaxCrossEntropy", "sgd");
    network.trainStep(x, targets);
    network.parameters.forEach((values, block) => {
      const expected = initial[block].map((value, i) => value - 0.01 * network.gradients[block][i]);
      expect(values).toEqual(expected);
    });
  });

  test("adam: algorithm 1 of Kingma & Ba 2015, in float64, over five steps; reset() starts it again", () => {
    const { network, initial, x, targets } = createCase([3, 5, 2], 4, "tanh", "softmaxCrossEntropy", "adam");
    network.trainStep(x, targets);
    network.reset(initial);
    const exact = initial.map((values) => Array.from(values, (p) => ({ p, m: 0, v: 0 })));
    for (let t = 1; t <= 5; t++) {
      network.trainStep(x, targets);
      exact.forEach((block, at) => {
        block.forEach((state, i) => {
          const g = network.gradients[at][i];
          state.m = 0.9 * state.m + 0.1 * g;
          state.v = 0.999 * state.v + 0.001 * g ** 2;
          state.p -= (0.01 * (state.m / (1 - 0.9 ** t))) / (Math.sqrt(state.v / (1 - 0.999 ** t)) + 1e-8);
        });
      });
    }
    exact.forEach((block, at) => {
      block.forEach(({ p }, i) => {
        expect(Math.abs(network.parameters[at][i] - p)).toBeLessThan(5e-7);
      });
    });
  });

  test("predictions are probabilities that training makes right", () => {
    const { network, initial } = createCase([2, 8, 1], 4, "tanh", "binaryCrossEntropy", "adam");
    network.reset(initial);
    const x = Float32Array.of(0, 0, 0, 1, 1, 0, 1, 1);
    for (let i = 0; i < 1000; i++) network.trainStep(x, Float32Array.of(0, 1, 1, 0));
    expect(Array.from(network.predict(x), Math.round)).toEqual([0, 1, 1, 0]);
  });
});
