// Cloudflare's runtime: a Worker that runs the suite as each request says.
import * as steepest from "steepest";
import * as data from "steepest/data";
import * as graph from "steepest/graph";
import * as images from "steepest/images";
import * as io from "steepest/io";
import * as metrics from "steepest/metrics";
import * as search from "steepest/search";
import cnn from "../standalone/cnn-beside.wasm";
import { files } from "../standalone/files.js";
import lstm from "../standalone/lstm-beside.wasm";
import mlp from "../standalone/mlp-beside.wasm";
import table from "../standalone/table-beside.wasm";
import { explain } from "../suite/checks.js";
import { runSuite } from "../suite/suite.js";

const modules = { "cnn-beside": cnn, "lstm-beside": lstm, "mlp-beside": mlp, "table-beside": table };
const wasmOf = (name) => modules[name];

export default {
  async fetch(request) {
    try {
      return Response.json(
        await runSuite(
          { steepest, graph, io, search, metrics, data, images, files },
          { ...(await request.json()), synchronous: true, wasmOf, compiles: false },
        ),
      );
    } catch (error) {
      return Response.json({ broken: explain(error) });
    }
  },
};
