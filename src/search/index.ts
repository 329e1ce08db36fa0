// The entry "steepest/search": the parameters with the best score.

export { type CrossValidateOptions, type CrossValidation, crossValidate, type FoldInput } from "./crossValidate.js";
export type { Journal } from "./journal.js";
export {
  type Address,
  type SearchedFunction,
  type SearchOptions,
  type SearchProgress,
  type SearchResult,
  search,
} from "./search.js";
export {
  choices,
  type Dimension,
  integers,
  logUniform,
  type ParametersOf,
  type ParameterValue,
  type Space,
  uniform,
  type VariantOf,
  variants,
} from "./space.js";
export {
  type GridSearchOptions,
  gridSearch,
  type HyperbandOptions,
  hyperband,
  latinHypercube,
  type RandomSearchOptions,
  randomSearch,
  type Strategy,
  type SuccessiveHalvingOptions,
  successiveHalving,
} from "./strategies.js";
export type { ScoredTrial, Trial, TrialInput } from "./trial.js";
