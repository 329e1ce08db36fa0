// One format to another: tensors, and models.

import { featuresOf, type TableColumn } from "../data/tableColumns.js";
import { type TableTransform, tableTransformFrom } from "../data/tableTransform.js";
import { DataError, showNames, showValue } from "../engine/errors.js";
import { encodeModel } from "../io/model.js";
import { encodeNpy, encodeNpz } from "../io/numpy.js";
import { toPyTorch } from "../io/pytorch.js";
import { encodeSafetensors, type SafetensorsInput, type SafetensorsTensor } from "../io/safetensors.js";
import { toOnnx } from "../onnx/export.js";
import { fromOnnx } from "../onnx/import.js";
import { saveStandalone } from "../platform/nodeStandalone.js";
import { type StandaloneOptions, toStandalone } from "../standalone/index.js";
import { modelOf, type OpenFile, openFile, readInput, withPredictor } from "./fileFormats.js";
import { type OpenModel, openModel } from "./modelFile.js";
import { defineCommand, JSON_OPTION, type OptionValues, UsageError } from "./options.js";
import { checkStdout, writeBytes } from "./output.js";
import { columnsOf, voiceOf } from "./terminal.js";
import { openWork } from "./workDisplay.js";

const CONVERT = {
  tensors: { help: "the tensors alone, of a model too, as they are in the file" },
  pytorch: { help: "the parameters of a model under the names and in the layouts of PyTorch" },
  tensor: { placeholder: "NAME", default: "", help: "which tensor becomes an .npy; else the only one" },
  to: { placeholder: "FORMAT", default: "", help: "the format of what goes to stdout: safetensors, npz, npy, onnx" },
  ...JSON_OPTION,
} as const;

const ENDINGS = [".safetensors", ".npz", ".npy", ".onnx"];

export const convertCommand = defineCommand({
  summary: "turn a file into another format",
  description:
    "Turns a file (- is stdin) into the format of the other's ending (- is stdout, in the format of --to). Tensors of safetensors, .pt, .npy, .npz, ONNX and IDX become .safetensors, .npz or .npy; a model becomes .onnx, and a file of ONNX, Keras (.keras, .h5), TensorFlow.js (model.json) or brain.js (JSON) a model that steepest loads (.safetensors). Floats of 16 bits are widened.",
  arguments: "<from> <to>",
  options: CONVERT,
  examples: [
    "steepest convert weights.pt weights.safetensors",
    "steepest convert net.onnx model.safetensors",
    "steepest convert model.keras model.safetensors",
    "steepest convert model.safetensors state.safetensors --pytorch",
    "steepest convert train-images-idx3-ubyte images.npy",
    "curl -s https://example.com/net.onnx | steepest convert - - --to safetensors > model.safetensors",
  ],
  run: (given, [from, to]) => convert(given, from, to),
});

async function convert(given: OptionValues<typeof CONVERT>, from: string, to: string): Promise<void> {
  const ending = endingOf(given, to);
  checkStdout(to);
  if (given.tensors && (given.pytorch || ending === ".onnx")) {
    throw new UsageError("--tensors must be alone, and not for .onnx: it takes no model");
  }
  const work = await openWork("convert");
  try {
    const bytes = await readInput(from, work);
    await convertBytes(given, ending, { bytes, from, write: (made) => writeBytes(to, made, work) });
  } finally {
    work.close();
  }
  const { say, result } = voiceOf(given, to);
  if (to !== "-") say(`wrote ${to}`);
  result({ from, to: to === "-" ? null : to });
}

/** What is converted, and what takes the bytes that come of it. */
interface Conversion {
  readonly bytes: Bytes;
  /** The path, of which errors speak. */
  readonly from: string;
  readonly write: Write;
}

type Write = (bytes: Uint8Array) => Promise<void>;

async function convertBytes(
  given: OptionValues<typeof CONVERT>,
  ending: string,
  conversion: Conversion,
): Promise<void> {
  const { bytes, from, write } = conversion;
  if (ending === ".onnx") return void (await writeOnnx("convert", conversion, {}));
  const file = await openFile("convert", bytes, from);
  const isForeign = file.format === "onnx" || file.model !== undefined;
  const makesModel = isForeign && ending === ".safetensors" && !given.tensors;
  if (makesModel && !given.pytorch) return saveForeign(file, bytes, write);
  await writeTensors(ending, write, given.pytorch ? await pytorchTensors(bytes, from) : inputsOf(file), given.tensor);
}

function endingOf(given: OptionValues<typeof CONVERT>, to: string): string {
  if (to === "-") {
    const ending = ENDINGS.find((one) => one === `.${given.to}`);
    if (ending === undefined) {
      const names = ENDINGS.map((one) => one.slice(1));
      throw new UsageError(
        `--to must name the format of what goes to stdout, one of ${showNames(names)}, got "${given.to}"`,
      );
    }
    return ending;
  }
  const ending = ENDINGS.find((one) => to.toLowerCase().endsWith(one));
  if (ending === undefined) throw new UsageError(`the second file must end with ${showNames(ENDINGS)}, got "${to}"`);
  if (given.to !== "" && ending !== `.${given.to}`) {
    throw new UsageError(`--to must be what the second file ends with, or left out, got "${given.to}" for "${to}"`);
  }
  return ending;
}

async function saveForeign(file: OpenFile, bytes: Bytes, write: Write): Promise<void> {
  const model = file.model ?? (await fromOnnx(bytes)).model;
  await withPredictor(model, (predictor) => write(encodeModel(predictor)));
}

type Bytes = Uint8Array<ArrayBuffer>;

const pytorchTensors = async (bytes: Bytes, path: string): Promise<Record<string, SafetensorsInput>> =>
  withPredictor((await modelOf(bytes, path)).model, (predictor) => toPyTorch(predictor));

function inputsOf({ tensors }: OpenFile): Record<string, SafetensorsInput> {
  return Object.fromEntries([...tensors].map(([name, tensor]) => [name, inputOf(tensor)]));
}

/** What was widened is written as it is now. */
function inputOf({ dtype, shape, data }: SafetensorsTensor): SafetensorsInput {
  return dtype === "F16" || dtype === "BF16" ? { shape, data } : { dtype, shape, data };
}

async function writeTensors(
  ending: string,
  write: Write,
  tensors: Readonly<Record<string, SafetensorsInput>>,
  wanted: string,
): Promise<void> {
  if (ending === ".safetensors") return write(encodeSafetensors(tensors));
  if (ending === ".npz") return write(encodeNpz(tensors));
  const names = Object.keys(tensors);
  const name = wanted === "" && names.length === 1 ? names[0] : wanted;
  if (!Object.hasOwn(tensors, name)) {
    throw new DataError(
      `convert: --tensor must name one of the tensors for an .npy, got ${showValue(wanted)}: there are ${showNames(names)}; .npz takes all`,
    );
  }
  await write(encodeNpy(tensors[name]));
}

async function writeOnnx(
  where: string,
  { bytes, from, write }: Conversion,
  options: { batch?: number; foldBatchNorm?: boolean },
): Promise<{ readonly table?: TableTransform }> {
  const file = await openFile(where, bytes, from);
  if (file.model !== undefined) {
    await withPredictor(file.model, async (predictor) => write(await toOnnx(predictor, options)));
    return {};
  }
  if (file.metadata.architecture === undefined) {
    throw new DataError(
      `${where}: the file must be a model that saveModel() or steepest train wrote, got ${file.format} without one in ${showValue(from)}`,
    );
  }
  const { model, preprocessing } = await modelOf(bytes, from);
  await withPredictor(model, async (predictor) => write(await toOnnx(predictor, options)));
  return preprocessing.table === undefined ? {} : { table: tableTransformFrom(preprocessing.table) };
}

const EXPORT = {
  standalone: { help: "an ES module that predicts on its own (.mjs); needs the package binaryen" },
  "fold-batch-norm": { help: "batch normalization becomes a part of the layer before it" },
  ...JSON_OPTION,
} as const;

type ExportOptions = OptionValues<typeof EXPORT>;

interface Exported {
  readonly files: readonly string[];
  /** What is done outside of the file, if the model has it. */
  readonly table?: TableTransform;
}

/** What a model is exported as, by the ending of the file. */
const TARGETS: Readonly<Record<string, (from: string, to: string, given: ExportOptions) => Promise<Exported>>> = {
  async ".onnx"(from, to, given) {
    const conversion = { bytes: await readInput(from), from, write: (bytes: Uint8Array) => writeBytes(to, bytes) };
    const notes = await writeOnnx("export", conversion, { foldBatchNorm: given["fold-batch-norm"] });
    return { files: to === "-" ? [] : [to], ...notes };
  },
  ".mjs": writeStandalone,
  ".js": writeStandalone,
};

async function writeStandalone(from: string, to: string): Promise<Exported> {
  const model = await openModel("export", from);
  try {
    const options = standaloneOptions(model);
    if (to !== "-") return { files: await saveStandalone(model.predictor, to, options) };
    await writeBytes(to, new TextEncoder().encode((await toStandalone(model.predictor, options)).module));
    return { files: [] };
  } finally {
    model.dispose();
  }
}

/** What is around the model in its file: the table, or what it was saved with. */
function standaloneOptions({ transform, preprocessing }: OpenModel): StandaloneOptions {
  if (transform !== undefined) return { table: transform };
  const { scaler, targetScaler, labels } = preprocessing;
  return { ...(scaler && { scaler }), ...(targetScaler && { targetScaler }), ...(labels && { labels }) };
}

/** What whoever runs an ONNX file of a table's model does before and after. */
function outsideText(table: TableTransform): string {
  const { columns, target } = table.toJSON();
  const lines = columns.flatMap((column) =>
    featuresOf(column).map((name, at) => [`  ${name}`, at === 0 ? featureText(column) : ""]),
  );
  const answers = [target]
    .flat()
    .map((one) =>
      one.type === "classes"
        ? `gives a score for each class, in the order ${showNames(table.classes)}`
        : `gives scaled numbers: ${one.name} = output * ${one.scale} + ${one.offset}`,
    );
  return `takes ${table.features.length} features, in this order:\n${columnsOf(lines)}\n${answers.join("\n")}`;
}

function featureText(column: TableColumn): string {
  switch (column.type) {
    case "number":
      return `(value - ${column.offset}) / ${column.scale}${column.fill === null ? "" : `; a missing one counts as ${column.fill}`}`;
    case "category":
      return "1 of its category, 0 of others";
    default:
      return `${column.type}: see the model's table, with --json`;
  }
}

export const exportCommand = defineCommand({
  summary: "write a model for other runtimes",
  description:
    "Writes a model that steepest train or saveModel() made as ONNX (opset 17, any batch size; needs the package pbf), for ONNX Runtime and others, or as an ES module that predicts on its own (--standalone). The module takes rows as they are in the table, and gives classes or numbers in the target's own units. ONNX takes features, which are listed (--json has how they are made), and gives scores before a softmax, or scaled numbers. The file - is stdout, for ONNX or the module alone.",
  arguments: "<model> <file>",
  options: EXPORT,
  examples: [
    "steepest export model.safetensors model.onnx",
    "steepest export --standalone model.safetensors model.mjs",
  ],
  async run(given, [from, to]) {
    const endings = Object.keys(TARGETS).filter((one) => one.endsWith("js") || !given.standalone);
    const isStdout = to === "-";
    if (!given.standalone) checkStdout(to);
    const ending = isStdout ? endings[0] : endings.find((one) => to.toLowerCase().endsWith(one));
    if (ending === undefined) throw new UsageError(`the file must end with ${showNames(endings)}, got "${to}"`);
    const { files, table } = await TARGETS[ending](from, to, given);
    const { say, result } = voiceOf(given, to);
    if (!isStdout) say(`wrote ${files.join(", ")}`);
    if (table !== undefined) say(outsideText(table));
    const outside = table && { features: table.features, classes: table.classes, table: table.toJSON() };
    result({ model: from, files, ...outside });
  },
});
