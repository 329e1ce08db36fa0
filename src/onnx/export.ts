// A trained model as an ONNX file.
import { ModelError, SteepestError, showNames, showValue } from "../engine/errors.js";
import { flag, integer, type OptionsOf, optional, readOptions } from "../engine/options.js";
import { nodesBehind } from "../graph/backward.js";
import type { Shape, Tensor } from "../graph/tensor.js";
import { type BatchSize, traceBatches } from "../nn/batchTrace.js";
import { type AnyModel, checkModel } from "../nn/model.js";
import type { Port, Ports } from "../nn/ports.js";
import type { ParameterValues } from "../train/parameters.js";
import type { Predictor } from "../train/trainer.js";
import { emitters } from "./emitters.js";
import { encodeModel } from "./encode.js";
import { GraphBuilder, modelOf } from "./graphBuilder.js";
import { Lowering, type Surroundings } from "./lowering.js";
import type { OnnxModel, OnnxValue } from "./schema.js";
import { wireLibrary } from "./wire.js";

/** What `compile` returns. */
export type Exported<I extends Ports = Shape, O extends Ports = Shape> = Pick<Predictor<I, O>, "model" | "parameters">;

export interface OnnxOptions {
  /** The batch size, if it is fixed. Default: the file takes any. */
  batch?: number;
  /** Whether batch normalization becomes a part of the dense layer or (transposed) convolution before it. Default false. */
  foldBatchNorm?: boolean;
}

const OPTIONS = {
  batch: optional(integer(undefined, { min: 1, max: 2 ** 20 })),
  foldBatchNorm: flag(false),
} satisfies OptionsOf<OnnxOptions>;

/**
 * A trained model as the bytes of an ONNX file (opset 17) that predicts as the trainer does: without dropout, with the running
 * statistics of normalization, states from zeros. Its inputs and outputs are called as the model's; a single one `x`, or `y`. They
 * have the shapes that they have here, [batch, …], images with their channels last; indices are int64.
 *
 * @param trainer What `compile` returned.
 * @throws {ModelError} If the model has an operation that ONNX cannot express; all are named. @throws {SteepestError} If the package
 *   pbf is not installed.
 * @example
 * const bytes = await toOnnx(trainer);
 */
export async function toOnnx<I extends Ports, O extends Ports>(
  trainer: Exported<I, O>,
  options: OnnxOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const model = onnxModelOf("toOnnx", trainer, options);
  return encodeModel(await wireLibrary("toOnnx"), model);
}

/** The same before it is bytes. */
export function onnxModelOf<I extends Ports, O extends Ports>(
  where: string,
  trainer: Exported<I, O>,
  options: OnnxOptions,
): OnnxModel {
  const { batch, foldBatchNorm } = readOptions(where, options, OPTIONS);
  const model = checkExported(where, trainer);
  const trace = traceBatches(where, model, batch);
  const build = new GraphBuilder();
  const names = model.inputs.map(({ key = "x" }) => build.unique(key));
  const ends = model.outputs.map(({ key = "y" }) => build.unique(key));
  const around: Surroundings = {
    where,
    trace,
    emitters,
    folds: foldBatchNorm,
    parameter: parametersOf(where, model, trainer.parameters()),
  };
  const nodes = nodesBehind(trace.outputs);
  const lowering = new Lowering(around, build, nodes, trace.outputs);
  trace.inputs.forEach((input, index) => {
    lowering.set(input, names[index]);
  });
  lowering.emitAll(nodes);
  build.scope = "";
  const outputs = trace.outputs.map((output, index) => ({
    ...declared(ends[index], model.outputs[index], trace.sizesOf(output)),
    value: lowering.plain(output),
  }));
  const inputs = trace.inputs.map((input, index) => declared(names[index], model.inputs[index], trace.sizesOf(input)));
  return modelOf(build.finish("steepest", inputs, outputs), "steepest", {});
}

function declared(name: string, { dtype }: Port, sizes: readonly BatchSize[]): OnnxValue {
  const dims = sizes.map(({ fixed, each }) => {
    if (each === 0) return fixed;
    return each === 1 && fixed === 0 ? "batch" : undefined;
  });
  return { name, type: dtype === "float32" ? "float" : "int64", dims };
}

/** Throws ModelError if it is not what `compile` returns. */
function checkExported(where: string, trainer: unknown): AnyModel {
  const { model, parameters } = (trainer ?? {}) as Partial<Exported>;
  if (model !== undefined && typeof parameters === "function") return checkModel(where, model);
  throw new ModelError(`${where}: must be given what compile() returns, got ${showValue(trainer)}: compile the model`);
}

/** The values of parameters, under their paths. */
function parametersOf(
  where: string,
  model: AnyModel,
  values: ReadonlyMap<string, ParameterValues>,
): Surroundings["parameter"] {
  const paths = new Map([...model.parameters].map(([path, tensor]) => [tensor, path]));
  return (tensor: Tensor) => {
    const name = paths.get(tensor) ?? tensor.name;
    const found = values.get(name);
    if (found !== undefined) return { name, dims: tensor.shape, type: "float", data: found.data };
    throw new SteepestError(
      `${where}: trainer.parameters() must have ${showValue(name)}, got ${showNames(values.keys())}`,
    );
  };
}
