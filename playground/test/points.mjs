// Points in a plane: XOR and the spiral by clicks, settings by keys and by link.
import assert from "node:assert/strict";
import { until } from "./check.mjs";

const accuracyOf = async (page) => Number.parseFloat(await page.textContent("#test-accuracy"));
const epochOf = async (page) => Number((await page.textContent("#epoch")).replaceAll(",", ""));
const ready = (page) =>
  until(
    () => page.textContent("#test-loss"),
    (text) => text !== "–",
    "the first scores",
  );

export default async function points({ test, variant, visit }) {
  await test("points: XOR is learned by clicks, to 95 % of the test points", () =>
    visit("index.html", async (page, shoot) => {
      await ready(page);
      await page.click("text=XOR");
      await page.click("#play");
      await until(
        () => accuracyOf(page),
        (accuracy) => accuracy >= 95,
        "accuracy",
      );
      await page.click("#play");
      assert.equal(await page.textContent("#play"), "Play");
      await shoot("points-xor");
    }));

  await test("points: the spiral is learned by clicks, to 95 % of the test points", () =>
    visit("index.html", async (page, shoot) => {
      await ready(page);
      await page.click("text=Spiral");
      await page.click('[aria-label="Feature sin x"]');
      await page.click('[aria-label="Feature sin y"]');
      await page.click('[aria-label="Units of layer 1: one more"]');
      await page.click('[aria-label="Units of layer 1: one more"]');
      await page.selectOption('label:text-is("Epochs a frame") + select', "8");
      await page.click("#play");
      await until(
        () => accuracyOf(page),
        (accuracy) => accuracy >= 95,
        "accuracy",
      );
      await shoot("points-spiral");
      assert.equal(new URL(page.url()).hash, "#data=spiral&features=x.y.sinx.siny&layers=8-4&speed=8");
    }));

  await variant("points: a regression has no accuracy, and its loss falls", () =>
    visit("index.html#data=hills&layers=8-8&speed=8", async (page) => {
      await ready(page);
      assert.equal(await page.textContent("#test-accuracy"), "–");
      const before = Number(await page.textContent("#test-loss"));
      await page.click("#play");
      await until(
        async () => Number(await page.textContent("#test-loss")),
        (loss) => loss < before / 3,
        "loss",
      );
    }),
  );

  await variant("points: step, reset, and the same seed gives the same numbers", () =>
    visit("index.html#batch=20", async (page) => {
      await ready(page);
      const first = await page.textContent("#train-loss");
      const losses = [];
      for (let round = 0; round < 2; round++) {
        for (let step = 0; step < 10; step++) await page.click("text=Step");
        await until(
          () => epochOf(page),
          (epoch) => epoch === 1,
          "epoch",
        );
        losses.push(await page.textContent("#train-loss"));
        await page.click("text=Reset");
        await until(
          () => page.textContent("#train-loss"),
          (loss) => loss === first,
          "loss after a reset",
        );
      }
      assert.equal(losses[0], losses[1]);
      assert.notEqual(losses[0], first);
    }),
  );

  await test("points: the keyboard alone trains, and reaches each unit", () =>
    visit("index.html", async (page) => {
      await ready(page);
      const press = async (name) => {
        for (let tabs = 0; tabs < 80; tabs++) {
          const found = await page.evaluate((text) => {
            const { activeElement: element } = document;
            const label = element?.getAttribute("aria-label") ?? element?.textContent;
            return label === text;
          }, name);
          if (found) return;
          await page.keyboard.press("Tab");
        }
        throw new Error(`Tab never came to "${name}"`);
      };
      await press("Play");
      await page.keyboard.press("Enter");
      await press("Layer 2, unit 1: show what it sees");
      assert.equal(await page.textContent("#output-title"), "Layer 2, unit 1");
      await until(
        () => epochOf(page),
        (epoch) => epoch >= 2,
        "epoch",
      );
    }));

  await test("points: settings survive a reload and a link", () =>
    visit("index.html#data=gauss&noise=35&layers=3-2-1&optimizer=sgd&rate=0.1&penalty=l2", async (page) => {
      await ready(page);
      await page.selectOption('label:text-is("Activation") + select', "ReLU");
      await page.reload();
      await ready(page);
      const value = (label) =>
        page.$eval(`label:text-is("${label}") + select`, (list) => list.selectedOptions[0].textContent);
      assert.deepEqual(await Promise.all(["Optimizer", "Learning rate", "Regularization", "Activation"].map(value)), [
        "SGD",
        "0.1",
        "L2",
        "ReLU",
      ]);
      assert.equal(await page.isChecked('input[value="gauss"]'), true);
      assert.equal(await page.locator(".unit:not(.feature)").count(), 6);
      await page.evaluate(() => {
        location.hash = "#data=circle&layers=none";
      });
      await until(
        () => page.locator(".unit:not(.feature)").count(),
        (count) => count === 0,
        "units",
      );
    }));

  await variant("points: threads where the page is isolated; without, it trains all the same", async () => {
    await visit("index.html", async (page) => {
      await ready(page);
      const status = await page.textContent("#status");
      assert.match(status, /build “strict”, 1 thread, in the background/);
      if ((await page.evaluate("navigator.hardwareConcurrency")) < 2) return;
      await page.selectOption('label:text-is("Threads") + select', "2");
      await until(
        () => page.textContent("#status"),
        (text) => text.includes("2 threads"),
        "status",
      );
    });
    await visit(
      "index.html",
      async (page) => {
        await ready(page);
        assert.equal(await page.evaluate("crossOriginIsolated"), false);
        await page.click("#play");
        await until(
          () => epochOf(page),
          (epoch) => epoch >= 2,
          "epoch",
        );
        assert.match(await page.textContent("#status"), /1 thread, in the background/);
      },
      { server: "plain" },
    );
  });
}
