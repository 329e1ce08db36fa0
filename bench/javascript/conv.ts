// A convolution of stride 1 in plain JavaScript, and its gradients: image by image, patches copied into a matrix, then
// blocked products. Channels last; the window is not turned round.
import { gemm, rowMajor, transposed } from "./gemm.js";

export interface ConvSizes {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly filters: number;
  /** The window is square, and zeros are on all sides. */
  readonly window: number;
  readonly padding: number;
}

export interface Convolution {
  readonly outHeight: number;
  readonly outWidth: number;
  /** y [batch, outHeight, outWidth, filters] = x [batch, height, width, channels] * weight [window, window, channels, filters] + bias. */
  forward(y: Float32Array, x: Float32Array, weight: Float32Array, bias?: Float32Array): void;
  backwardWeight(dweight: Float32Array, x: Float32Array, dy: Float32Array): void;
  backwardInput(dx: Float32Array, dy: Float32Array, weight: Float32Array): void;
}

export function createConvolution(sizes: ConvSizes): Convolution {
  const { batch, height, width, channels, filters, window, padding } = sizes;
  const [outHeight, outWidth] = [height, width].map((size) => size + 2 * padding - window + 1);
  const pixels = outHeight * outWidth;
  const depth = window * window * channels;
  const patches = new Float32Array(pixels * depth);
  const imageOf = (values: Float32Array, n: number, size: number) => values.subarray(n * size, (n + 1) * size);
  const [inSize, outSize] = [height * width * channels, pixels * filters];

  /** Calls `copy` with a run of a patch and where it lies in the image: (patch, image, length). Outside is left alone. */
  const eachRun = (copy: (patch: number, image: number, length: number) => void): void => {
    for (let i = 0, at = 0; i < outHeight; i++) {
      for (let j = 0; j < outWidth; j++) {
        const first = Math.max(0, padding - j);
        const length = (Math.min(window, width + padding - j) - first) * channels;
        for (let ky = 0; ky < window; ky++, at += window * channels) {
          const row = i + ky - padding;
          if (row < 0 || row >= height) continue;
          copy(at + first * channels, (row * width + j + first - padding) * channels, length);
        }
      }
    }
  };
  const gather = (image: Float32Array): void => {
    eachRun((patch, from, length) => {
      for (let i = 0; i < length; i++) patches[patch + i] = image[from + i];
    });
  };
  return {
    outHeight,
    outWidth,
    forward(y, x, weight, bias) {
      patches.fill(0);
      if (bias === undefined) y.fill(0);
      else for (let at = 0; at < y.length; at += filters) y.set(bias, at);
      for (let n = 0; n < batch; n++) {
        gather(imageOf(x, n, inSize));
        gemm(imageOf(y, n, outSize), rowMajor(patches, depth), rowMajor(weight, filters), pixels, filters, depth);
      }
    },
    backwardWeight(dweight, x, dy) {
      patches.fill(0);
      dweight.fill(0);
      for (let n = 0; n < batch; n++) {
        gather(imageOf(x, n, inSize));
        const slopes = rowMajor(imageOf(dy, n, outSize), filters);
        gemm(dweight, transposed(patches, depth), slopes, depth, filters, pixels);
      }
    },
    backwardInput(dx, dy, weight) {
      dx.fill(0);
      for (let n = 0; n < batch; n++) {
        patches.fill(0);
        const slopes = rowMajor(imageOf(dy, n, outSize), filters);
        gemm(patches, slopes, transposed(weight, filters), pixels, depth, filters);
        const image = imageOf(dx, n, inSize);
        eachRun((patch, to, length) => {
          for (let i = 0; i < length; i++) image[to + i] += patches[patch + i];
        });
      }
    },
  };
}
