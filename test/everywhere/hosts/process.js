// Node, Deno and Bun: runs the suite as often as the argument says, and prints a line of JSON for each.
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import * as steepest from "steepest";
import * as data from "steepest/data";
import * as graph from "steepest/graph";
import * as images from "steepest/images";
import * as io from "steepest/io";
import * as metrics from "steepest/metrics";
import * as search from "steepest/search";
import { files } from "../standalone/files.js";
import { explain } from "../suite/checks.js";
import { runSuite } from "../suite/suite.js";

const file = join(process.env.STEEPEST_FOLDER ?? tmpdir(), `weights-${process.pid}.safetensors`);
const wasmOf = (name) => readFile(new URL(`../standalone/${name}.wasm`, import.meta.url));
const workers = [];
process.on("worker", (worker) => workers.push(worker));
for (const run of JSON.parse(process.argv[2])) {
  let result;
  try {
    result = await runSuite(
      { steepest, graph, io, search, metrics, data, images, files },
      { ...run, synchronous: true, file, workers, wasmOf },
    );
  } catch (error) {
    result = { broken: explain(error) };
  }
  console.log(`result ${JSON.stringify(result)}`);
}
