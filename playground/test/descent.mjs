// The race: every position is finite, all come down, the start is chosen by pointer and keys, and a link carries it.
import assert from "node:assert/strict";
import { until } from "./check.mjs";

const stepsOf = async (page) => Number((await page.textContent("#steps")).replaceAll(",", ""));
const ready = (page) =>
  until(
    () => page.locator("#board tr").count(),
    (count) => count > 0,
    "the racers",
  );

export default async function descent({ test, visit, brief }) {
  await test("descent: eight optimizers race down landscapes, at finite heights that fall", async () => {
    for (const land of brief ? ["rosenbrock"] : ["ravine", "rosenbrock", "saddle", "himmelblau", "beale", "eggs"]) {
      const racers = "sgd.momentum.nesterov.adagrad.rmsprop.adam.lion.rprop";
      await visit(`descent.html#land=${land}&racers=${racers}&rate=0.0003&speed=20`, async (page, shoot) => {
        await ready(page);
        await page.click("#play");
        await until(
          () => stepsOf(page),
          (steps) => steps >= 200,
          "steps",
        );
        const heights = await page.$$eval("#board td", (cells) => cells.map(({ textContent }) => Number(textContent)));
        assert.equal(heights.length, 8);
        assert.ok(
          heights.every((height) => Number.isFinite(height) && height >= 0),
          heights.join(),
        );
        if (land === "rosenbrock") assert.ok(Math.min(...heights) < 1, heights.join());
        await shoot(`descent-${land}`);
      });
    }
  });

  await test("descent: the start is moved by pointer and keys, and survives a reload", () =>
    visit("descent.html#land=himmelblau", async (page) => {
      await ready(page);
      const box = await page.locator("#heads").boundingBox();
      await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
      await until(
        () => page.url(),
        (url) => /start=-?0(\.\d+)?_-?0(\.\d+)?$/.test(url),
        "a start in the middle",
      );
      await page.focus("#heads");
      await page.keyboard.press("ArrowRight");
      await page.keyboard.press("ArrowRight");
      const hash = new URL(page.url()).hash;
      const x = Number(/start=([^_]+)/.exec(hash)[1]);
      assert.ok(Math.abs(x - 0.6) < 0.05, hash);
      await page.reload();
      await ready(page);
      await page.click("text=Step");
      await until(
        () => stepsOf(page),
        (steps) => steps === 1,
        "a step",
      );
      assert.equal(new URL(page.url()).hash, hash);
    }));
}
