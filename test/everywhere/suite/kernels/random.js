// Operations that draw random numbers. The numbers themselves have no formula: the digest compares them.
import { expect } from "../checks.js";

const SHAPE = [65, 67, 61];
const SIZE = 65 * 67 * 61;
const CLOCK = { clock: { shape: [16], data: Uint32Array.of(9, ...new Uint32Array(15)) } };
const KEY = { seed: [1, 2], stream: 3 };

/** The mean and the (biased) variance of an array. */
function momentsOf(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length };
}

/** `trace(graph, x, options)` of threes, or of `x`; `verify` throws where what came out cannot be. */
const drawn = (operation, trace, verify, x = new Float32Array(SIZE).fill(3)) => ({
  operation,
  inputs: { x: SHAPE },
  values: { x },
  wordInputs: CLOCK,
  trace: (graph, { x, clock }) => trace(graph, x, { ...KEY, clock }),
  verify,
});

/** Mean and variance as so many numbers should have them: within six standard errors of a normal sample's. */
const spread = (wantedMean, wantedVariance) => (y) => {
  const { mean, variance } = momentsOf(y);
  const error = 6 / Math.sqrt(y.length);
  expect(Math.abs(mean - wantedMean) < error * Math.sqrt(wantedVariance), `the mean is ${mean}`);
  expect(Math.abs(variance / wantedVariance - 1) < error * 2, `the variance is ${variance}`);
};

/** Only these values; the share of the first is within six standard errors of `share`. */
const oneOf = (values, share, count) => (y) => {
  const wrong = y.find((value) => !values.some((wanted) => Math.abs(value - wanted) < 1e-6));
  expect(wrong === undefined, `${wrong} is none of ${values.join(", ")}`);
  const firsts = y.filter((value) => Math.abs(value - values[0]) < 1e-6).length / y.length;
  expect(Math.abs(firsts - share) < 6 * Math.sqrt((share * (1 - share)) / count), `${firsts} of it is ${values[0]}`);
};

// What alphaDropout() puts in the place of what it drops, and what it makes of a 3: Klambauer et al. 2017.
const LEAST = -1.0507009873554805 * 1.6732632423543772;
const RATE = 0.3;
const FACTOR = 1 / Math.sqrt((1 - RATE) * (1 + RATE * LEAST ** 2));
const [DROPPED, KEPT] = [LEAST, 3].map((value) => FACTOR * (value - LEAST * RATE));

export const RANDOM = [
  drawn("dropout", (graph, x, key) => graph.dropout(x, { ...key, rate: 0.25 }), oneOf([0, 4], 0.25, SIZE)),
  drawn(
    "spatialDropout",
    (graph, x, key) => graph.spatialDropout(x, { ...key, rate: 0.25 }),
    (y) => {
      oneOf([0, 4], 0.25, 65 * 61)(y);
      const whole = y.every((value, i) => value === y[Math.floor(i / (67 * 61)) * 67 * 61 + (i % 61)]);
      expect(whole, "a channel is dropped in parts");
    },
  ),
  drawn(
    "alphaDropout",
    (graph, x, key) => graph.alphaDropout(x, { ...key, rate: RATE }),
    oneOf([DROPPED, KEPT], RATE, SIZE),
  ),
  drawn(
    "randomNormal",
    (graph, x, key) => graph.add(graph.randomNormal(SHAPE, { ...key, mean: -1, standardDeviation: 2 }), x),
    spread(2, 4),
  ),
  drawn(
    "randomUniform",
    (graph, x, key) => graph.add(graph.randomUniform(SHAPE, { ...key, low: -1, high: 5 }), x),
    spread(5, 3),
  ),
];
