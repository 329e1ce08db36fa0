// What a page has of images, as bytes, in a real browser.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Browser, chromium } from "playwright-core";
import type { Image, imageFrom } from "steepest/images";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumPath } from "../browser/server.js";

describe.skipIf(chromiumPath === undefined)("in a page", () => {
  let browser: Browser;
  let script = "";
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: chromiumPath as string, args: ["--no-sandbox"] });
    const entryPoints = [fileURLToPath(new URL("../../src/images/index.ts", import.meta.url))];
    const { outputFiles } = await build({
      entryPoints,
      bundle: true,
      format: "iife",
      globalName: "images",
      write: false,
    });
    script = outputFiles[0]?.text ?? "";
  }, 60_000);
  afterAll(() => browser?.close());

  it("canvases, bitmaps, pixels, elements and frames are the same bytes, in their own size", async () => {
    const page = await browser.newPage();
    await page.addScriptTag({ content: script });
    const found = await page.evaluate(async () => {
      const { imageFrom: from } = (globalThis as unknown as { images: { imageFrom: typeof imageFrom } }).images;
      const canvas = document.createElement("canvas");
      Object.assign(canvas, { width: 3, height: 2 });
      const context = canvas.getContext("2d") as CanvasRenderingContext2D;
      const pixels = context.createImageData(3, 2);
      pixels.data.set([
        255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 9, 9, 9, 255, 80, 90, 99, 255, 255, 255, 255, 255,
      ]);
      context.putImageData(pixels, 0, 0);
      const offscreen = new OffscreenCanvas(3, 2);
      offscreen.getContext("2d")?.putImageData(pixels, 0, 0);
      const element = new Image();
      element.src = canvas.toDataURL();
      // The page shows it larger than it is.
      Object.assign(element, { width: 30, height: 20 });
      document.body.append(element);
      await element.decode();
      const frame = new VideoFrame(canvas, { timestamp: 0 });
      const bitmap = await createImageBitmap(canvas);
      const given = { pixels, canvas, offscreen, element, frame, bitmap };
      const shown = (image: Image) => ({ ...image, data: [...image.data] });
      const results = Object.entries(given).map(([name, one]) => [name, shown(from(one as never))] as const);
      const grey = shown(from(bitmap, { channels: 1, size: [1, 1], fit: "fill" }));
      frame.close();
      bitmap.close();
      const refused = (one: unknown) => {
        try {
          return String(from(one as never).width);
        } catch (error) {
          return (error as Error).message;
        }
      };
      return {
        wanted: [...pixels.data],
        results,
        grey,
        unloaded: refused(new Image()),
        closed: refused(bitmap),
      };
    });
    expect(found.results).toHaveLength(6);
    for (const [name, image] of found.results) {
      expect([name, image]).toEqual([name, { width: 3, height: 2, channels: 4, data: found.wanted }]);
    }
    expect(found.grey).toMatchObject({ width: 1, height: 1, channels: 1 });
    expect(found.unloaded).toContain("got 0 and 0: wait until it is loaded");
    expect(found.closed).toContain("imageFrom: ");
    await page.close();
  });
});
