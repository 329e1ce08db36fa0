// The folder of the recipe has the digits as they are.
import { rmSync } from "node:fs";
import { imageFolder } from "steepest/images";
import { expect, test } from "vitest";
import { PIXELS, readDigits } from "../../examples/common/digits.js";
import { writeDigits } from "../../examples/imageFolder.js";

test("the folder has the pixels and labels of MNIST", async () => {
  const folder = writeDigits(40);
  try {
    const { samples, files } = await imageFolder(folder, { size: [28, 28], channels: 1 });
    const { x, y } = readDigits(40);
    files.forEach((file, row) => {
      const [digit, index] = file.replace(".png", "").split("/").map(Number);
      expect([samples.y[row], y[index]]).toEqual([digit, digit]);
      const pixels = x.subarray(index * PIXELS, (index + 1) * PIXELS);
      expect(Float32Array.from(samples.x.subarray(row * PIXELS, (row + 1) * PIXELS), (byte) => byte / 255)).toEqual(
        pixels,
      );
    });
    expect(files).toHaveLength(40);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
