// steepest/onnx: models as ONNX files, and from them. The public names, nothing else.
export { type Exported, type OnnxOptions, toOnnx } from "./export.js";
export { type FromOnnx, type FromOnnxOptions, fromOnnx } from "./import.js";
