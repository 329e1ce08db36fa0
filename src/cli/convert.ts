// One format to another: tensors, and models.

import { labelMapFrom } from "../data/labels.js";
import type { TableTarget } from "../data/tableColumns.js";
import { DataError, showNames, showValue } from "../engine/errors.js";
import { encodeNpy, encodeNpz } from "../io/numpy.js";
import { toPyTorch } from "../io/pytorch.js";
import { encodeSafetensors, type SafetensorsInput, type SafetensorsTensor } from "../io/safetensors.js";
import { fromOnnx } from "../onnx/import.js";
import { readFileBytes, writeFileAtomic } from "../platform/files.js";
import { loadModel, saveModel } from "../platform/nodeIo.js";
import { saveOnnx } from "../platform/nodeOnnx.js";
import { saveStandalone } from "../platform/nodeStandalone.js";
import type { StandaloneOptions } from "../standalone/index.js";
import { compile, type Predictor } from "../train/trainer.js";
import { type OpenFile, openFile } from "./fileFormats.js";
import { type OpenModel, openModel } from "./modelFile.js";
import { defineCommand, JSON_OPTION, type OptionValues, UsageError } from "./options.js";
import { printResult, sayWith } from "./terminal.js";

const CONVERT = {
  tensors: { help: "the tensors alone, of a model too, as they are in the file" },
  pytorch: { help: "the parameters of a model under the names and in the layouts of PyTorch" },
  tensor: { placeholder: "NAME", default: "", help: "which tensor becomes an .npy; else the only one" },
  ...JSON_OPTION,
} as const;

const ENDINGS = [".safetensors", ".npz", ".npy", ".onnx"];

export const convertCommand = defineCommand({
  summary: "turn a file into another format",
  description:
    "Turns a file into the format of the other's ending. Tensors of safetensors, .pt, .npy, .npz, ONNX and IDX become .safetensors, .npz or .npy; a model becomes .onnx, and an ONNX file a model that steepest loads (.safetensors). Floats of 16 bits are widened.",
  arguments: "<from> <to>",
  options: CONVERT,
  examples: [
    "steepest convert weights.pt weights.safetensors",
    "steepest convert net.onnx model.safetensors",
    "steepest convert model.safetensors state.safetensors --pytorch",
    "steepest convert train-images-idx3-ubyte images.npy",
  ],
  run: (given, [from, to]) => convert(given, from, to),
});

async function convert(given: OptionValues<typeof CONVERT>, from: string, to: string): Promise<void> {
  const ending = ENDINGS.find((one) => to.toLowerCase().endsWith(one));
  if (ending === undefined) throw new UsageError(`the second file must end with ${showNames(ENDINGS)}, got "${to}"`);
  if (given.tensors && (given.pytorch || ending === ".onnx")) {
    throw new UsageError("--tensors must be alone, and not for .onnx: it takes no model");
  }
  if (ending === ".onnx") await writeOnnx("convert", from, to, {});
  else {
    const file = await openFile("convert", await readFileBytes(from), from);
    const makesModel = file.format === "onnx" && ending === ".safetensors" && !given.tensors;
    if (makesModel && !given.pytorch) await modelOfOnnx(from, to);
    else await writeTensors(ending, to, given.pytorch ? await pytorchTensors(from) : inputsOf(file), given.tensor);
  }
  sayWith(given.json)(`wrote ${to}`);
  if (given.json) printResult({ from, to });
}

async function modelOfOnnx(from: string, to: string): Promise<void> {
  const { model } = await fromOnnx(await readFileBytes(from));
  const predictor = (await compile(model)) as Predictor;
  try {
    await saveModel(predictor, to);
  } finally {
    predictor.dispose();
  }
}

async function withModel<T>(path: string, work: (predictor: Predictor) => T | Promise<T>): Promise<T> {
  const { model } = await loadModel(path);
  const predictor = (await compile(model)) as Predictor;
  try {
    return await work(predictor);
  } finally {
    predictor.dispose();
  }
}

const pytorchTensors = (path: string): Promise<Record<string, SafetensorsInput>> => withModel(path, toPyTorch);

function inputsOf({ tensors }: OpenFile): Record<string, SafetensorsInput> {
  return Object.fromEntries([...tensors].map(([name, tensor]) => [name, inputOf(tensor)]));
}

/** What was widened is written as it is now. */
function inputOf({ dtype, shape, data }: SafetensorsTensor): SafetensorsInput {
  return dtype === "F16" || dtype === "BF16" ? { shape, data } : { dtype, shape, data };
}

async function writeTensors(
  ending: string,
  to: string,
  tensors: Readonly<Record<string, SafetensorsInput>>,
  wanted: string,
): Promise<void> {
  if (ending === ".safetensors") return writeFileAtomic(to, encodeSafetensors(tensors));
  if (ending === ".npz") return writeFileAtomic(to, encodeNpz(tensors));
  const names = Object.keys(tensors);
  const name = wanted === "" && names.length === 1 ? names[0] : wanted;
  if (!Object.hasOwn(tensors, name)) {
    throw new DataError(
      `convert: --tensor must name one of the tensors for an .npy, got ${showValue(wanted)}: there are ${showNames(names)}; .npz takes all`,
    );
  }
  await writeFileAtomic(to, encodeNpy(tensors[name]));
}

async function writeOnnx(
  where: string,
  from: string,
  to: string,
  options: { batch?: number; foldBatchNorm?: boolean },
) {
  const file = await openFile(where, await readFileBytes(from), from);
  if (file.metadata.architecture === undefined) {
    throw new DataError(
      `${where}: the file must be a model that saveModel() or steepest train wrote, got ${file.format} without one in ${showValue(from)}`,
    );
  }
  await withModel(from, (predictor) => saveOnnx(predictor, to, options));
}

const EXPORT = {
  standalone: { help: "an ES module that predicts on its own (.mjs); needs the package binaryen" },
  "fold-batch-norm": { help: "batch normalization becomes a part of the layer before it" },
  ...JSON_OPTION,
} as const;

type ExportOptions = OptionValues<typeof EXPORT>;

/** What a model is exported as, by the ending of the file. */
const TARGETS: Readonly<
  Record<string, (from: string, to: string, given: ExportOptions) => Promise<readonly string[]>>
> = {
  async ".onnx"(from, to, given) {
    await writeOnnx("export", from, to, { foldBatchNorm: given["fold-batch-norm"] });
    return [to];
  },
  ".mjs": writeStandalone,
  ".js": writeStandalone,
};

async function writeStandalone(from: string, to: string): Promise<string[]> {
  const model = await openModel("export", from);
  try {
    return await saveStandalone(model.predictor, to, standaloneOptions(model));
  } finally {
    model.dispose();
  }
}

/** What is around the model in its file: of a table the classes, or the scale of the target; else what it was saved with. */
function standaloneOptions({ transform, preprocessing }: OpenModel): StandaloneOptions {
  const target = transform?.toJSON().target as TableTarget | undefined;
  if (target === undefined) {
    const { scaler, targetScaler, labels } = preprocessing;
    return { ...(scaler && { scaler }), ...(targetScaler && { targetScaler }), ...(labels && { labels }) };
  }
  if (target.type === "classes") return { labels: labelMapFrom({ labels: [...target.classes] }) };
  return { targetScaler: { offset: [target.offset], scale: [target.scale] } };
}

export const exportCommand = defineCommand({
  summary: "write a model for other runtimes",
  description:
    "Writes a model that steepest train or saveModel() made as ONNX (opset 17, any batch size; needs the package pbf), for ONNX Runtime and others, or as an ES module that predicts on its own (--standalone). Both take features: what becomes of a table's columns before is not in them. ONNX gives scores before a softmax.",
  arguments: "<model> <file>",
  options: EXPORT,
  examples: [
    "steepest export model.safetensors model.onnx",
    "steepest export --standalone model.safetensors model.mjs",
  ],
  async run(given, [from, to]) {
    const endings = Object.keys(TARGETS).filter((one) => one.endsWith("js") || !given.standalone);
    const ending = endings.find((one) => to.toLowerCase().endsWith(one));
    if (ending === undefined) throw new UsageError(`the file must end with ${showNames(endings)}, got "${to}"`);
    const files = await TARGETS[ending](from, to, given);
    sayWith(given.json)(`wrote ${files.join(", ")}`);
    if (given.json) printResult({ model: from, files });
  },
});
