// What users of "steepest/standalone" get: a trained model as a file that needs no library.
export type { AroundOptions } from "./around.js";
export { type StandaloneFiles, type StandaloneOptions, type Standing, toStandalone } from "./export.js";
