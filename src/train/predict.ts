// Predictions: inputs staged in slices of a program's batch, outputs copied out.
import { checkOptions, ModelError } from "../engine/errors.js";
import { sizeOf } from "../graph/tensor.js";
import { type FlatValues, flattenValues, type Values, writeFloats } from "../graph/values.js";
import { countSamples } from "./data.js";
import type { Session } from "./session.js";
import { checkOpen } from "./state.js";

export interface PredictOptions {
  /** `"prediction"` (default): what the loss makes of the model's output, as probabilities of logits. `"raw"`: the output itself. */
  output?: "prediction" | "raw";
}

const MOST_SAMPLES = 256;

export function predictNow(session: Session, x: Values, options: PredictOptions = {}): Float32Array {
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
  const at = staging.x(most * inputs * 4);
  const predictions = new Float32Array(count * outputs);
  for (let first = 0; first < count; first += most) {
    const batch = Math.min(most, count - first);
    const slice = count === batch ? data : sliceOf(data, first * inputs, batch * inputs);
    writeFloats("x", engine.floats(at, batch * inputs), slice);
    const feed = { kind: "staged", x: at, y: 0 } as const;
    const { program, result } = cache.get(output === "raw" ? "predict raw" : "predict", feed, batch);
    engine.run(program.address, program.end, 1, program.threads);
    predictions.set(engine.floats(result, batch * outputs), first * outputs);
  }
  return predictions;
}

function sliceOf(data: FlatValues["data"], start: number, length: number): FlatValues["data"] {
  if (ArrayBuffer.isView(data)) return (data as Float32Array).subarray(start, start + length);
  return (data as readonly number[]).slice(start, start + length);
}
