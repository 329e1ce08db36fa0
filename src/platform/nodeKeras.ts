// The entry "steepest/keras" under Node, Deno and Bun: with files.
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { showValue } from "../engine/errors.js";
import { type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import type { Shape } from "../graph/tensor.js";
import { FormatError } from "../io/formatError.js";
import {
  type FromKeras,
  type FromKerasOptions,
  type FromTensorFlowJsOptions,
  fromKeras,
  fromTensorFlowJs,
} from "../keras/index.js";
import type { Ports } from "../nn/ports.js";
import { type FilePath, pathOf, readFileBytes } from "./files.js";

export * from "../keras/index.js";
export type { FilePath, FileUrl } from "./files.js";

/**
 * Makes a model of a file of Keras, `.keras` or `.h5`: see `fromKeras`.
 *
 * @throws {FormatError} If the file is damaged, or lacks weights. @throws {ModelError} If it has layers that there is nothing for:
 *   all are named. @throws {SteepestError} If it cannot be read, or the package h5wasm is not installed.
 */
export async function loadKeras<I extends Ports = Shape, O extends Ports = Shape>(
  path: FilePath,
  options: FromKerasOptions = {},
): Promise<FromKeras<I, O>> {
  return await fromKeras<I, O>(await readFileBytes(pathOf("loadKeras", path)), options);
}

type LoadTensorFlowJsOptions = Omit<FromTensorFlowJsOptions, "weights">;

const OPTIONS = {
  // Checked by fromTensorFlowJs.
  shapes: unchecked<LoadTensorFlowJsOptions["shapes"]>(),
} satisfies OptionsOf<LoadTensorFlowJsOptions>;

/**
 * Makes a model of the model.json of a TensorFlow.js LayersModel and the files of weights that it names, which are read from its
 * folder and from nowhere else: see `fromTensorFlowJs`.
 *
 * @throws {FormatError} If the files are damaged, or model.json names files outside of its folder. @throws {ModelError} If it has
 *   layers that there is nothing for: all are named. @throws {SteepestError} If a file cannot be read.
 */
export async function loadTensorFlowJs<I extends Ports = Shape, O extends Ports = Shape>(
  path: FilePath,
  options: LoadTensorFlowJsOptions = {},
): Promise<FromKeras<I, O>> {
  const where = "loadTensorFlowJs";
  const { shapes } = readOptions(where, options, OPTIONS);
  const file = pathOf(where, path);
  const folder = dirname(resolve(file));
  const weights = async (name: string) => {
    const inside = relative(folder, join(folder, name));
    if (
      name === "" ||
      name.includes("\0") ||
      isAbsolute(name) ||
      isAbsolute(inside) ||
      /^\.\.(?:[\\/]|$)/.test(inside)
    ) {
      throw new FormatError(
        `${where}: weights must be in the folder of model.json, got ${showValue(name.slice(0, 80))}: put them there`,
      );
    }
    return await readFileBytes(join(folder, name));
  };
  return await fromTensorFlowJs<I, O>(await readFileBytes(file), {
    ...(shapes === undefined ? {} : { shapes }),
    weights,
  });
}
