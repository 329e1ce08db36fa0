// Models of Keras and TensorFlow.js, recorded by record.mjs and record.py with what they predict there.
import { createEngineSync } from "steepest";
import { fromKeras, fromTensorFlowJs } from "steepest/keras";
import { afterAll, describe, test } from "vitest";
import { archives, expectPredictions, masked, ofTensorFlowJs, olderFiles, own } from "./recorded.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

describe("a model of TensorFlow.js predicts what it does there:", () => {
  test.each(Object.entries(ofTensorFlowJs))("%s", async (_, recorded) => {
    const weights = Buffer.from(recorded.weights, "base64");
    const { model } = await fromTensorFlowJs(recorded.json, { weights });
    await expectPredictions(engine, model, recorded);
  });
});

describe("so does the same as a file of Keras 3:", () => {
  test.each(archives)("%s", async (name, bytes) => {
    const { model } = await fromKeras(bytes);
    await expectPredictions(engine, model, ofTensorFlowJs[name]);
  });
});

describe("and as an older one in HDF5:", () => {
  test.each(olderFiles)("%s", async (name, bytes) => {
    const { model } = await fromKeras(bytes);
    await expectPredictions(engine, model, ofTensorFlowJs[name]);
  });
});

test.each([
  ["layers that TensorFlow.js has not", own],
  ["masks as Keras 3 has them, and further layers", masked],
])("%s give what PyTorch gives", async (_, recorded) => {
  const { model } = await fromKeras(recorded.bytes);
  await expectPredictions(engine, model, recorded);
});
