// A convolution with its gradients, as in the middle of a network: y, dx and dW from x, W and dy.
import { conv2d } from "../../src/ops/conv.js";
import { createRandom, uniformValues } from "../data.js";
import { engineOf } from "../engines.js";
import { type ConvSizes, createConvolution } from "../javascript/conv.js";
import { gradientsFrom, residentFunctions } from "../steepest.js";
import { type Contestant, type Implementation, variantOf, type Workload } from "../workload.js";
import { checkValues } from "./values.js";

const UNIT_ROUNDOFF = 2 ** -24;
const CHECKED_PLACES = 48;

interface Operands {
  readonly x: Float32Array;
  readonly weight: Float32Array;
  readonly upstream: Float32Array;
}

/** y, dx and dW. */
type Results = readonly [Float32Array, Float32Array, Float32Array];

/** A block of VGG: 3×3, 32 to 64 channels, 32×32 pixels, batch 32. */
export function convolutionWorkload(
  name = "conv-vgg",
  sizes: ConvSizes = { batch: 32, height: 32, width: 32, channels: 32, filters: 64, window: 3, padding: 1 },
): Workload {
  const { batch, height, width, channels, filters, window } = sizes;
  const { outHeight, outWidth } = outSizes(sizes);
  const createOperands = (): Operands => {
    const random = createRandom(11);
    return {
      x: uniformValues(random, batch * height * width * channels),
      weight: uniformValues(random, window * window * channels * filters),
      upstream: uniformValues(random, batch * outHeight * outWidth * filters),
    };
  };
  return {
    name,
    description: `convolution ${window}×${window}, ${channels} to ${filters} channels, ${height}×${width}, batch ${batch}, forward and backward`,
    metric: "gflops",
    work: 6 * batch * outHeight * outWidth * window * window * channels * filters,
    async prepare(implementation) {
      const operands = createOperands();
      const { results, ...contestant } = await createContestant(implementation, operands, sizes);
      contestant.run(1);
      const checked = checkedPlaces(results());
      checkConvolution(
        results().flatMap((values, i) => checked[i].map((place) => values[place])),
        checked,
        operands,
        sizes,
      );
      return contestant;
    },
    forPeers() {
      const operands = createOperands();
      const lengths = [operands.upstream, operands.x, operands.weight];
      const places = checkedPlaces(lengths);
      return {
        task: { kind: "convolution", ...sizes, ...operands, places },
        check: (values) => checkConvolution(values, places, operands, sizes),
      };
    },
  };
}

function outSizes({ height, width, window, padding }: ConvSizes): { outHeight: number; outWidth: number } {
  return { outHeight: height + 2 * padding - window + 1, outWidth: width + 2 * padding - window + 1 };
}

async function createContestant(
  implementation: Implementation,
  { x, weight, upstream }: Operands,
  sizes: ConvSizes,
): Promise<Contestant & { results(): Results }> {
  const { batch, height, width, channels, filters, window, padding } = sizes;
  const { outHeight, outWidth } = outSizes(sizes);
  const variant = variantOf(implementation);
  if (variant !== undefined) {
    const inputs = [
      { shape: [batch, height, width, channels], values: x },
      { shape: [window, window, channels, filters], values: weight },
      { shape: [batch, outHeight, outWidth, filters], values: upstream },
    ];
    const { results, ...contestant } = residentFunctions(await engineOf(variant), inputs, (a, w, dy) => {
      const y = conv2d(a, w, { padding });
      return [y, ...gradientsFrom(y, dy, [a, w])];
    });
    return { ...contestant, results: () => results() as unknown as Results };
  }
  const convolution = createConvolution(sizes);
  const [y, dx, dW] = [upstream, x, weight].map(({ length }) => new Float32Array(length));
  return {
    reset() {},
    run(steps) {
      for (let i = 0; i < steps; i++) {
        convolution.forward(y, x, weight);
        convolution.backwardInput(dx, upstream, weight);
        convolution.backwardWeight(dW, x, upstream);
      }
    },
    results: () => [y, dx, dW],
    dispose() {},
  };
}

/** The first and the last element of each result, and a random choice between. */
export function checkedPlaces(results: readonly { readonly length: number }[]): number[][] {
  const random = createRandom(5);
  return results.map(({ length }) => [
    0,
    ...Array.from({ length: CHECKED_PLACES - 2 }, () => Math.floor(random() * length)),
    length - 1,
  ]);
}

/** Compares the checked elements with float64. Tolerance 6·√k·u·Σ|a·b|, as for products. */
export function checkConvolution(
  values: readonly number[],
  places: readonly (readonly number[])[],
  operands: Operands,
  sizes: ConvSizes,
): void {
  const terms = [termsOfOutput, termsOfInput, termsOfWeight];
  const names = ["y", "dx", "dW"];
  let at = 0;
  places.forEach((chosen, result) => {
    const sums = chosen.map((place) => {
      let [exact, magnitude, count] = [0, 0, 0];
      for (const [a, b] of terms[result](place, operands, sizes)) {
        exact += a * b;
        magnitude += Math.abs(a * b);
        count++;
      }
      return { exact, tolerance: 6 * Math.sqrt(count) * UNIT_ROUNDOFF * magnitude };
    });
    const here = values.slice(at, at + chosen.length);
    at += chosen.length;
    checkValues(
      names[result],
      here,
      sums.map(({ exact }) => exact),
      (i) => sums[i].tolerance,
    );
  });
}

type Terms = Generator<readonly [number, number]>;

function* termsOfOutput(place: number, { x, weight }: Operands, sizes: ConvSizes): Terms {
  const { height, width, channels, filters, window, padding } = sizes;
  const [n, i, j, k] = split(place, [outSizes(sizes).outHeight, outSizes(sizes).outWidth, filters]);
  for (let ky = 0; ky < window; ky++) {
    for (let kx = 0; kx < window; kx++) {
      const [row, column] = [i + ky - padding, j + kx - padding];
      if (row < 0 || row >= height || column < 0 || column >= width) continue;
      for (let c = 0; c < channels; c++) {
        const from = ((n * height + row) * width + column) * channels + c;
        yield [x[from], weight[((ky * window + kx) * channels + c) * filters + k]];
      }
    }
  }
}

function* termsOfInput(place: number, { upstream, weight }: Operands, sizes: ConvSizes): Terms {
  const { height, width, channels, filters, window, padding } = sizes;
  const { outHeight, outWidth } = outSizes(sizes);
  const [n, row, column, c] = split(place, [height, width, channels]);
  for (let ky = 0; ky < window; ky++) {
    for (let kx = 0; kx < window; kx++) {
      const [i, j] = [row + padding - ky, column + padding - kx];
      if (i < 0 || i >= outHeight || j < 0 || j >= outWidth) continue;
      for (let k = 0; k < filters; k++) {
        const from = ((n * outHeight + i) * outWidth + j) * filters + k;
        yield [upstream[from], weight[((ky * window + kx) * channels + c) * filters + k]];
      }
    }
  }
}

function* termsOfWeight(place: number, { x, upstream }: Operands, sizes: ConvSizes): Terms {
  const { batch, height, width, channels, filters, window, padding } = sizes;
  const { outHeight, outWidth } = outSizes(sizes);
  const [ky, kx, c, k] = split(place, [window, channels, filters]);
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < outHeight; i++) {
      for (let j = 0; j < outWidth; j++) {
        const [row, column] = [i + ky - padding, j + kx - padding];
        if (row < 0 || row >= height || column < 0 || column >= width) continue;
        const from = ((n * height + row) * width + column) * channels + c;
        yield [x[from], upstream[((n * outHeight + i) * outWidth + j) * filters + k]];
      }
    }
  }
}

/** Row-major indices of a place; `inner` are all sizes but the first. */
function split(place: number, inner: readonly number[]): number[] {
  const indices: number[] = [];
  for (const size of [...inner].reverse()) {
    indices.unshift(place % size);
    place = Math.floor(place / size);
  }
  return [place, ...indices];
}
