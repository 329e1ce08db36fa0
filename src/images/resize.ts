// Images of bytes in another size. Each new pixel is a mixture of the old ones by a triangle as wide as the pixel (PIL's
// BILINEAR), first along rows, then along columns, in float64 and rounded once: the same bytes in every runtime.
import { DataError, showValue } from "../engine/errors.js";
import { choice, type OptionRule } from "../engine/options.js";
import type { Image } from "./image.js";

/** What happens if the proportions differ. */
export type Fit = "cover" | "contain" | "fill";

export const fitRule: OptionRule<Fit> = choice("cover", ["cover", "contain", "fill"]);

// Wider and higher than any model takes.
const MAX_SIDE = 2 ** 14;

export const sizeRule: OptionRule<readonly [number, number] | undefined> = (where, name, value) => {
  const isSide = (one: unknown) => Number.isSafeInteger(one) && (one as number) >= 1 && (one as number) <= MAX_SIDE;
  const isSize = Array.isArray(value) && value.length === 2 && value.every(isSide);
  if (value === undefined || isSize) return value as readonly [number, number] | undefined;
  throw new DataError(`${where}: ${name} must be [height, width] of 1 to ${MAX_SIDE} pixels, got ${showValue(value)}`);
};

/** The image in a size; the same if it has it, or if there is none. */
export function resizeImage(image: Image, size: readonly [number, number] | undefined, fit: Fit): Image {
  const { height, width, channels } = image;
  if (size === undefined || (size[0] === height && size[1] === width)) return image;
  const factors = [size[0] / height, size[1] / width];
  if (fit === "contain") {
    const factor = Math.min(...factors);
    const inner = [height, width].map((side, axis) => Math.max(1, Math.min(size[axis], Math.round(side * factor))));
    const small = mixed(image, [inner[0], inner[1]], [height, width]);
    return framed({ data: small, height: inner[0], width: inner[1], channels }, size);
  }
  // What is taken of the image.
  const factor = Math.max(...factors);
  const taken = fit === "fill" ? [height, width] : [size[0] / factor, size[1] / factor];
  return { data: mixed(image, size, [taken[0], taken[1]]), height: size[0], width: size[1], channels };
}

/** The middle `taken` of an image, in a size. */
function mixed(image: Image, size: readonly [number, number], taken: readonly [number, number]): Uint8Array {
  const { data, height, width, channels } = image;
  const rows = mixAxis(data, { outer: height, length: width, inner: channels }, size[1], taken[1]);
  const all = mixAxis(rows, { outer: 1, length: height, inner: size[1] * channels }, size[0], taken[0]);
  return Uint8Array.from(all, (value) => Math.floor(value + 0.5));
}

interface Axis {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
}

/** [outer, length, inner] → [outer, size, inner], of the middle `taken` of the axis. */
function mixAxis(data: ArrayLike<number>, { outer, length, inner }: Axis, size: number, taken: number): Float64Array {
  const to = new Float64Array(outer * size * inner);
  const step = taken / size;
  const reach = Math.max(step, 1);
  const begin = (length - taken) / 2;
  for (let at = 0; at < size; at++) {
    const middle = begin + (at + 0.5) * step;
    const first = Math.max(0, Math.floor(middle - reach + 0.5));
    const end = Math.min(length, Math.floor(middle + reach + 0.5));
    let sum = 0;
    const shares: number[] = [];
    for (let i = first; i < end; i++) {
      const share = Math.max(0, 1 - Math.abs((i + 0.5 - middle) / reach));
      shares.push(share);
      sum += share;
    }
    for (let row = 0; row < outer; row++) {
      const into = (row * size + at) * inner;
      shares.forEach((share, index) => {
        const from = (row * length + first + index) * inner;
        for (let i = 0; i < inner; i++) to[into + i] += (share / sum) * data[from + i];
      });
    }
  }
  return to;
}

/** The image in the middle of black. Alpha, if there is one, is 0 there. */
function framed({ data, height, width, channels }: Image, size: readonly [number, number]): Image {
  const to = new Uint8Array(size[0] * size[1] * channels);
  const [top, left] = [Math.floor((size[0] - height) / 2), Math.floor((size[1] - width) / 2)];
  for (let row = 0; row < height; row++) {
    const line = data.subarray(row * width * channels, (row + 1) * width * channels);
    to.set(line, ((top + row) * size[1] + left) * channels);
  }
  return { data: to, height: size[0], width: size[1], channels };
}
