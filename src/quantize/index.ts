// steepest/quantize: predictions with int8. The public names, nothing else.
export { compareQuantized, type QuantizationReport } from "./compare.js";
export { type DecodeQuantizedOptions, decodeQuantized, type EncodeQuantizedOptions, encodeQuantized } from "./file.js";
export {
  type Quantizable,
  type QuantizedEngineOptions,
  type QuantizedLayer,
  type QuantizedModel,
  type QuantizeOptions,
  quantize,
} from "./quantize.js";
