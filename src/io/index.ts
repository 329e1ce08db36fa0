export { type FromBrain, fromBrain } from "./brain.js";
export type { FileBytes } from "./bytes.js";
export { decodeCheckpoint, encodeCheckpoint, type SavedCheckpoint } from "./checkpoint.js";
export { FormatError } from "./formatError.js";
export { type IdxArray, type IdxType, parseIdx } from "./idx.js";
export type { Metadata } from "./metadata.js";
export {
  type CustomParts,
  decodeModel,
  encodeModel,
  type LoadedModel,
  type LoadModelOptions,
  type SaveModelOptions,
} from "./model.js";
export { decodeNpy, decodeNpz, encodeNpy, encodeNpz } from "./numpy.js";
export { fromPyTorch, toPyTorch } from "./pytorch.js";
export { decodePyTorch } from "./pytorchFile.js";
export { type ReadModelOptions, type ReadOptions, readModel, readSafetensors, readWeights } from "./read.js";
export {
  decodeSafetensors,
  encodeSafetensors,
  type SafetensorsDtype,
  type SafetensorsFile,
  type SafetensorsInput,
  type SafetensorsTensor,
} from "./safetensors.js";
export { encodeShards, type ShardOptions } from "./shards.js";
export type { BlobSource, FileSource, HandleSource, ResponseSource, StreamSource } from "./sources.js";
export {
  type CheckpointStore,
  type LatestCheckpoint,
  type LatestOptions,
  loadLatest,
  memoryStore,
} from "./store.js";
export {
  decodeWeights,
  encodeWeights,
  type LoadedWeights,
  type WeightFileOptions,
  type WeightHolder,
} from "./weights.js";
