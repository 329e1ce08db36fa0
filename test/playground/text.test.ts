// Models of the playground that write.
import { characterTokenizer } from "steepest/text";
import { expect, test } from "vitest";
import { createRandom } from "../../playground/src/random.js";
import { decodeSettings, encodeSettings } from "../../playground/src/settings.js";
import { drawWindows, openTrainer, openWriter } from "../../playground/src/text/network.js";
import { schema } from "../../playground/src/text/settings.js";

test("windows are parts of the text, and what follows each id", () => {
  const ids = Uint32Array.from({ length: 100 }, (_, i) => i);
  const { x, y } = drawWindows(ids, 7, 50, createRandom(3));
  expect(x).toHaveLength(350);
  for (const [i, id] of x.entries()) {
    expect(y[i]).toBe(id + 1);
    if (i % 7 > 0) expect(id).toBe((x[i - 1] as number) + 1);
  }
});

test.each(["gpt", "lstm", "gru"] as const)(
  "a %s learns a sentence by heart, and writes it, beyond its context too",
  async (model) => {
    const sentence = "all good men go to sea. ";
    const tokenizer = characterTokenizer([sentence]);
    const learned = Uint32Array.from(tokenizer.encode(sentence.repeat(20)));
    const sizes = { model, width: 32, context: 24, size: tokenizer.size };
    using trainer = await openTrainer(sizes, { seed: 1, threads: 1 }, () => 0.01);
    const random = createRandom(1);
    for (let round = 0; round < 15; round++) {
      await trainer.trainSteps(drawWindows(learned, 24, 160, random), { steps: 20, batchSize: 8 });
    }
    const writer = await openWriter(sizes);
    writer.begin(trainer.parameters(), Array.from(tokenizer.encode("all good ")), 0, 1);
    const ids: number[] = [];
    while (ids.length < 60) {
      const id = writer.next();
      if (id !== undefined) ids.push(id);
    }
    expect(`all good ${tokenizer.decode(ids)}`).toBe(sentence.repeat(3).slice(0, 69));
    writer.dispose();
  },
);

test("a prompt of any characters is carried by a link", () => {
  const settings = decodeSettings(schema, "#prompt=Call%20me%20%26%20%23");
  expect(settings.prompt).toBe("Call me & #");
  expect(decodeSettings(schema, `#${encodeSettings(schema, settings)}`)).toEqual(settings);
});
