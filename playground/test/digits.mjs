// Draw a digit: it learns, and knows what it was not trained with, as an image and as strokes of the mouse.
import assert from "node:assert/strict";
import { until } from "./check.mjs";

const accuracyOf = async (page) => Number.parseFloat(await page.textContent("#accuracy"));
/** The number of the drawing that the guess is for. */
const drawingOf = async (page) => Number(await page.getAttribute("#guess", "data-drawing"));
const ready = (page) =>
  until(
    () => page.textContent("#accuracy"),
    (text) => text !== "–",
    "the first score",
  );

async function stroke(page, points) {
  const box = await page.locator("#pad").boundingBox();
  const place = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...place(points[0]));
  await page.mouse.down();
  for (const point of points.slice(1)) await page.mouse.move(...place(point), { steps: 6 });
  await page.mouse.up();
}

export default async function digits({ test, visit }) {
  await test("digits: 95 % of the test images are right; images and strokes are recognized", () =>
    visit("digits.html", async (page, shoot) => {
      await ready(page);
      assert.ok((await accuracyOf(page)) < 40);
      await page.click("#play");
      await until(
        () => accuracyOf(page),
        (accuracy) => accuracy >= 95,
        "accuracy",
      );
      await page.click("#play");
      await until(
        () => page.textContent("#play"),
        (text) => text === "Train",
        "pause",
      );
      let right = 0;
      for (let image = 0; image < 10; image++) {
        const before = await drawingOf(page);
        await page.click("text=Test image");
        await until(
          () => drawingOf(page),
          (drawing) => drawing > before,
          "a guess",
        );
        const truth = /a (\d)/.exec(await page.textContent("#truth"))[1];
        if ((await page.textContent("#guess")) === truth) right++;
      }
      assert.ok(right >= 8, `${right} of 10 images`);
      for (const [digit, points] of [
        [
          "7",
          [
            [0.28, 0.2],
            [0.72, 0.2],
            [0.45, 0.85],
          ],
        ],
        [
          "0",
          Array.from({ length: 17 }, (_, i) => [
            0.5 - 0.2 * Math.sin((i * Math.PI) / 8),
            0.5 - 0.33 * Math.cos((i * Math.PI) / 8),
          ]),
        ],
      ]) {
        await page.click("text=Clear");
        await stroke(page, points);
        await until(
          () => page.textContent("#guess"),
          (guess) => guess === digit,
          `a drawn ${digit}`,
        );
      }
      await shoot("digits-trained");
    }));

  await test("digits: a digit is drawn by keys; a link carries the network", () =>
    visit("digits.html#network=dense&threads=2", async (page) => {
      await ready(page);
      assert.equal(await page.locator(".window").count(), 32);
      await page.focus("#pad");
      await page.keyboard.press("Space");
      for (let step = 0; step < 12; step++) await page.keyboard.press("ArrowDown");
      await until(
        () => page.textContent("#guess"),
        (guess) => /^\d$/.test(guess),
        "a guess",
      );
      await page.keyboard.press("Delete");
      await until(
        () => page.textContent("#guess"),
        (guess) => guess === "–",
        "an empty pad",
      );
    }));
}
