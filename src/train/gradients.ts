// Gradients of the loss of a batch, by parameters and inputs.
import { ModelError } from "../engine/errors.js";
import { sizeOf } from "../graph/tensor.js";
import { fromList, type Ports } from "../nn/ports.js";
import { EngineCall, type Job } from "./job.js";
import { checkGradientsOptions, type GradientsOptions } from "./options.js";
import { type ParameterValues, readBlock } from "./parameters.js";
import { programFor } from "./programs.js";
import { type GivenSamples, stage } from "./samples.js";
import { claimStates, type State } from "./state.js";
import type { AllGradients } from "./trainer.js";

export type AnyGradients = Map<string, ParameterValues> & AllGradients<Ports>;

/** Gradients by the parameters, and by the inputs if the options say so. */
export function* gradientsOf(
  state: State,
  batch: GivenSamples,
  options: GradientsOptions | undefined,
): Job<AnyGradients> {
  const { inputs: wanted, loss: wantsLoss } = checkGradientsOptions(options);
  const { feed, count } = stage(state, batch);
  claimStates(state, "gradients", count);
  const { gradients: address, trained } = state;
  const parameters = { address, bytes: trained.bytes };
  const lossAt = (results: readonly number[]) => state.engine.floats(results[0], 1)[0];
  if (!wanted) {
    const { program, results } = programFor(state, "gradients", feed, count);
    yield new EngineCall(program, 1, [parameters, { address: results[0], bytes: 4 }]);
    const gradients = readBlock(state, address);
    return (wantsLoss ? { loss: lossAt(results), parameters: gradients } : gradients) as AnyGradients;
  }
  const ports = feed.format.inputs.filter(({ dtype }) => dtype === "float32");
  if (ports.length === 0)
    throw new ModelError("gradients: inputs of whole numbers have no gradients: leave inputs out");
  const { program, results } = programFor(state, "input gradients", feed, count);
  const places = ports.map(({ shape }, index) => ({ address: results[index + 1], bytes: count * sizeOf(shape) * 4 }));
  yield new EngineCall(program, 1, [parameters, { address: results[0], bytes: 4 }, ...places]);
  const inputs = ports.map(
    ({ shape }, index): ParameterValues => ({
      shape: [count, ...shape],
      data: state.engine.floats(places[index].address, places[index].bytes / 4).slice(),
    }),
  );
  return {
    loss: lossAt(results),
    parameters: readBlock(state, address),
    inputs: fromList(ports, inputs),
  } as unknown as AnyGradients;
}
