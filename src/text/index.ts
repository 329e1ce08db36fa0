// The entry "steepest/text": tokenisers, batches of sequences, and drawing text from a model.
export { type Beam, type BeamSearchOptions, beamSearch, type NextLogits } from "./beam.js";
export { type BytePairTokenizerOptions, bytePairTokenizer } from "./bytePair.js";
export { type CharacterTokenizerOptions, characterTokenizer } from "./character.js";
export {
  type CtcBeam,
  type CtcBeamDecodeOptions,
  type CtcDecodeOptions,
  ctcBeamDecode,
  ctcGreedyDecode,
} from "./ctcDecoding.js";
export { characterErrorRate, editDistance, type LabelSequence } from "./editDistance.js";
export { type TokenSampler, type TokenSamplerOptions, tokenSampler } from "./sampling.js";
export {
  type BatchByLengthOptions,
  batchByLength,
  type IdSequence,
  type LengthBatch,
  type PaddedSequences,
  type PadSequencesOptions,
  padSequences,
} from "./sequences.js";
export type { Texts, Tokenizer, TokenizerData } from "./tokenizer.js";
export { tokenizerFrom } from "./tokenizerFrom.js";
export { type WordTokenizerOptions, wordTokenizer } from "./word.js";
