// Pictures by their pixels, principal components by what defines them, landscapes by losses computed one by one.
import { compileSync, conv2d, dense, meanSquaredError, sequential, tanh } from "steepest";
import { channelTiles, filterTiles, lossLandscape, mapTiles, principalComponents } from "steepest/inspect";
import { describe, expect, it } from "vitest";
import { lehmer } from "../train/blobs.js";

describe("tiles", () => {
  const pixel = ({ width, data }: { width: number; data: ArrayLike<number> }, x: number, y: number) =>
    Array.from({ length: 4 }, (_, i) => data[(y * width + x) * 4 + i]);

  it("draw a filter each, in colours or grey, with a gap", () => {
    // [1, 2, 3, 2]: two units of two pixels in colours.
    const data = [0, 5, 1, 5, 2, 5, 3, 5, 4, 5, 4, 6];
    const picture = filterTiles({ shape: [1, 2, 3, 2], data }, { scale: 1 });
    expect([picture.width, picture.height]).toEqual([5, 1]);
    expect(pixel(picture, 0, 0)).toEqual([0, 64, 128, 255]);
    expect(pixel(picture, 1, 0)).toEqual([191, 255, 255, 255]);
    expect(pixel(picture, 2, 0)).toEqual([0, 0, 0, 0]);
    expect(pixel(picture, 3, 0)).toEqual([0, 0, 0, 255]);
    expect(pixel(picture, 4, 0)).toEqual([0, 0, 255, 255]);
    const signed = filterTiles({ shape: [1, 2, 1, 1], data: [-2, 1] }, { scale: 2, range: "zero" });
    expect([signed.width, signed.height]).toEqual([4, 2]);
    expect(pixel(signed, 1, 1)).toEqual([0, 0, 255, 255]);
    expect(pixel(signed, 2, 0)).toEqual([255, 128, 128, 255]);
  });

  it("draw a channel or a map each, and all alike in grey", () => {
    const channels = channelTiles({ shape: [2, 1, 1, 2], data: [9, 9, 1, 3] }, 1, {
      scale: 1,
      range: "all",
      columns: 1,
    });
    expect([channels.width, channels.height]).toEqual([1, 3]);
    expect(pixel(channels, 0, 0)).toEqual([0, 0, 0, 255]);
    expect(pixel(channels, 0, 2)).toEqual([255, 255, 255, 255]);
    const maps = mapTiles({ shape: [1, 1, 2], data: [7, 7] }, { scale: 1 });
    expect(pixel(maps, 0, 0)).toEqual([128, 128, 128, 255]);
    expect(mapTiles({ shape: [1, 1, 2, 3], data: [0, 0, 0, 1, 1, 1] }, { scale: 1 }).data[4]).toBe(255);
  });

  it("refuse what is no picture", () => {
    expect(() => filterTiles(undefined)).toThrow(
      "filterTiles: must be numbers of shape [height, width, channels, units]",
    );
    expect(() => filterTiles({ shape: [3, 3], data: [1] })).toThrow("filterTiles: must be numbers of shape");
    expect(() => mapTiles({ shape: [1, 1, 1], data: [Number.NaN] })).toThrow(
      "every number must be finite, got NaN at index 0",
    );
    expect(() => channelTiles({ shape: [1, 1, 1, 1], data: [0] }, 1)).toThrow("sample must be from 0 to 0, got 1");
    const large = { shape: [256, 256, 1, 4], data: new Float32Array(256 * 256 * 4) };
    expect(() => filterTiles(large, { scale: 256 })).toThrow("at most 67108864 pixels");
  });
});

describe("principal components", () => {
  it("are the directions of the largest variance, one across another", async () => {
    const random = lehmer(3);
    // Along (3, 4, 0)/5 with variance 4 times that along (0, 0, 1).
    const rows = Array.from({ length: 60 }, () => {
      const [a, b] = [4 * (random() - 0.5), 2 * (random() - 0.5)];
      return [1 + 0.6 * a, 2 + 0.8 * a, b - 3];
    });
    const { points, directions, explained } = await principalComponents(rows);
    expect(directions[0][0] / directions[0][1]).toBeCloseTo(0.75, 1);
    const dot = directions[0].reduce((sum, value, i) => sum + value * directions[1][i], 0);
    expect(dot).toBeCloseTo(0, 10);
    expect(explained[0] + explained[1]).toBeCloseTo(1, 10);
    const means = [0, 1, 2].map((j) => rows.reduce((sum, row) => sum + row[j], 0) / 60);
    const wanted = rows.map((row) => row.reduce((sum, value, j) => sum + (value - means[j]) * directions[0][j], 0));
    points.forEach(([first], i) => expect(first).toBeCloseTo(wanted[i], 10));
    const variance = (values: readonly number[]) => values.reduce((sum, value) => sum + value * value, 0) / 59;
    const total = [0, 1, 2].reduce((sum, j) => sum + variance(rows.map((row) => row[j] - means[j])), 0);
    expect(variance(wanted) / total).toBeCloseTo(explained[0], 10);
    const largest = directions[0].reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best));
    expect(largest).toBeGreaterThan(0);
  });

  it("take activations and parameters, and refuse what are no rows", async () => {
    const data = Float32Array.of(0, 0, 1, 1, 2, 2);
    const { points } = await principalComponents({ shape: [3, 1, 2], data }, { components: 1 });
    expect(points.map(([value]) => Number(value.toFixed(6)))).toEqual(
      [-Math.SQRT2, 0, Math.SQRT2].map((v) => Number(v.toFixed(6))),
    );
    const library = await import("ml-pca");
    const rows = { shape: [3, 1, 2], data };
    expect(await principalComponents(rows, { library })).toEqual(await principalComponents(rows));
    await expect(principalComponents(rows, { library: {} as never })).rejects.toThrow(
      "library must be the module ml-pca",
    );
    await expect(principalComponents([[1, 2]])).rejects.toThrow("at least two rows");
    await expect(
      principalComponents([
        [1, 2],
        [Infinity, 0],
      ]),
    ).rejects.toThrow("every number must be finite");
    await expect(principalComponents([[1], [2]], { components: 2 })).rejects.toThrow("components");
    expect(
      (
        await principalComponents([
          [1, 1],
          [1, 1],
        ])
      ).explained,
    ).toEqual([0, 0]);
  });
});

describe("the loss's landscape", () => {
  const x = [
    [0.5, -1],
    [1, 2],
    [-0.3, 0.7],
  ];
  const y = [[1], [0], [2]];
  const make = () =>
    compileSync(sequential({ input: [2] }, dense(3), tanh(), dense(1)), { loss: meanSquaredError(), seed: 6 });

  it("has the losses of the parameters that it names, and leaves them as they were", async () => {
    using trainer = make();
    const start = trainer.parameters();
    const weight = Float32Array.of(1, -1, 0.5);
    const bias = Float32Array.of(2);
    const directions = [new Map([["2.weight", { data: weight }]]), new Map([["2.bias", { data: bias }]])];
    const { positions, losses } = await lossLandscape(trainer, { x, y }, { points: 3, range: 0.5, directions });
    expect(positions).toEqual([-0.5, 0, 0.5]);
    expect(trainer.parameters()).toEqual(start);
    for (const [i, a] of positions.entries()) {
      for (const [j, b] of positions.entries()) {
        const own = (path: string) => start.get(path)?.data ?? new Float32Array();
        trainer.setParameters({
          "2.weight": own("2.weight").map((value, k) => value + a * weight[k]),
          "2.bias": own("2.bias").map((value) => value + b * 2),
        });
        expect(losses[i][j]).toBe(trainer.evaluateSync({ x, y }).loss);
      }
    }
  });

  it("has random directions as long as the units' weights, the same for a seed", async () => {
    using trainer = make();
    const options = { points: 5, range: 2, seed: 4 };
    const first = await lossLandscape(trainer, { x, y }, options);
    expect(first.losses[2][2]).toBe(trainer.evaluateSync({ x, y }).loss);
    using resident = trainer.load({ x, y });
    expect(await lossLandscape(trainer, resident, options)).toEqual(first);
    expect((await lossLandscape(trainer, { x, y }, { ...options, seed: 5 })).losses).not.toEqual(first.losses);
    // With weights of 0 there is nowhere to go.
    trainer.setParameters({ "0.weight": new Float32Array(6), "2.weight": new Float32Array(3) });
    const flat = await lossLandscape(trainer, { x, y }, options);
    expect(new Set(flat.losses.flat()).size).toBe(1);
  });

  it("gives the parameters back after an error, and refuses directions that do not fit", async () => {
    using trainer = make();
    const start = trainer.parameters();
    await expect(lossLandscape(trainer, { x: [[1, 2]], y: [[1, 2]] } as never)).rejects.toThrow("y");
    const failing = { ...trainer, load: trainer.load, evaluate: () => Promise.reject(new Error("interrupted")) };
    await expect(lossLandscape(failing as never, { x, y })).rejects.toThrow("interrupted");
    expect(trainer.parameters()).toEqual(start);
    await expect(lossLandscape(trainer, { x, y }, { points: 4 })).rejects.toThrow("points must be odd");
    const wrong = (directions: never) => lossLandscape(trainer, { x, y }, { directions });
    await expect(wrong([new Map([["9.weight", { data: [1] }]])] as never)).rejects.toThrow('got "9.weight": there are');
    await expect(wrong([new Map([["2.bias", { data: [1, 2] }]])] as never)).rejects.toThrow(
      "must have 1 finite numbers",
    );
    await expect(wrong([] as never)).rejects.toThrow("directions must be one or two Maps");
  });
});

it("a picture of a convolution's filters comes straight from the parameters", () => {
  using trainer = compileSync(sequential({ input: [8, 8, 3] }, conv2d(4, 3)), { seed: 1 });
  const picture = filterTiles(trainer.parameters().get("0.weight"));
  expect([picture.width, picture.height]).toEqual([25, 25]);
});
