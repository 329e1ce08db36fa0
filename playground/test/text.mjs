// A model that writes: its loss falls below that of a guess by frequency alone, and it writes letters of the book.
import assert from "node:assert/strict";
import { until } from "./check.mjs";

const lossOf = async (page) => Number.parseFloat(await page.textContent("#loss"));
const ready = (page) =>
  until(
    () => page.textContent("#parameters"),
    (text) => text !== "–",
    "the model",
  );

export default async function text({ test, variant, visit }) {
  for (const model of ["gpt", "lstm"]) {
    // Letters by their frequency alone have a loss of about 3.0.
    await (model === "gpt" ? test : variant)(`text: a ${model} comes below a loss of 2.7, and writes meanwhile`, () =>
      visit(`text.html#model=${model}&width=32&context=32&prompt=Call%20me%20`, async (page, shoot) => {
        await ready(page);
        await page.click("#play");
        await until(
          () => lossOf(page),
          (loss) => loss < 2.7,
          "loss",
        );
        await until(
          () => page.locator("#samples li").count(),
          (count) => count >= 2,
          "samples",
        );
        const sample = await page.locator("#samples li p").last().textContent();
        assert.ok(sample.startsWith("Call me ") && sample.length > 100, sample);
        await page.click("#play");
        await shoot(`text-${model}`);
        await page.reload();
        await ready(page);
        assert.equal(await page.inputValue("#prompt"), "Call me ");
        assert.equal(await page.locator("#samples li").count(), 0);
      }),
    );
  }
}
