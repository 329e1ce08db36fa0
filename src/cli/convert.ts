// One format to another: tensors, and models.
import { DataError, showNames, showValue } from "../engine/errors.js";
import { encodeNpy, encodeNpz } from "../io/numpy.js";
import { toPyTorch } from "../io/pytorch.js";
import { encodeSafetensors, type SafetensorsInput, type SafetensorsTensor } from "../io/safetensors.js";
import { fromOnnx } from "../onnx/import.js";
import { readFileBytes, writeFileAtomic } from "../platform/files.js";
import { loadModel, saveModel } from "../platform/nodeIo.js";
import { saveOnnx } from "../platform/nodeOnnx.js";
import { compile, type Predictor } from "../train/trainer.js";
import { type OpenFile, openFile } from "./fileFormats.js";
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
  "fold-batch-norm": { help: "batch normalization becomes a part of the layer before it" },
  ...JSON_OPTION,
} as const;

/** What a model is exported as, by the ending of the file. */
const TARGETS: Readonly<
  Record<string, (from: string, to: string, given: OptionValues<typeof EXPORT>) => Promise<void>>
> = {
  ".onnx": (from, to, given) => writeOnnx("export", from, to, { foldBatchNorm: given["fold-batch-norm"] }),
};

export const exportCommand = defineCommand({
  summary: "write a model for other runtimes",
  description:
    "Writes a model that steepest train or saveModel() made as ONNX (opset 17, any batch size), for ONNX Runtime and others. It takes features and gives scores before a softmax: a table's preprocessing is not in it. It needs the package pbf.",
  arguments: "<model> <file>",
  options: EXPORT,
  examples: ["steepest export model.safetensors model.onnx"],
  async run(given, [from, to]) {
    const ending = Object.keys(TARGETS).find((one) => to.toLowerCase().endsWith(one));
    if (ending === undefined)
      throw new UsageError(`the file must end with ${showNames(Object.keys(TARGETS))}, got "${to}"`);
    await TARGETS[ending](from, to, given);
    sayWith(given.json)(`wrote ${to}`);
    if (given.json) printResult({ model: from, file: to });
  },
});
