// A row for each export of "steepest/images".
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encode } from "fast-png";
import * as images from "steepest/images";
import { afterAll } from "vitest";
import type { Row } from "../sweep.js";

const file = encode({ width: 2, height: 2, depth: 8, channels: 1, data: Uint8Array.of(1, 2, 3, 4) });
const folder = mkdtempSync(join(tmpdir(), "steepest-pictures-"));
mkdirSync(join(folder, "class"));
writeFileSync(join(folder, "class", "1.png"), file);
afterAll(() => rmSync(folder, { recursive: true }));

const made = () => ({ size: [2, 2], fit: "contain", channels: 1 });
const read = () => ({ ...made(), onError: "stop" });

export const pictureRows: readonly Row[] = [
  {
    name: "imageFrom",
    call: images.imageFrom as never,
    // A page's objects have many other fields.
    records: ["0"],
    good: () => [{ data: Uint8Array.of(1, 2, 3, 4), width: 2, height: 2, channels: 1 }, made()],
    optional: ["1", "0.channels"],
  },
  { name: "decodeImage", call: images.decodeImage as never, good: () => [file, made()], optional: ["1"] },
  {
    name: "imageFolder",
    call: images.imageFolder as never,
    good: () => [folder, read()],
    required: ["1.size"],
  },
  {
    name: "imageStream",
    call: images.imageStream as never,
    good: () => [folder, { ...read(), batchSize: 2, shuffle: true, seed: 1 }],
    required: ["1.size"],
  },
];

export const namesOfPictures = Object.keys(images);
