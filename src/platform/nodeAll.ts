// All entries under Node in one, for require().

export * as diagnostics from "../diagnostics/index.js";
export * as inspect from "../inspect/index.js";
export * as metrics from "../metrics/index.js";
export * as quantize from "../quantize/index.js";
export * as text from "../text/index.js";
export * as index from "./node.js";
export * as callbacks from "./nodeCallbacks.js";
export * as cluster from "./nodeCluster.js";
export * as data from "./nodeData.js";
export * as graph from "./nodeGraph.js";
export * as images from "./nodeImages.js";
export * as io from "./nodeIo.js";
export * as keras from "./nodeKeras.js";
export * as onnx from "./nodeOnnx.js";
export * as progress from "./nodeProgress.js";
export * as report from "./nodeReport.js";
export * as search from "./nodeSearch.js";
export * as standalone from "./nodeStandalone.js";
