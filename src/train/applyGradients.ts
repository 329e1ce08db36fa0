// An optimizer's step along gradients that were computed elsewhere: those of a cluster's shards.
import { ModelError, showNames } from "../engine/errors.js";
import { type Pointer, serial } from "../engine/instructions.js";
import { runOnce } from "../graph/program.js";
import { offsetIn } from "../graph/store.js";
import { showShape, sizeOf } from "../graph/tensor.js";
import { recordChanges } from "./changes.js";
import type { ValuesByPath } from "./checkpoint.js";
import { trainedOf } from "./parameters.js";
import { ALONE, checkTrains, guard, type State } from "./state.js";
import { beforeSteps } from "./steps.js";

/**
 * One step of the optimizer along these gradients, by the paths of all trained parameters, with what a step has besides: the
 * rates, clipping, constraints. Buffers stay as they are. Everything is checked before anything changes.
 *
 * @throws {ModelError} If a gradient is missing, or fits no trained parameter; if the optimizer takes gradients a second time
 * in a step.
 */
export function applyGradients(state: State, gradients: ValuesByPath): void {
  const where = "applyGradients";
  guard(state, where, ALONE);
  checkTrains(state, where);
  const { engine, config, optimizer } = state;
  if (optimizer.perturbed.size > 0) {
    throw new ModelError(
      `${where}: the optimizer must take gradients once a step, got ${config.optimizer.layout.optimizer.name} that takes them twice: use another`,
    );
  }
  for (const { address, data } of placesOfGradients(state, where, gradients)) engine.write(address, data);
  beforeSteps(state, 0, 1);
  runOnce(engine, (record) => {
    record.advance(serial, state.clock, state.learningRates, config.optimizer.rates.length, 0);
    optimizer.record(record);
    recordChanges(record, state.parameters, new Map(), state.values.addressOf, state.values.addressOf);
    optimizer.finish(record);
  });
  state.steps += 1;
}

function placesOfGradients(
  state: State,
  where: string,
  gradients: ValuesByPath,
): { readonly address: Pointer; readonly data: Float32Array }[] {
  const wanted = trainedOf(state);
  for (const path of gradients.keys()) {
    if (wanted.has(path)) continue;
    throw new ModelError(`${where}: must name trained parameters, got "${path}": they are ${showNames(wanted.keys())}`);
  }
  return [...wanted].map(([path, tensor]) => {
    const data = gradients.get(path)?.data;
    if (data?.length === sizeOf(tensor.shape)) {
      return { address: state.gradients + offsetIn(state.trained, tensor), data };
    }
    throw new ModelError(
      `${where}: "${path}" must have a gradient ${showShape(tensor.shape)}, got ${data === undefined ? "none" : `${data.length} values`}: give one for each trained parameter`,
    );
  });
}
