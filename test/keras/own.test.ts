// Files that Keras itself has written (recordOwn.py), with what it predicts.
import { readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
import { createEngineSync } from "steepest";
import { fromKeras } from "steepest/keras";
import { afterAll, test } from "vitest";
import { expectPredictions, type Recorded } from "./recorded.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const { models }: { models: Readonly<Record<string, Recorded & { keras: string; h5: string }>> } = JSON.parse(
  readFileSync(new URL("../golden/kerasOwn.json", import.meta.url), "utf8"),
);

const files = Object.entries(models).flatMap(([name, recorded]) =>
  (["keras", "h5"] as const).map((kind) => [`${name}.${kind}`, recorded, recorded[kind]] as const),
);

test.each(files)("%s", async (_, recorded, file) => {
  const { model } = await fromKeras(new Uint8Array(inflateSync(Buffer.from(file, "base64"))));
  await expectPredictions(engine, model, recorded);
});
