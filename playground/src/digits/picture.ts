// From a drawing to a digit as MNIST has them: 20 pixels in its larger direction, its center of mass in the middle of 28 × 28.

export const SIDE = 28;
const BOX = 20;

interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** The smallest box around all ink; undefined if there is none. */
export function boxOf(ink: ArrayLike<number>, width: number): Box | undefined {
  let [left, right, top, bottom] = [width, -1, ink.length, -1];
  for (let i = 0; i < ink.length; i++) {
    if (ink[i] === 0) continue;
    const x = i % width;
    const y = Math.floor(i / width);
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return right < 0 ? undefined : { left, top, width: right - left + 1, height: bottom - top + 1 };
}

/** The mean of the ink within a part of the drawing; what lies outside has none. */
function mean(ink: ArrayLike<number>, width: number, left: number, top: number, size: number): number {
  const height = ink.length / width;
  let sum = 0;
  let area = 0;
  for (let y = Math.floor(top); y < top + size; y++) {
    const high = Math.min(y + 1, top + size) - Math.max(y, top);
    for (let x = Math.floor(left); x < left + size; x++) {
      const part = high * (Math.min(x + 1, left + size) - Math.max(x, left));
      area += part;
      if (x >= 0 && x < width && y >= 0 && y < height) sum += part * (ink[y * width + x] as number);
    }
  }
  return sum / area;
}

/** Bytes [28, 28] of a drawing, whose ink is 0 to 255, row by row; undefined if nothing was drawn. */
export function toDigit(ink: ArrayLike<number>, width: number): Uint8Array | undefined {
  const box = boxOf(ink, width);
  if (box === undefined) return undefined;
  const size = Math.max(box.width, box.height) / BOX;
  // The center of mass, in pixels of the drawing.
  let [sum, atX, atY] = [0, 0, 0];
  for (let y = box.top; y < box.top + box.height; y++) {
    for (let x = box.left; x < box.left + box.width; x++) {
      const value = ink[y * width + x] as number;
      sum += value;
      atX += value * (x + 0.5);
      atY += value * (y + 0.5);
    }
  }
  const left = atX / sum - (SIDE / 2) * size;
  const top = atY / sum - (SIDE / 2) * size;
  return Uint8Array.from({ length: SIDE * SIDE }, (_, i) =>
    Math.round(mean(ink, width, left + (i % SIDE) * size, top + Math.floor(i / SIDE) * size, size)),
  );
}
