// All entries in one for require() outside of Node: jest's jsdom takes this, and bundlers that know no ES modules. The
// kernels are in it, as in steepest/inline.
export * as callbacks from "../callbacks/index.js";
export * as diagnostics from "../diagnostics/index.js";
export * as graph from "../graph.js";
export * as images from "../images/index.js";
export * as inspect from "../inspect/index.js";
export * as keras from "../keras/index.js";
export * as metrics from "../metrics/index.js";
export * as onnx from "../onnx/index.js";
export * as quantize from "../quantize/index.js";
export * as report from "../report/index.js";
export * as search from "../search/index.js";
export * as text from "../text/index.js";
export * as data from "./browserData.js";
export * as io from "./browserIo.js";
export * as inline from "./inline.js";
