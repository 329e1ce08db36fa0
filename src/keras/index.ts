// steepest/keras: models of Keras and TensorFlow.js, to train on. The public names, nothing else.

export type { Hdf5Library } from "./hdf5.js";
export type { FromKeras } from "./import.js";
export { type FromKerasOptions, fromKeras } from "./keras.js";
export { type FromTensorFlowJsOptions, fromTensorFlowJs, type ModelJson, type ReadShard } from "./tensorFlowJs.js";
