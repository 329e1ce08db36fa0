// How a camera was held: the orientation in the EXIF data of a JPEG, and the image turned by it.
import type { Image } from "./image.js";

const ORIENTATION = 0x0112;

/** From 1 (upright) to 8; 1 if a JPEG says nothing that can be read. */
export function orientationOf(jpeg: Uint8Array): number {
  const view = new DataView(jpeg.buffer, jpeg.byteOffset, jpeg.byteLength);
  // Segments: 0xff, a marker, a length that counts itself. Those of the picture itself begin with 0xda.
  for (let at = 2; at + 4 <= view.byteLength && view.getUint8(at) === 0xff; ) {
    const marker = view.getUint8(at + 1);
    if (marker === 0xda) break;
    const length = view.getUint16(at + 2);
    if (marker === 0xe1 && isExif(jpeg.subarray(at + 4))) {
      return inTiff(
        new DataView(
          jpeg.buffer,
          jpeg.byteOffset + at + 10,
          Math.max(0, Math.min(length - 8, view.byteLength - at - 10)),
        ),
      );
    }
    at += 2 + length;
  }
  return 1;
}

function isExif(bytes: Uint8Array): boolean {
  return bytes.length > 6 && String.fromCharCode(...bytes.subarray(0, 6)) === "Exif\0\0";
}

/** Of the first table of a TIFF header: 12 bytes an entry, with a tag, a type, a count and a value. */
function inTiff(view: DataView): number {
  if (view.byteLength < 8) return 1;
  const little = view.getUint16(0) === 0x4949;
  const table = view.getUint32(4, little);
  if (table + 2 > view.byteLength) return 1;
  const entries = view.getUint16(table, little);
  for (let entry = 0; entry < entries; entry++) {
    const at = table + 2 + 12 * entry;
    if (at + 12 > view.byteLength) return 1;
    if (view.getUint16(at, little) !== ORIENTATION) continue;
    const value = view.getUint16(at + 8, little);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/** The image as it was seen. */
export function upright(image: Image, orientation: number): Image {
  if (orientation === 1) return image;
  const { data, height, width, channels } = image;
  // From 5 on, rows and columns change places. Then the rows are taken from below, or the columns from the right.
  const turned = orientation >= 5;
  const [newHeight, newWidth] = turned ? [width, height] : [height, width];
  const fromBelow = [3, 4, 6, 7].includes(orientation);
  const fromRight = [2, 3, 7, 8].includes(orientation);
  const to = new Uint8Array(data.length);
  for (let row = 0; row < newHeight; row++) {
    for (let column = 0; column < newWidth; column++) {
      const [y, x] = turned ? [column, row] : [row, column];
      const from = (fromBelow ? height - 1 - y : y) * width + (fromRight ? width - 1 - x : x);
      const pixel = data.subarray(from * channels, (from + 1) * channels);
      to.set(pixel, (row * newWidth + column) * channels);
    }
  }
  return { data: to, height: newHeight, width: newWidth, channels };
}
