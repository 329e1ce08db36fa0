// A trained model as an ES module that predicts on its own.
import { ModelError, showValue } from "../engine/errors.js";
import { isArrayOf, kindOf } from "../engine/kind.js";
import { loadBytes } from "../engine/module.js";
import { choice, type OptionRule, type OptionsOf, optional, readOptions, unchecked } from "../engine/options.js";
import type { Shape } from "../graph/tensor.js";
import { checkModel } from "../nn/model.js";
import type { Ports } from "../nn/ports.js";
import { type Prediction, predictionOf } from "../train/prediction.js";
import type { Predictor } from "../train/trainer.js";
import { type AroundOptions, surroundingsOf } from "./around.js";
import { dataOf, textOfFile, typesOfFile } from "./file.js";
import { loadBinaryen, moduleFor } from "./kernels.js";
import { recordPrediction } from "./record.js";

/** What `compile` returns. */
export type Standing<I extends Ports = Shape, O extends Ports = Shape> = Pick<
  Predictor<I, O>,
  "model" | "parameters" | "build"
>;

export interface StandaloneOptions extends AroundOptions {
  /**
   * `"module"` (default): one ES module with everything in it, for Node, Deno, Bun, browsers. `"wasm-file"`: an ES module, and a
   * `.wasm` file that is given to its `load`, for edge runtimes that compile no bytes, such as Cloudflare Workers.
   */
  format?: "module" | "wasm-file";
  /** `"prediction"` (default): what the loss makes of the model's output, as `predict` does. `"raw"`: the output itself. */
  output?: "prediction" | "raw";
  /** Values of the optimizer that replace the parameters: "average" of `averaged`. Default: the parameters. */
  parameters?: string;
  /**
   * Batch sizes that the file has a program for, at most 16; any number of samples is predicted in these, the largest first. A batch of 1 is
   * always there. More sizes make the file larger; larger ones, its memory while it runs. The bits are the same. Default [1, 8, 64].
   */
  batches?: readonly number[];
}

const OPTIONS = {
  format: choice("module", ["module", "wasm-file"]),
  output: choice("prediction", ["prediction", "raw"]),
  parameters: optional(unchecked<string>()),
  scaler: plainObject<StandaloneOptions["scaler"]>(),
  targetScaler: plainObject<StandaloneOptions["targetScaler"]>(),
  labels: plainObject<StandaloneOptions["labels"]>(),
  table: plainObject<StandaloneOptions["table"]>(),
  batches: (where, name, value = [1, 8, 64]) => checkBatches(where, name, value),
} satisfies OptionsOf<StandaloneOptions>;

/** What is in it is looked into later. */
function plainObject<T>(): OptionRule<T> {
  return (where, name, value) => {
    if (value === undefined || kindOf(value) === "Object") return value as T;
    throw new ModelError(
      `${where}: ${name} must be an object, got ${showValue(value)}: hand in what its toJSON() gives`,
    );
  };
}

const MAX_BATCH = 4096;
const MAX_BATCHES = 16;

function checkBatches(where: string, name: string, value: unknown): readonly number[] {
  const isBatch = (one: unknown): one is number =>
    Number.isInteger(one) && (one as number) >= 1 && (one as number) <= MAX_BATCH;
  if (isArrayOf(value, isBatch) && value.length <= MAX_BATCHES) return [...new Set([1, ...value])];
  throw new ModelError(
    `${where}: ${name} must be a list of at most ${MAX_BATCHES} whole numbers from 1 to ${MAX_BATCH}, got ${showValue(value)}`,
  );
}

/** The contents of the files. */
export interface StandaloneFiles {
  /** The ES module. */
  readonly module: string;
  /** Its declarations for TypeScript. */
  readonly types: string;
  /** The WebAssembly module, if it is in a file of its own. */
  readonly wasm: Uint8Array<ArrayBuffer> | undefined;
}

/**
 * A trained model as an ES module that predicts without the library: with the kernels that its prediction calls, and the parameters.
 * Its predictions have the bits of `trainer.predict`; with the build `fast`, on the same machine. Nothing is evaluated at run time.
 *
 * The file exports `load()`, which resolves to an object with `predict(x)`. An input or output is an array, or an object of them by
 * name, as with the trainer. What custom layers do is recorded, so their code is not needed.
 *
 * @param trainer What `compile` returned, with or without a loss. Of a saved model: `compile((await loadModel(path)).model)`.
 * @throws {ModelError} If the model keeps states from call to call, or draws random numbers when it predicts.
 * @throws {SteepestError} If the package `binaryen` is not installed, an optional peer, which takes the kernels out of the build.
 * @example
 * const { module, types } = await toStandalone(trainer);
 */
export async function toStandalone<I extends Ports, O extends Ports>(
  trainer: Standing<I, O>,
  options: StandaloneOptions = {},
): Promise<StandaloneFiles> {
  const where = "toStandalone";
  const { format, output, parameters, batches, ...about } = readOptions(where, options, OPTIONS);
  const prediction = checkStanding(where, trainer);
  const model = checkModel(where, trainer.model);
  const around = surroundingsOf(where, model, about);
  const values = trainer.parameters(parameters === undefined ? {} : { of: parameters });
  const recorded = recordPrediction(where, { model, prediction, values, batches, raw: output === "raw" });
  const binaryen = await loadBinaryen(where);
  const build = await loadBytes(trainer.build === "fast" ? "fast" : "strict");
  const wasm = moduleFor(binaryen, build, recorded);
  const beside = format === "wasm-file";
  const data = dataOf(model, recorded, around);
  return {
    module: textOfFile(data, beside ? undefined : wasm),
    types: typesOfFile(data, beside),
    wasm: beside ? wasm : undefined,
  };
}

function checkStanding(where: string, trainer: unknown): Prediction {
  const prediction = typeof trainer === "object" && trainer !== null ? predictionOf(trainer) : undefined;
  if (prediction !== undefined) return prediction;
  throw new ModelError(`${where}: must be given what compile() returns, got ${showValue(trainer)}: compile the model`);
}
