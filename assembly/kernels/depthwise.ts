// Depthwise convolutions: each channel of [batch, height, width, channels] has a window of its own, so there is no sum
// over channels, and nothing that a product of matrices could use twice. Four channels a vector, along the pixels.

import { LANES, loadPart, madd, storePart } from "../simd";
import { activated } from "../tiles";

/** The first place j >= 0, at most `most`, with j·stride + offset >= 0 (offset as a signed number). */
export function firstInside(offset: u32, stride: u32, most: u32): u32 {
  const missing = -(<i32>offset);
  return missing <= 0 ? 0 : min(most, (<u32>missing + stride - 1) / stride);
}

/** y[n, i, j, c] = Σ x[n, i·strideY + ky·dilationY - padTop, j·strideX + kx·dilationX - padLeft, c] · W[ky, kx, c], zeros
 *  outside of x, + bias [channels] (0: none), then the activation `epilogue` (0: none). x [batch, height, width,
 *  channels], W [windowHeight, windowWidth, channels]; y's images, rows and pixels are imageStep, rowStep and pixelStep
 *  elements apart. Overwrites; y is no input. Unit: a row of y. */
export function depthwise(
  begin: u32, end: u32, y: usize, x: usize, weight: usize, bias: usize,
  height: u32, width: u32, channels: u32, outHeight: u32, outWidth: u32, windowHeight: u32, windowWidth: u32,
  strideY: u32, strideX: u32, dilationY: u32, dilationX: u32, padTop: u32, padLeft: u32,
  imageStep: u32, rowStep: u32, pixelStep: u32, epilogue: u32,
): void {
  const pixel = <usize>channels << 2;
  const next = <usize>strideX * pixel;
  const line = <usize>(dilationY * width) * pixel;
  const tap = <usize>dilationX * pixel;
  // Pixels [whole, wholeEnd) have all columns of the window inside.
  const whole = firstInside(-padLeft, strideX, outWidth);
  const wholeEnd = max(whole, firstInside((windowWidth - 1) * dilationX - padLeft - width, strideX, outWidth));
  for (let unit = begin; unit < end; unit++) {
    const image = unit / outHeight;
    const i = unit - image * outHeight;
    const top = i * strideY - padTop;
    const ky = firstInside(top, dilationY, windowHeight);
    const kyEnd = max(ky, firstInside(top - height, dilationY, windowHeight));
    const rows = kyEnd - ky;
    const from = x + <usize>((image * height + top + ky * dilationY) * width - padLeft) * pixel;
    const w = weight + <usize>(ky * windowWidth) * pixel;
    let to = y + ((<usize>image * imageStep + <usize>i * rowStep) << 2);
    for (let j: u32 = 0; j < outWidth; ) {
      if (j >= whole && j + 4 <= wholeEnd) {
        const at = from + <usize>j * next;
        if (windowWidth == 3 && next == tap && (channels & 3) == 0) {
          fourByThree(to, <usize>pixelStep << 2, at, next, w, bias, rows, line, channels, epilogue);
        } else {
          fourPixels(to, <usize>pixelStep << 2, at, next, w, bias, rows, line, windowWidth, tap, channels, epilogue);
        }
        j += 4;
        to += <usize>pixelStep << 4;
      } else {
        const left = j * strideX - padLeft;
        const kx = firstInside(left, dilationX, windowWidth);
        const kxEnd = max(kx, firstInside(left - width, dilationX, windowWidth));
        onePixel(
          to, from + <usize>j * next + <usize>kx * tap, w + <usize>kx * pixel, bias, rows, line, kxEnd - kx, tap, <usize>windowWidth * pixel,
          channels, epilogue,
        );
        j++;
        to += <usize>pixelStep << 2;
      }
    }
  }
}

/** Four pixels whose windows' columns are all inside. */
function fourPixels(
  y: usize, yNext: usize, x: usize, next: usize, weight: usize, bias: usize,
  rows: u32, line: usize, columns: u32, tap: usize, channels: u32, epilogue: u32,
): void {
  const pixel = <usize>channels << 2;
  for (let c: u32 = 0; c < channels; c += LANES, x += 16, y += 16, weight += 16) {
    const left = channels - c;
    const offset = bias != 0 ? loadUpTo(bias + (<usize>c << 2), left) : f32x4.splat(0);
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
    let w = weight;
    for (let ky: u32 = 0; ky < rows; ky++) {
      let a = x + <usize>ky * line;
      if (left >= LANES) {
        for (let kx: u32 = 0; kx < columns; kx++, a += tap, w += pixel) {
          const v = v128.load(w);
          s0 = madd(v128.load(a), v, s0);
          s1 = madd(v128.load(a + next), v, s1);
          s2 = madd(v128.load(a + next * 2), v, s2);
          s3 = madd(v128.load(a + next * 3), v, s3);
        }
      } else {
        for (let kx: u32 = 0; kx < columns; kx++, a += tap, w += pixel) {
          const v = loadPart(w, left);
          s0 = madd(loadPart(a, left), v, s0);
          s1 = madd(loadPart(a + next, left), v, s1);
          s2 = madd(loadPart(a + next * 2, left), v, s2);
          s3 = madd(loadPart(a + next * 3, left), v, s3);
        }
      }
    }
    finish(y, f32x4.add(s0, offset), left, epilogue);
    finish(y + yNext, f32x4.add(s1, offset), left, epilogue);
    finish(y + yNext * 2, f32x4.add(s2, offset), left, epilogue);
    finish(y + yNext * 3, f32x4.add(s3, offset), left, epilogue);
  }
}

/** The same for three columns whose pixels follow each other, where six pixels of x are all that is needed. */
function fourByThree(
  y: usize, yNext: usize, x: usize, next: usize, weight: usize, bias: usize,
  rows: u32, line: usize, channels: u32, epilogue: u32,
): void {
  const pixel = <usize>channels << 2;
  for (let c: u32 = 0; c < channels; c += LANES, x += 16, y += 16, weight += 16) {
    const offset = bias != 0 ? v128.load(bias + (<usize>c << 2)) : f32x4.splat(0);
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
    let w = weight;
    let a = x;
    for (let ky: u32 = 0; ky < rows; ky++, a += line, w += pixel * 3) {
      const w0 = v128.load(w);
      const w1 = v128.load(w + pixel);
      const w2 = v128.load(w + pixel * 2);
      let from = a;
      let v = v128.load(from);
      s0 = madd(v, w0, s0);
      v = v128.load((from += next));
      s0 = madd(v, w1, s0);
      s1 = madd(v, w0, s1);
      v = v128.load((from += next));
      s0 = madd(v, w2, s0);
      s1 = madd(v, w1, s1);
      s2 = madd(v, w0, s2);
      v = v128.load((from += next));
      s1 = madd(v, w2, s1);
      s2 = madd(v, w1, s2);
      s3 = madd(v, w0, s3);
      v = v128.load((from += next));
      s2 = madd(v, w2, s2);
      s3 = madd(v, w1, s3);
      s3 = madd(v128.load(from + next), w2, s3);
    }
    finish(y, f32x4.add(s0, offset), LANES, epilogue);
    finish(y + yNext, f32x4.add(s1, offset), LANES, epilogue);
    finish(y + yNext * 2, f32x4.add(s2, offset), LANES, epilogue);
    finish(y + yNext * 3, f32x4.add(s3, offset), LANES, epilogue);
  }
}

/** One pixel, with `rows` × `columns` of its window inside; the window's rows are wLine bytes apart. */
function onePixel(
  y: usize, x: usize, weight: usize, bias: usize,
  rows: u32, line: usize, columns: u32, tap: usize, wLine: usize, channels: u32, epilogue: u32,
): void {
  const pixel = <usize>channels << 2;
  for (let c: u32 = 0; c < channels; c += LANES, x += 16, y += 16, weight += 16) {
    const left = channels - c;
    const offset = bias != 0 ? loadUpTo(bias + (<usize>c << 2), left) : f32x4.splat(0);
    let sum = f32x4.splat(0);
    for (let ky: u32 = 0; ky < rows; ky++) {
      let a = x + <usize>ky * line;
      let w = weight + <usize>ky * wLine;
      for (let kx: u32 = 0; kx < columns; kx++, a += tap, w += pixel) sum = madd(loadUpTo(a, left), loadUpTo(w, left), sum);
    }
    finish(y, f32x4.add(sum, offset), left, epilogue);
  }
}

function loadUpTo(x: usize, count: u32): v128 {
  return count >= LANES ? v128.load(x) : loadPart(x, count);
}

function storeUpTo(y: usize, v: v128, count: u32): void {
  if (count >= LANES) v128.store(y, v);
  else storePart(y, v, count);
}

function finish(y: usize, sum: v128, count: u32, epilogue: u32): void {
  storeUpTo(y, epilogue == 0 ? sum : activated(sum, epilogue), count);
}

export const CHANNEL_BLOCK: u32 = 16;

/** dW[part, ky, kx, c] = Σ x[n, i·strideY + ky·dilationY - padTop, j·strideX + kx·dilationX - padLeft, c] ·
 *  dy[n, i, j, c] over the part's rows of y; their sum over the `parts` is the gradient. x [batch, height, width,
 *  channels], dy [batch, outHeight, outWidth, channels], dW [parts, windowHeight, windowWidth, channels]. Overwrites.
 *  Unit: 16 channels of a part. */
export function depthwiseWeights(
  begin: u32, end: u32, dW: usize, x: usize, dy: usize,
  batch: u32, height: u32, width: u32, channels: u32, outHeight: u32, outWidth: u32, windowHeight: u32, windowWidth: u32,
  strideY: u32, strideX: u32, dilationY: u32, dilationX: u32, padTop: u32, padLeft: u32, parts: u32,
): void {
  const pixel = <usize>channels << 2;
  const blocks = (channels + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK;
  const taps = windowHeight * windowWidth;
  const lines = batch * outHeight;
  for (let unit = begin; unit < end; unit++) {
    const part = unit / blocks;
    const c = (unit - part * blocks) * CHANNEL_BLOCK;
    const count = min(CHANNEL_BLOCK, channels - c);
    const target = dW + <usize>(part * taps) * pixel + (<usize>c << 2);
    for (let tap: u32 = 0; tap < taps; tap++) clear(target + <usize>tap * pixel, count);
    const stop = <u32>((<u64>lines * (part + 1)) / parts);
    for (let row = <u32>((<u64>lines * part) / parts); row < stop; row++) {
      const image = row / outHeight;
      const top = (row - image * outHeight) * strideY - padTop;
      for (let ky: u32 = 0; ky < windowHeight; ky++) {
        const line = top + ky * dilationY;
        if (line >= height) continue;
        for (let kx: u32 = 0; kx < windowWidth; kx++) {
          const left = kx * dilationX - padLeft;
          const j = firstInside(left, strideX, outWidth);
          const jEnd = max(j, firstInside(left - width, strideX, outWidth));
          const from = x + <usize>((image * height + line) * width + j * strideX + left) * pixel + (<usize>c << 2);
          const slope = dy + <usize>(row * outWidth + j) * pixel + (<usize>c << 2);
          addProducts(target + <usize>(ky * windowWidth + kx) * pixel, from, <usize>strideX * pixel, slope, pixel, jEnd - j, count);
        }
      }
    }
  }
}

function clear(y: usize, count: u32): void {
  for (let i: u32 = 0; i < count; i++) store<u32>(y + (<usize>i << 2), 0);
}

/** y[c] += Σ_j a[j, c] · b[j, c] for up to 16 channels; `count` products, aStep and bStep bytes apart. */
function addProducts(y: usize, a: usize, aStep: usize, b: usize, bStep: usize, count: u32, channels: u32): void {
  if (channels == CHANNEL_BLOCK) {
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
    for (let j: u32 = 0; j < count; j++, a += aStep, b += bStep) {
      s0 = madd(v128.load(a), v128.load(b), s0);
      s1 = madd(v128.load(a, 16), v128.load(b, 16), s1);
      s2 = madd(v128.load(a, 32), v128.load(b, 32), s2);
      s3 = madd(v128.load(a, 48), v128.load(b, 48), s3);
    }
    v128.store(y, f32x4.add(v128.load(y), s0));
    v128.store(y, f32x4.add(v128.load(y, 16), s1), 16);
    v128.store(y, f32x4.add(v128.load(y, 32), s2), 32);
    v128.store(y, f32x4.add(v128.load(y, 48), s3), 48);
    return;
  }
  for (let c: u32 = 0; c < channels; c += LANES) {
    const left = channels - c;
    let sum = f32x4.splat(0);
    let f = a + (<usize>c << 2);
    let g = b + (<usize>c << 2);
    for (let j: u32 = 0; j < count; j++, f += aStep, g += bStep) sum = madd(loadUpTo(f, left), loadUpTo(g, left), sum);
    const at = y + (<usize>c << 2);
    storeUpTo(at, f32x4.add(loadUpTo(at, left), sum), left);
  }
}
