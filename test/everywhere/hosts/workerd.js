// Cloudflare's runtime: a Worker that runs the suite as each request says.
import * as steepest from "steepest";
import * as data from "steepest/data";
import * as graph from "steepest/graph";
import * as images from "steepest/images";
import * as io from "steepest/io";
import * as metrics from "steepest/metrics";
import * as search from "steepest/search";
import { explain } from "../suite/checks.js";
import { runSuite } from "../suite/suite.js";

export default {
  async fetch(request) {
    try {
      return Response.json(
        await runSuite(
          { steepest, graph, io, search, metrics, data, images },
          { ...(await request.json()), synchronous: true },
        ),
      );
    } catch (error) {
      return Response.json({ broken: explain(error) });
    }
  },
};
