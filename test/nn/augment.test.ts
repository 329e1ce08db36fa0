// Layers that change images at random, against float64 with the same random numbers; as each is linear in the image, its
// gradient is what makes the same sums.
import {
  type ColorJitterOptions,
  colorJitter,
  createEngineSync,
  type Layer,
  ModelError,
  type RandomAffineOptions,
  type RandomErasingOptions,
  randomAffine,
  randomCrop,
  randomErasing,
  randomFlip,
  randomRotation,
  randomTranslation,
  randomZoom,
  sequential,
} from "steepest";
import { afterAll, describe, expect, test } from "vitest";
import { compileFunctionSync } from "../../src/graph/function.js";
import { input } from "../../src/graph/tensor.js";
import { layerContext } from "../../src/nn/layer.js";
import { gradient, mul, sum } from "../../src/ops/index.js";
import { drawnBy, uniforms } from "../ops/philox.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const SEED = [7, 11] as const;
const BATCH = 12;
const UNIFORM = 4; // the use of randomness that is randomUniform's
const clock = Uint32Array.from({ length: 16 }, (_, i) => i * 5 + 3);

type Image = (row: number, column: number, channel: number) => number;
/** An image of the result in float64, with the random numbers of the image. */
type Reference = (image: Image, u: Float64Array, size: readonly number[]) => Image;

function imagesOf(values: ArrayLike<number>, [height, width, channels]: readonly number[]): Image[] {
  return Array.from({ length: BATCH }, (_, sample) => (row, column, channel) => {
    if (row < 0 || row >= height || column < 0 || column >= width) return 0;
    return values[((sample * height + row) * width + column) * channels + channel];
  });
}

function valuesOf(images: readonly Image[], [height, width, channels]: readonly number[]): Float64Array {
  const values: number[] = [];
  for (const image of images)
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++)
        for (let channel = 0; channel < channels; channel++) values.push(image(row, column, channel));
  return Float64Array.from(values);
}

const randomValues = (count: number, seed: number): Float32Array =>
  Float32Array.from(uniforms(count, [seed, 0, 0], [1, 2]), (u) => 2 * u - 1);

/** What a layer makes of images while training, and the gradient of a weighted sum of it. */
function applied(layer: Layer, shape: readonly number[], training: boolean) {
  const built = layer.build({ where: layer.kind, path: "0" }, shape);
  const full = [BATCH, ...(built.outputShape as number[])];
  const run = compileFunctionSync(
    ({ x, weights, clock }) => {
      const y = built.apply(x, layerContext({ training, clock, seed: SEED }));
      return { y, dx: gradient(sum(mul(y, weights)), x) };
    },
    {
      x: [BATCH, ...shape],
      weights: full,
      clock: input([16], { name: "clock", dtype: "uint32" }),
    },
    { engine },
  );
  const size = full.reduce((a, b) => a * b);
  const x = randomValues(BATCH * shape.reduce((a, b) => a * b), 1);
  const weights = randomValues(size, 2);
  const { y, dx } = run({ x, weights, clock });
  run.dispose();
  return { x, y, dx, weights, outputShape: full.slice(1) };
}

function compare(layer: Layer, shape: readonly number[], draws: number, reference: Reference, tolerance: number) {
  const { x, y, dx, weights, outputShape } = applied(layer, shape, true);
  const u = uniforms(BATCH * draws, drawnBy(clock, 0, UNIFORM), SEED);
  const expectedOf = (values: Float32Array): Float64Array => {
    const images = imagesOf(values, shape).map((image, sample) =>
      reference(image, u.subarray(sample * draws, (sample + 1) * draws), shape),
    );
    return valuesOf(images, outputShape);
  };
  const expected = expectedOf(x);
  expect(y.length).toBe(expected.length);
  for (let i = 0; i < y.length; i++) expect(Math.abs(y[i] - expected[i])).toBeLessThanOrEqual(tolerance);
  const other = randomValues(x.length, 3);
  const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
    Array.from(a).reduce((total, value, i) => total + value * b[i], 0);
  expect(Math.abs(dot(expectedOf(other), weights) - dot(other, dx))).toBeLessThan(1e-3);
  return { x, y };
}

/** Where pixels are taken from, by the definition: turned and zoomed about the middle, then shifted. */
const affineReference =
  ({ rotation = 0, translation = 0, zoom = [1, 1] }: RandomAffineOptions, sample: typeof bilinear): Reference =>
  (image, u, [height, width]) => {
    const [byHeight, byWidth] = typeof translation === "number" ? [translation, translation] : translation;
    const angle = ((2 * u[0] - 1) * rotation * Math.PI) / 180;
    const down = (2 * u[1] - 1) * byHeight * height;
    const right = (2 * u[2] - 1) * byWidth * width;
    const factor = zoom[0] + (zoom[1] - zoom[0]) * u[3];
    return (row, column, channel) => {
      const y = row - (height - 1) / 2 - down;
      const x = column - (width - 1) / 2 - right;
      const fromX = (Math.cos(angle) * x - Math.sin(angle) * y) / factor;
      const fromY = (Math.sin(angle) * x + Math.cos(angle) * y) / factor;
      return sample(image, fromY + (height - 1) / 2, fromX + (width - 1) / 2, channel);
    };
  };

function bilinear(image: Image, y: number, x: number, channel: number): number {
  const [top, left] = [Math.floor(y), Math.floor(x)];
  const [t, s] = [y - top, x - left];
  const at = (row: number, column: number) => image(top + row, left + column, channel);
  return (1 - t) * ((1 - s) * at(0, 0) + s * at(0, 1)) + t * ((1 - s) * at(1, 0) + s * at(1, 1));
}

const nearest: typeof bilinear = (image, y, x, channel) => image(Math.round(y), Math.round(x), channel);

const flipReference =
  (direction: string, probability: number): Reference =>
  (image, u, [height, width]) => {
    const flipsX = direction !== "vertical" && u[0] < probability;
    const flipsY = direction !== "horizontal" && u[direction === "both" ? 1 : 0] < probability;
    return (row, column, channel) =>
      image(flipsY ? height - 1 - row : row, flipsX ? width - 1 - column : column, channel);
  };

const cropReference =
  (size: readonly number[], padding: number): Reference =>
  (image, u, shape) => {
    const [top, left] = [0, 1].map(
      (axis) => Math.floor(u[axis] * (shape[axis] + 2 * padding - size[axis] + 1)) - padding,
    );
    return (row, column, channel) => image(row + top, column + left, channel);
  };

const eraseReference =
  ({ probability = 0.5, area = [0.02, 0.33], aspect = [0.3, 3.3] }: RandomErasingOptions): Reference =>
  (image, u, [height, width]) => {
    const pixels = (area[0] + (area[1] - area[0]) * u[0]) * height * width;
    const ratio = Math.exp(Math.log(aspect[0]) + (Math.log(aspect[1]) - Math.log(aspect[0])) * u[1]);
    const [tall, wide] = [Math.min(Math.sqrt(pixels * ratio), height), Math.min(Math.sqrt(pixels / ratio), width)];
    const [top, left] = [u[2] * (height - tall), u[3] * (width - wide)];
    const isIn = (at: number, first: number, side: number) => at + 0.5 >= first && at + 0.5 < first + side;
    return (row, column, channel) =>
      u[4] < probability && isIn(row, top, tall) && isIn(column, left, wide) ? 0 : image(row, column, channel);
  };

const jitterReference =
  ({ brightness = 0, contrast = 0, saturation = 0 }: ColorJitterOptions): Reference =>
  (image, u, [height, width, channels]) => {
    const factors = [brightness, contrast, saturation].map((amount, i) => 1 - amount + 2 * amount * u[i]);
    const shares = channels === 3 ? [0.299, 0.587, 0.114] : Array<number>(channels).fill(1 / channels);
    const greyOf = (from: Image, row: number, column: number) =>
      shares.reduce((grey, share, channel) => grey + share * from(row, column, channel), 0);
    const brighter: Image = (...at) => factors[0] * image(...at);
    let total = 0;
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++) total += greyOf(brighter, row, column);
    const middle = total / (height * width);
    const harder: Image = (...at) => middle + factors[1] * (brighter(...at) - middle);
    return (row, column, channel) => {
      const grey = greyOf(harder, row, column);
      return grey + factors[2] * (harder(row, column, channel) - grey);
    };
  };

const everything = { rotation: 40, translation: [0.2, 0.3], zoom: [0.7, 1.4] } as const;
const erasing = { probability: 0.8, area: [0.1, 0.6], aspect: [0.5, 4] } as const;
const jitter = { brightness: 0.4, contrast: 0.5, saturation: 0.9 };

describe("against float64", () => {
  test.each<[string, Layer, number[], number, Reference, number]>([
    ["randomFlip", randomFlip(), [4, 5, 3], 1, flipReference("horizontal", 0.5), 0],
    [
      "randomFlip upside down",
      randomFlip({ direction: "vertical", probability: 0.8 }),
      [4, 5, 1],
      1,
      flipReference("vertical", 0.8),
      0,
    ],
    ["randomFlip both ways", randomFlip({ direction: "both" }), [4, 5, 2], 2, flipReference("both", 0.5), 0],
    ["randomAffine", randomAffine(everything), [9, 13, 2], 4, affineReference(everything, bilinear), 2e-5],
    [
      "randomAffine, nearest",
      randomAffine({ ...everything, interpolation: "nearest" }),
      [6, 5, 1],
      4,
      affineReference(everything, nearest),
      0,
    ],
    ["randomRotation", randomRotation(180), [7, 4, 1], 4, affineReference({ rotation: 180 }, bilinear), 2e-5],
    ["randomTranslation", randomTranslation(0.4), [7, 4, 3], 4, affineReference({ translation: 0.4 }, bilinear), 2e-5],
    ["randomZoom", randomZoom(0.5, 2), [7, 4, 1], 4, affineReference({ zoom: [0.5, 2] }, bilinear), 2e-5],
    ["randomCrop", randomCrop({ size: [3, 4] }), [7, 9, 2], 2, cropReference([3, 4], 0), 0],
    ["randomCrop of a padded image", randomCrop({ padding: 2 }), [5, 6, 1], 2, cropReference([5, 6], 2), 0],
    ["randomErasing", randomErasing(erasing), [8, 11, 2], 5, eraseReference(erasing), 0],
    ["randomErasing by default", randomErasing(), [16, 16, 1], 5, eraseReference({}), 0],
    ["colorJitter", colorJitter(jitter), [5, 6, 3], 3, jitterReference(jitter), 1e-5],
    ["colorJitter of grey", colorJitter({ contrast: 0.5 }), [5, 6, 1], 3, jitterReference({ contrast: 0.5 }), 1e-5],
    [
      "colorJitter of two channels",
      colorJitter({ brightness: 1, contrast: 1 }),
      [4, 4, 2],
      3,
      jitterReference({ brightness: 1, contrast: 1 }),
      1e-5,
    ],
  ])("%s", (_, layer, shape, draws, reference, tolerance) => {
    const { x, y } = compare(layer, shape, draws, reference, tolerance);
    expect(y).not.toEqual(x);
  });
});

test("values are clipped to a range, and an erased pixel gets the value", () => {
  const { y } = applied(colorJitter({ brightness: 1, range: [-0.5, 0.25] }), [5, 5, 3], true);
  expect([Math.min(...y), Math.max(...y)]).toEqual([-0.5, 0.25]);
  const erased = applied(randomErasing({ value: 9, probability: 1, area: [0.5, 0.5] }), [6, 6, 1], true).y;
  expect(erased.filter((value) => value === 9).length).toBeGreaterThan((BATCH * 36) / 4);
});

describe("while predicting", () => {
  test.each<[string, Layer]>([
    ["randomFlip", randomFlip({ probability: 1 })],
    ["randomAffine", randomAffine(everything)],
    ["randomErasing", randomErasing({ probability: 1 })],
    ["colorJitter", colorJitter(jitter)],
    ["randomCrop of its own size", randomCrop({ padding: 3 })],
  ])("%s does nothing", (_, layer) => {
    const { x, y } = applied(layer, [6, 7, 3], false);
    expect(y).toEqual(x);
  });

  test.each<[string, number[], number[], number]>([
    ["the middle is left", [3, 4], [7, 9, 2], 0],
    ["a larger one has a border", [7, 6], [4, 6, 1], 2],
  ])("randomCrop: %s", (_, size, shape, padding) => {
    const { x, y, outputShape } = applied(randomCrop({ size: [size[0], size[1]], padding }), shape, false);
    const [top, left] = size.map((one, axis) => Math.floor((shape[axis] - one) / 2));
    const middle = imagesOf(x, shape).map(
      (image): Image =>
        (row, column, channel) =>
          image(row + top, column + left, channel),
    );
    expect(Float64Array.from(y)).toEqual(valuesOf(middle, outputShape));
  });
});

test.each<[() => unknown, string]>([
  [() => randomFlip({ direction: "left" } as never), "randomFlip: direction must be"],
  [() => randomFlip({ probability: 2 }), "randomFlip: probability must be a number between 0 and 1, got 2"],
  [() => randomAffine({ rotation: -1 }), "randomAffine: rotation must be a number between 0 and 180, got -1"],
  [
    () => randomAffine({ translation: [0.1, 2] }),
    "randomAffine: translation must be a share from 0 to 1, or [height, width]",
  ],
  [
    () => randomAffine({ zoom: [2, 1] }),
    "randomAffine: zoom must be [least, most], two numbers of at least 0.001, got [2, 1]",
  ],
  [() => randomRotation(400), "randomRotation: degrees must be a number between 0 and 180, got 400"],
  [() => randomTranslation(2), "randomTranslation: share must be a number between 0 and 1, got 2"],
  [() => randomZoom(0, 1), "randomZoom: least must be a number of at least 0.001, got 0"],
  [() => randomCrop({}), "randomCrop: size or padding must be given, got {}: with neither"],
  [() => randomCrop({ size: [3] } as never), "randomCrop: size must be [height, width] of at least one pixel, got [3]"],
  [() => randomErasing({ area: [0.1, 2] }), "randomErasing: area must be shares of at most 1"],
  [() => colorJitter({ brightness: 3 }), "colorJitter: brightness must be a number between 0 and 1, got 3"],
  [
    () => sequential({ input: [8, 8] }, randomFlip() as Layer),
    "randomFlip 0: input must be [batch, height, width, channels], got",
  ],
  [
    () => sequential({ input: [8, 8, 1] }, colorJitter({ saturation: 1 })),
    "colorJitter 0: saturation is of three channels, red, green and blue, got [8, 8, 1]: leave saturation out",
  ],
  [
    () => sequential({ input: [8, 8, 1] }, randomCrop({ size: [9, 8] })),
    "randomCrop 0: size must fit the image of [8, 8] with its padding of 0, got [9, 8]",
  ],
])("refuses %s", (make, message) => {
  expect(make).toThrow(ModelError);
  expect(make).toThrow(message);
});
