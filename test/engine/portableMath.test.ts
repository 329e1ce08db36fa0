import { expect, test } from "vitest";
import { cosPi, exp, log, power } from "../../src/engine/portableMath.js";
import { randomNumbers, shuffle } from "../../src/engine/randomNumbers.js";

const words = new BigInt64Array(1);
const doubles = new Float64Array(words.buffer);
const bitsOf = (value: number): bigint => {
  doubles[0] = value;
  return words[0];
};
/** Steps between two float64 numbers of one sign. */
const apart = (a: number, b: number): number => Math.abs(Number(bitsOf(a) - bitsOf(b)));

test("exp and log are next to the host's", () => {
  const random = randomNumbers(1);
  for (let i = 0; i < 100_000; i++) {
    const x = (random.uniform() - 0.5) * (i % 2 === 0 ? 4 : 1400);
    expect(apart(exp(x), Math.exp(x)), `exp(${x})`).toBeLessThanOrEqual(2);
    const y = Math.exp((random.uniform() - 0.5) * (i % 2 === 0 ? 2 : 1400));
    const [mine, host] = [log(y), Math.log(y)];
    expect(apart(mine, host), `log(${y})`).toBeLessThanOrEqual(3);
  }
});

test("cosines and powers are next to the host's", () => {
  const random = randomNumbers(2);
  for (let i = 0; i < 20_000; i++) {
    const x = random.uniform();
    expect(Math.abs(cosPi(x) - Math.cos(Math.PI * x)), `cosPi(${x})`).toBeLessThanOrEqual(
      2 ** -52 + 2 ** -52 * Math.PI,
    );
    const [base, exponent] = [
      random.uniform() * 2,
      i % 2 === 0 ? random.below(200) - 100 : (random.uniform() - 0.5) * 20,
    ];
    const [mine, host] = [power(base, exponent), base ** exponent];
    expect(Math.abs(mine / host - 1), `${base}^${exponent}`).toBeLessThanOrEqual(2e-14);
  }
  expect([cosPi(0), cosPi(0.5), cosPi(1)].map((value) => value + 0)).toEqual([1, 0, -1]);
  expect([power(0, 0), power(0, 0.5), power(0, 3), power(1, 1e15), power(2, -3)]).toEqual([1, 0, 0, 1, 0.125]);
});

test("edges", () => {
  expect([exp(0), exp(-Infinity), exp(Infinity), exp(800), exp(-800)]).toEqual([1, 0, Infinity, Infinity, 0]);
  expect(apart(exp(709.7827128933839), Math.exp(709.7827128933839))).toBeLessThanOrEqual(2);
  expect(exp(NaN)).toBeNaN();
  expect([log(1), log(0), log(Infinity)]).toEqual([0, -Infinity, Infinity]);
  expect(log(-1)).toBeNaN();
  expect(log(5e-324)).toBeCloseTo(Math.log(5e-324), 10);
});

test("bits that every engine gives", () => {
  const all = [exp(1), exp(-3.7), exp(100.25), log(2), log(10), log(1e-200)].map((value) => bitsOf(value).toString(16));
  expect(all).toEqual([
    "4005bf0a8b14576a",
    "3f99511fc6871044",
    "48f8c39b9134bac4",
    "3fe62e42fefa39ef",
    "40026bb1bbb55516",
    "-3f8337ba4ab4ab0e",
  ]);
});

test("random numbers: the same from the same seed, uniform, and others from another", () => {
  const [a, b, c] = [randomNumbers(7), randomNumbers(7), randomNumbers(2 ** 32 + 7)];
  const draw = ({ uniform }: { uniform(): number }) => Array.from({ length: 5 }, uniform);
  const first = draw(a);
  expect(draw(b)).toEqual(first);
  expect(draw(c)).not.toEqual(first);
  // Chi-squared over 16 values with 15 degrees of freedom: 37.7 has a probability of 0.1 %.
  const counts = new Array<number>(16).fill(0);
  const random = randomNumbers(3);
  for (let i = 0; i < 160_000; i++) counts[random.below(16)] += 1;
  expect(counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0)).toBeLessThan(37.7);
});

test("shuffle gives each order as often", () => {
  const random = randomNumbers(5);
  const counts = new Map<string, number>();
  for (let i = 0; i < 60_000; i++) {
    const order = shuffle([0, 1, 2], random).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  // Chi-squared with 5 degrees of freedom: 20.5 has a probability of 0.1 %.
  expect([...counts.values()].reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0)).toBeLessThan(20.5);
  expect(counts.size).toBe(6);
});
