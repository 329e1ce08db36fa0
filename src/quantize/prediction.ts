// Programs that predict with a model's values, a batch at a time.
import { CLOCK_BYTES } from "../engine/constants.js";
import type { Engine } from "../engine/engine.js";
import { type CompiledFunction, compileFunctionSync } from "../graph/function.js";
import { input, type Tensor } from "../graph/tensor.js";
import { sliceOf, type Values } from "../graph/values.js";
import { layerContext } from "../nn/layer.js";
import type { AnyModel } from "../nn/model.js";
import { portName } from "../nn/ports.js";
import { flattenInputs } from "../train/data.js";

/** Values of parameters by path, of those that are used. */
export type FloatValues = ReadonlyMap<string, Float32Array>;

type Flat = ReturnType<typeof flattenInputs>;

/** Samples of a model's inputs, checked. */
export function samplesOf(model: AnyModel, given: Values): Flat {
  return flattenInputs(given, { inputs: model.inputs, outputs: model.outputs, targets: [] });
}

/** A prediction for a batch, of symbolic inputs: dropout is off, states are zeros. */
export function tracePrediction(model: AnyModel, batch: number): { inputs: Tensor[]; outputs: readonly Tensor[] } {
  const inputs = model.inputs.map((port) =>
    input([batch, ...port.shape], { name: portName("x", port), dtype: port.dtype }),
  );
  const clock = input([CLOCK_BYTES / 4], { name: "clock", dtype: "uint32" });
  const context = layerContext({ training: false, clock, seed: [0, 0], batch, fresh: true });
  return { inputs, outputs: model.trace(inputs, context) };
}

type Compiled = CompiledFunction<Record<string, Tensor>, Record<string, Tensor>>;

/** A program for these results, in the given engine. */
export function compileResults(
  engine: Engine,
  { inputs, results }: { readonly inputs: readonly Tensor[]; readonly results: readonly Tensor[] },
  values: (tensor: Tensor) => Float32Array | undefined,
  parameters: Iterable<Tensor>,
): Compiled {
  const feeds = Object.fromEntries(inputs.map((tensor, index) => [`x${index}`, tensor]));
  const outputs = Object.fromEntries(results.map((tensor, index) => [`r${index}`, tensor]));
  const compiled = compileFunctionSync(() => outputs, feeds, { engine });
  for (const tensor of parameters) {
    const data = values(tensor);
    if (data !== undefined) compiled.setParameter(tensor, data);
  }
  return compiled;
}

/** The results for `batch` samples from `first` on. */
export function runSlice(compiled: Compiled, { x }: Flat, count: number, first: number, batch: number): Float32Array[] {
  const feed = x.map(({ data }, index): [string, Values] => {
    const size = data.length / count;
    return [`x${index}`, sliceOf(data, first * size, batch * size) as Values];
  });
  return Object.values(compiled(Object.fromEntries(feed)));
}

export type { Compiled, Flat };
