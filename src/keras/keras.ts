// Files of Keras: .keras, a zip archive with weights in HDF5, and the older .h5, which is HDF5 as a whole.
import { type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import type { Shape } from "../graph/tensor.js";
import { notThisFile } from "../io/anyFile.js";
import { bytesOf, type FileBytes } from "../io/bytes.js";
import { FormatError } from "../io/formatError.js";
import { fieldOf, type JsonObject } from "../io/jsonFields.js";
import { readZip, unpackedBytes, type ZipEntry } from "../io/zip.js";
import type { Ports } from "../nn/ports.js";
import { parseJson } from "./fields.js";
import { type Hdf5File, type Hdf5Library, hdf5Library, readHdf5 } from "./hdf5.js";
import { type FromKeras, modelOf } from "./import.js";
import { modelConfig } from "./tensorFlowJs.js";
import { type NamedWeight, type WeightSource, weightsByName } from "./weights.js";

export interface FromKerasOptions {
  /** Shapes of one sample, without the batch, by input, if the file leaves a size open. Default: those of the file. */
  shapes?: Readonly<Record<string, Shape>>;
  /** The package h5wasm, in a page or where a bundler is to find it: `import * as hdf5 from "h5wasm"`. Default: loaded by its name. */
  hdf5?: Hdf5Library;
}

const OPTIONS = {
  // Checked when they are read.
  shapes: unchecked<FromKerasOptions["shapes"]>({}),
  hdf5: unchecked<FromKerasOptions["hdf5"]>(),
} satisfies OptionsOf<FromKerasOptions>;

const WHERE = "fromKeras";
const REMEDY = 'save the model with model.save("model.keras")';
const ZIP = 0x04034b50;
const HDF5 = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];

/**
 * A model from a file of Keras 3 (`.keras`), or from an older one in HDF5 (`.h5`, with the architecture in it), which can be trained
 * on. Layers and parameters are called as in the file: "dense_1.weight". A single input or output has no name.
 *
 * @param bytes The whole file.
 * @throws {FormatError} If the file is damaged, or lacks weights. @throws {ModelError} If there are layers that there is nothing for
 *   here: all are named. @throws {SteepestError} If the package h5wasm is not installed.
 * @see docs/keras.md for the layers
 */
export async function fromKeras<I extends Ports = Shape, O extends Ports = Shape>(
  bytes: FileBytes,
  options: FromKerasOptions = {},
): Promise<FromKeras<I, O>> {
  const { shapes, hdf5 } = readOptions(WHERE, options, OPTIONS);
  const file = bytesOf(WHERE, bytes);
  const isZip = file.length >= 4 && new DataView(file.buffer, file.byteOffset).getUint32(0, true) === ZIP;
  if (!isZip && !HDF5.every((byte, index) => file[index] === byte)) {
    throw notThisFile(WHERE, "a .keras or .h5 file", file, REMEDY);
  }
  const made = isZip ? await fromArchive(file, shapes, hdf5) : await fromHdf5(file, shapes, hdf5);
  return made as unknown as FromKeras<I, O>;
}

// ——— .keras ———

async function fromArchive(file: Uint8Array, shapes: unknown, hdf5: Hdf5Library | undefined) {
  const entries = readZip(WHERE, file);
  if (!entries.has("config.json")) throw notThisFile(WHERE, "an archive with config.json", file, REMEDY);
  const json = async (name: string): Promise<JsonObject> =>
    parseJson(WHERE, name, await unpackedBytes(WHERE, entryOf(entries, name)));
  const config = await json("config.json");
  const version = fieldOf(entries.has("metadata.json") ? await json("metadata.json") : {}, "keras_version");
  const weights = await unpackedBytes(WHERE, entryOf(entries, "model.weights.h5"));
  const library = await hdf5Library(WHERE, hdf5);
  const { className, config: layers } = modelConfig(config);
  return await readHdf5(`${WHERE}: model.weights.h5`, library, weights, (open) =>
    modelOf({
      where: WHERE,
      className,
      config: layers,
      version: typeof version === "string" ? version : "3.0",
      weights: weightsByPlace(open),
      shapes,
    }),
  );
}

function entryOf(entries: ReadonlyMap<string, ZipEntry>, name: string): ZipEntry {
  const found = entries.get(name);
  if (found !== undefined) return found;
  throw new FormatError(`${WHERE}: the archive must have ${name}, got none: ${REMEDY}`);
}

/** Weights where Keras 3 puts them: by the place of their layer, numbered. */
function weightsByPlace(file: Hdf5File): WeightSource {
  // As Keras 2.12 called it.
  const older = "_layer_checkpoint_dependencies";
  const isOlder = file.has(older);
  return {
    find(_, { path }, { index, inside = [] }) {
      const place = isOlder ? path.replace(/^layers(?=\/)|(?<=\/)layers(?=\/)/g, older) : path;
      for (const folder of [...inside.map((one) => `/${one}`), ""]) {
        const found = file.weight(`${place}${folder}/vars/${index}`);
        if (found !== undefined) return found;
      }
      return undefined;
    },
  };
}

// ——— .h5 ———

const MAX_LISTS = 1000;

/** A list of names, which Keras splits into several attributes if it is long. */
function namesIn(file: Hdf5File, path: string, name: string): readonly string[] {
  const listOf = (value: string | readonly string[] | undefined) => (typeof value === "string" ? [value] : value);
  const whole = listOf(file.attribute(path, name));
  if (whole !== undefined) return whole;
  const names: string[] = [];
  for (let part = 0; part < MAX_LISTS; part++) {
    const found = listOf(file.attribute(path, `${name}${part}`));
    if (found === undefined) break;
    names.push(...found);
  }
  return names;
}

async function fromHdf5(file: Uint8Array, shapes: unknown, hdf5: Hdf5Library | undefined) {
  const library = await hdf5Library(WHERE, hdf5);
  return await readHdf5(WHERE, library, file, (open) => {
    const config = open.attribute("", "model_config");
    if (typeof config !== "string") {
      throw new FormatError(
        `${WHERE}: the file must have a model_config, got weights alone: save the whole model, with model.save("model.h5")`,
      );
    }
    const version = open.attribute("", "keras_version") ?? open.attribute("model_weights", "keras_version");
    const { className, config: layers } = modelConfig(parseJson(WHERE, "model_config", config));
    return modelOf({
      where: WHERE,
      className,
      config: layers,
      version: typeof version === "string" ? version : "2",
      weights: weightsByName(namedIn(open)),
      shapes,
    });
  });
}

function* namedIn(file: Hdf5File): Generator<NamedWeight> {
  for (const layer of namesIn(file, "model_weights", "layer_names")) {
    const group = `model_weights/${layer}`;
    for (const name of namesIn(file, group, "weight_names")) {
      const load = () => {
        const found = file.weight(`${group}/${name}`);
        if (found !== undefined) return found;
        throw new FormatError(
          `${WHERE}: the file must have the weights that it names, got none of ${JSON.stringify(name.slice(0, 80))}: it is damaged`,
        );
      };
      yield { name: `${layer}/${name}`, load };
    }
  }
}
