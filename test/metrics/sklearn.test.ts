// Metrics over arrays against scikit-learn: values, curves and printed reports recorded by test/golden/metrics.py.
import * as metrics from "steepest/metrics";
import { expect, test } from "vitest";
import recorded from "../golden/metrics.json" with { type: "json" };

type Case = readonly [name: string, predictions: unknown, targets: unknown, options: object, expected: unknown];
const cases = recorded as unknown as readonly Case[];

/** A few rounding errors: the sums are in another order. */
function expectNear(actual: unknown, expected: unknown, where: string): void {
  if (expected === null) expect(actual, where).toBeNaN();
  else if (expected === "inf") expect(actual, where).toBe(Number.POSITIVE_INFINITY);
  else if (typeof expected === "object") expectEach(actual, expected, where);
  else {
    const distance = Math.abs((actual as number) - (expected as number));
    const most = 1e-12 * Math.max(1, Math.abs(expected as number));
    expect(distance, `${where}: ${actual} is not ${expected}`).toBeLessThanOrEqual(most);
  }
}

function expectEach(actual: unknown, expected: object, where: string): void {
  if (Array.isArray(expected)) {
    expect((actual as unknown[]).length, where).toBe(expected.length);
  }
  for (const [key, one] of Object.entries(expected)) {
    if (key === "text") expect(String(actual), where).toBe(one);
    else expectNear((actual as Record<string, unknown>)[key], one, `${where}.${key}`);
  }
}

const names = [...new Set(cases.map(([name]) => name))];

test("every function has recorded cases", () => {
  const functions = Object.entries(metrics).filter(([, value]) => typeof value === "function");
  expect([...names].sort()).toEqual(functions.map(([name]) => name).sort());
  expect(cases.length).toBeGreaterThan(300);
});

test.each(names)("%s is that of scikit-learn", (name) => {
  const call = new Map<string, unknown>(Object.entries(metrics)).get(name) as (...given: unknown[]) => unknown;
  for (const [own, predictions, targets, options, expected] of cases) {
    if (own !== name) continue;
    expectNear(call(predictions, targets, options), expected, `${name} ${JSON.stringify(options)}`);
  }
});

test.each(Object.keys(metrics.accumulate))("%s, added up part by part, is the same", (name) => {
  const make = metrics.accumulate[name as "accuracy"] as unknown as (
    options: object,
  ) => metrics.Accumulator<unknown[], unknown[], unknown>;
  for (const [own, predictions, targets, options, expected] of cases) {
    if (own !== name) continue;
    const { weights, ...rest } = options as { weights?: number[] };
    const accumulator = make(rest);
    const [given, all] = [predictions as unknown[], targets as unknown[]];
    const columns = given.length / all.length;
    for (const [first, end] of [
      [0, 1],
      [1, 5],
      [5, all.length],
    ]) {
      if (first >= all.length) continue;
      const some = given.slice(first * columns, end * columns);
      accumulator.add(some, all.slice(first, end), weights?.slice(first, end));
    }
    expectNear(accumulator.value(), expected, `${name} ${JSON.stringify(rest)}`);
  }
});
