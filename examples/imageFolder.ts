// A folder of images, one folder inside for each class: read, divided, changed at random, trained on. Here the images are
// digits of MNIST, written as PNG files into a temporary folder.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encode } from "fast-png";
import { PIXELS, readDigits, SIDE } from "./common/digits.js";
import { quick, report } from "./common/report.js";
import { trainFolder } from "./recipes/trainFolder.js";

/** Writes the first digits of MNIST as 0/17.png, 1/3.png and so on. Returns the folder. */
export function writeDigits(count: number): string {
  const folder = mkdtempSync(join(tmpdir(), "steepest-digits-"));
  const { x, y } = readDigits(count);
  for (let digit = 0; digit < 10; digit++) mkdirSync(join(folder, String(digit)));
  y.forEach((digit, index) => {
    const data = Uint8Array.from(x.subarray(index * PIXELS, (index + 1) * PIXELS), (value) => Math.round(value * 255));
    writeFileSync(
      join(folder, String(digit), `${index}.png`),
      encode({ width: SIDE, height: SIDE, channels: 1, data }),
    );
  });
  return folder;
}

async function main(): Promise<void> {
  const [images, epochs] = quick ? [1500, 4] : [6000, 8];
  const folder = writeDigits(images);
  try {
    const { loss, accuracy } = await trainFolder(folder, epochs);
    console.log(`${images} images in ten folders, a fifth of them for the test`);
    console.log(`after ${epochs} epochs: loss ${loss.toFixed(4)}, accuracy ${(100 * accuracy).toFixed(1)} %`);
    report("imageFolder", 100 * accuracy);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
