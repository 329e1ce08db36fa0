import { compileSync, dense, flatten, meanSquaredError, sequential, sgd } from "steepest";
import { naiveForecast, split, timeWindows } from "steepest/data";
import { describe, expect, test } from "vitest";

describe("windows", () => {
  test("past, horizon and stride", () => {
    const windows = timeWindows([1, 2, 3, 4, 5, 6, 7], { past: 2, horizon: 3, stride: 2 });
    expect(windows.samples).toBe(2);
    expect([...windows.x]).toEqual([1, 2, 3, 4]);
    expect([...windows.y]).toEqual([3, 4, 5, 5, 6, 7]);
  });

  test("of several columns, some are forecast; flat and nested series are the same", () => {
    const nested = [
      [1, 10, 100],
      [2, 20, 200],
      [3, 30, 300],
      [4, 40, 400],
    ];
    const windows = timeWindows(nested, { past: 2, targets: [2, 0] });
    expect([...windows.x]).toEqual([1, 10, 100, 2, 20, 200, 2, 20, 200, 3, 30, 300]);
    expect([...windows.y]).toEqual([300, 3, 400, 4]);
    expect(timeWindows(nested.flat(), { past: 2, targets: [2, 0], columns: 3 })).toEqual(windows);
  });

  test("are samples as they are: a trainer takes them, and they can be split", () => {
    const windows = timeWindows([1, 2, 3, 4, 5, 6, 7, 8], { past: 2 });
    expect(Object.keys(windows)).toEqual(["x", "y"]);
    const { past, horizon, columns, targets } = windows;
    expect([past, horizon, columns, targets]).toEqual([2, 1, 1, [0]]);
    const model = sequential({ input: [2, 1] }, flatten(), dense(1));
    using trainer = compileSync(model, { loss: meanSquaredError(), optimizer: sgd({ learningRate: 1e-3 }) });
    expect(trainer.fitSync(windows, { epochs: 1 })[0]?.samples).toBe(6);
    const parts = split(windows, { parts: { training: 0.5, test: 0.5 }, shuffle: false, count: windows.samples });
    expect([...parts.training.y]).toEqual([3, 4, 5]);
  });

  test("a series that is exactly one window, and one that is too short", () => {
    expect(timeWindows([1, 2, 3], { past: 2 }).samples).toBe(1);
    expect(() => timeWindows([1, 2], { past: 2 })).toThrow("at least 3 steps, a past of 2 and a horizon of 1, got 2");
    expect(() => timeWindows([1, NaN, 3], { past: 1 })).toThrow("got NaN in row 1, column 0");
    expect(() => timeWindows([[1], [2, 3]], { past: 1 })).toThrow("each row must have 1 columns, got [2, 3] at 1");
  });
});

describe("the naive forecast", () => {
  test("is the last value, or that of the season before, repeated over a long horizon", () => {
    const windows = timeWindows([1, 2, 3, 4, 5, 6, 7, 8, 9], { past: 4, horizon: 5 });
    expect([...naiveForecast(windows)]).toEqual([4, 4, 4, 4, 4]);
    expect([...naiveForecast(windows, { period: 2 })]).toEqual([3, 4, 3, 4, 3]);
    expect(() => naiveForecast(windows, { period: 5 })).toThrow("period must be a whole number from 1 to 4, got 5");
    const facts = { samples: 1, past: 4, horizon: 5, columns: 1, targets: [1] };
    expect(() => naiveForecast({ x: windows.x, y: windows.y, ...facts })).toThrow(
      "naiveForecast: the windows must be those of timeWindows",
    );
  });

  test("is of the targets", () => {
    const series = Array.from({ length: 6 }, (_, i) => [i, 10 * i]);
    expect([...naiveForecast(timeWindows(series, { past: 3, targets: [1] }))]).toEqual([20, 30, 40]);
  });

  test("is right for a series that repeats", () => {
    const series = Array.from({ length: 60 }, (_, i) => Math.fround(Math.sin((2 * Math.PI * (i % 12)) / 12)));
    const windows = timeWindows(series, { past: 24, horizon: 18 });
    expect(naiveForecast(windows, { period: 12 })).toEqual(windows.y);
  });
});
