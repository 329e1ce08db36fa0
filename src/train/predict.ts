// Predictions: inputs staged in slices of a program's batch, outputs copied out.
import { performance } from "../engine/host.js";
import { sizeOf } from "../graph/tensor.js";
import { sliceOf, type Values } from "../graph/values.js";
import { type ForPorts, fromList, type Ports } from "../nn/ports.js";
import { type InputValues, scaleInputs } from "./bytes.js";
import { copyValues, fillInput, flattenInputs, type SampleFormat } from "./data.js";
import { EngineCall, type Job, PAUSE } from "./job.js";
import { checkAverage } from "./optimizer.js";
import { checkPredictOptions, type PredictOptions } from "./options.js";
import { programFor } from "./programs.js";
import { forgetCopy } from "./rewind.js";
import { claimRows } from "./rowStates.js";
import { formatFor, stagingPlace } from "./samples.js";
import { guard, type State } from "./state.js";
import { SLICE_MS } from "./steps.js";
import { warnOfBytes } from "./warnings.js";

const MAX_SAMPLES = 256;

/** The arguments of a prediction, checked. */
export interface Asked {
  readonly x: readonly InputValues[];
  readonly count: number;
  readonly format: SampleFormat;
  readonly output: "prediction" | "raw";
  readonly parameters: string | undefined;
}

/**
 * Reads the inputs before the call returns. `later`: into new arrays, as the caller may change the given ones before
 * they are used.
 */
export function readInputs(
  state: State,
  given: ForPorts<Ports, Values>,
  options: PredictOptions | undefined,
  later: boolean,
): Asked {
  guard(state, "trainer");
  const { output, inputShape, parameters: named, scales } = checkPredictOptions(options);
  const parameters = checkAverage("predict", "parameters", state.optimizer, named);
  const format = formatFor(state, inputShape);
  const { x: flat, count } = flattenInputs(given, format);
  const x = scaleInputs(flat, format.inputs, scales);
  warnOfBytes(state, "predict", x, format.inputs);
  // Inputs that fit one program are staged at once, unless another job has the engine.
  const copied = later && (state.engine.background || count > MAX_SAMPLES);
  return { x: copied ? x.map(copyValues) : x, count, format, output, parameters };
}

export function* predictAll<O extends Ports>(
  state: State,
  { x, count, format, output, parameters }: Asked,
): Job<ForPorts<O, Float32Array>> {
  const { engine, samples } = state;
  guard(state, "trainer");
  const inputs = format.inputs.map(({ shape }) => sizeOf(shape));
  const outputs = format.outputs.map(({ shape }) => sizeOf(shape));
  const { size: stateful } = state.config.model.states;
  // Steps before a prediction that goes on with states are not the same without it.
  if (stateful > 0) forgetCopy(state);
  // Each sample is a row of the states, so all samples are one batch.
  const most = stateful > 0 ? count : Math.min(count, MAX_SAMPLES);
  const predictions = outputs.map((size) => new Float32Array(count * size));
  let sliceEnd = count > most ? performance.now() + SLICE_MS : 0;
  for (let first = 0; first < count; first += most) {
    if (first > 0 && performance.now() > sliceEnd) {
      yield PAUSE;
      guard(state, "trainer");
      sliceEnd = performance.now() + SLICE_MS;
    }
    const at = inputs.map((size, index) => stagingPlace(state, samples.staging.x, index, most * size * 4));
    const batch = Math.min(most, count - first);
    x.forEach(({ data, scaled }, index) => {
      const size = inputs[index];
      const slice = sliceOf(data, first * size, batch * size);
      const port = format.inputs[index];
      fillInput(engine.writable(at[index], batch * size, port.dtype), slice, port, first * size, scaled);
    });
    const feed = { kind: "staged", x: at, y: [], format, parameters } as const;
    const { program, results } = programFor(state, output === "raw" ? "predict raw" : "predict", feed, batch);
    const sizes = outputs.map((size) => batch * size);
    if (stateful > 0) claimRows(state.rowStates, "predict", batch);
    const places = sizes.map((size, index) => ({ address: results[index], bytes: size * 4 }));
    yield new EngineCall(program, 1, stateful > 0 ? [...places, ...state.rowStates.places.values()] : places);
    places.forEach(({ address }, index) => {
      const areWords = format.outputs[index].dtype === "uint32";
      const values = areWords ? engine.words(address, sizes[index]) : engine.floats(address, sizes[index]);
      predictions[index].set(values, first * outputs[index]);
    });
  }
  return fromList<O, Float32Array>(state.config.model.outputs, predictions);
}
