// Predictions: inputs staged in slices of a program's batch, outputs copied out.
import { checkOptions, ModelError } from "../engine/errors.js";
import { sizeOf } from "../graph/tensor.js";
import { flattenValues, sliceOf, type Values, writeFloats } from "../graph/values.js";
import { countSamples } from "./data.js";
import type { Session } from "./session.js";
import { checkOpen } from "./state.js";
import { SLICE_MS } from "./steps.js";
import { EngineCall, type Work } from "./work.js";

export interface PredictOptions {
  /** `"prediction"` (default): what the loss makes of the model's output, as probabilities of logits. `"raw"`: the output itself. */
  output?: "prediction" | "raw";
}

const MOST_SAMPLES = 256;

export function* predictAll(session: Session, x: Values, options: PredictOptions = {}): Work<Float32Array> {
  const { state, cache, engine, staging, format } = session;
  checkOpen(state);
  checkOptions("predict", options, ["output"]);
  const { output = "prediction" } = options;
  if (output !== "prediction" && output !== "raw") {
    throw new ModelError(`predict: output must be "prediction" or "raw", got ${JSON.stringify(output)}`);
  }
  const flat = flattenValues("x", x);
  const { data } = flat;
  const count = countSamples("x", flat, format.inputShape);
  const [inputs, outputs] = [sizeOf(format.inputShape), sizeOf(format.outputShape)];
  const most = Math.min(count, MOST_SAMPLES);
  const predictions = new Float32Array(count * outputs);
  let sliceEnd = performance.now() + SLICE_MS;
  for (let first = 0; first < count; first += most) {
    if (performance.now() > sliceEnd) {
      yield undefined;
      checkOpen(state);
      sliceEnd = performance.now() + SLICE_MS;
    }
    const at = staging.x(most * inputs * 4);
    const batch = Math.min(most, count - first);
    const slice = sliceOf(data, first * inputs, batch * inputs);
    writeFloats("x", engine.floats(at, batch * inputs), slice);
    engine.changed(at, batch * inputs * 4);
    const feed = { kind: "staged", x: at, y: 0 } as const;
    const { program, result } = cache.get(output === "raw" ? "predict raw" : "predict", feed, batch);
    yield new EngineCall(program, 1, [{ address: result, bytes: batch * outputs * 4 }]);
    predictions.set(engine.floats(result, batch * outputs), first * outputs);
  }
  return predictions;
}
