// Every example in a docstring runs, with what it takes for granted; and docs/layers.md names whatever there is.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { transformSync } from "esbuild";
import * as steepest from "steepest";
import * as callbacks from "steepest/callbacks";
import * as cluster from "steepest/cluster";
import * as preparation from "steepest/data";
import * as diagnostics from "steepest/diagnostics";
import * as graph from "steepest/graph";
import * as images from "steepest/images";
import * as inspect from "steepest/inspect";
import * as io from "steepest/io";
import * as keras from "steepest/keras";
import * as metrics from "steepest/metrics";
import * as onnx from "steepest/onnx";
import * as progress from "steepest/progress";
import * as quantize from "steepest/quantize";
import * as report from "steepest/report";
import * as search from "steepest/search";
import * as standalone from "steepest/standalone";
import * as text from "steepest/text";
import { afterAll, expect, test } from "vitest";
import * as initializers from "../src/nn/initializers.js";
import * as operations from "../src/ops/index.js";
import * as optimizers from "../src/optim/index.js";
import { lehmer } from "./train/blobs.js";

const root = fileURLToPath(new URL("../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "steepest-readme-"));
afterAll(() => rmSync(folder, { recursive: true }));

const modules: Record<string, Record<string, unknown>> = {
  steepest,
  "steepest/graph": graph,
  "steepest/io": io,
  "steepest/progress": progress,
  "steepest/data": preparation,
  "steepest/images": images,
  "steepest/onnx": onnx,
  "steepest/keras": keras,
  "steepest/diagnostics": diagnostics,
  "steepest/inspect": inspect,
  "steepest/quantize": quantize,
  "steepest/metrics": metrics,
  "steepest/text": text,
  "steepest/report": report,
  "steepest/cluster": cluster,
  "steepest/search": search,
  "steepest/standalone": standalone,
  "steepest/callbacks": callbacks,
};

/** What the examples may take for granted, where they do not define it themselves. */
async function given(): Promise<Record<string, unknown>> {
  const random = lehmer(5);
  const images = (count: number) => Float32Array.from({ length: count * 784 }, random);
  const labels = (count: number) => Uint8Array.from({ length: count }, () => Math.floor(random() * 10));
  const model = steepest.sequential({ input: [784] }, steepest.dense(8), steepest.relu(), steepest.dense(10));
  const [x, y] = [images(100), labels(100)];
  const trainer = steepest.compileSync(model, { loss: steepest.crossEntropy(), optimizer: steepest.adam() });
  const f = graph.compileFunctionSync(({ x }) => ({ y: graph.sum(x) }), { x: [3] });
  const path = join(folder, "model.safetensors");
  await io.writeFileAtomic(path, io.encodeWeights(trainer));
  return { x, y, testX: images(20), testY: labels(20), image: images(1), model, trainer, f, path };
}

/** The same for the graph's docstrings, where tensors are symbolic. */
function givenSymbols(): Record<string, unknown> {
  const logits = graph.input([32, 10]);
  return { x: graph.input([32, 10]), logits, labels: graph.input([32], { dtype: "uint32" }) };
}

async function runProgram(source: string, symbolic = false, own: Record<string, unknown> = {}): Promise<string[]> {
  const imports = [...source.matchAll(/^import \{([^}]*)\} from "([^"]+)";$/gm)];
  const body = source.replace(/^import .*$/gm, "");
  const scope: Record<string, unknown> = symbolic
    ? { ...steepest, ...graph }
    : {
        ...graph,
        ...steepest,
        ...io,
        ...progress,
        ...preparation,
        ...text,
        ...search,
        ...cluster,
        ...standalone,
        ...own,
      };
  for (const [, names, from] of imports) {
    for (const name of names
      .split(",")
      .map((text) => text.trim())
      .filter(Boolean)) {
      const bare = name.replace(/^type /, "");
      if (name === bare) expect(Object.keys(modules[from] ?? {}), `"${from}" exports ${name}`).toContain(name);
      scope[bare] = modules[from]?.[bare];
    }
  }
  const printed: string[] = [];
  scope.console = { log: (...values: unknown[]) => printed.push(values.join(" ")) };
  const data = symbolic ? givenSymbols() : await given();
  const names = Object.keys({ ...scope, ...data });
  // Each program in a block of its own, so that it may define what is given otherwise.
  const { code } = transformSync(`async function program() {${body}\n}`, { loader: "ts", target: "node20" });
  const run = new Function(...names, `${code}; return program();`);
  await run(...names.map((name) => scope[name] ?? data[name]));
  return printed;
}

test("docs/layers.md has a line for whatever there is to build models of", () => {
  const page = readFileSync(join(root, "docs/layers.md"), "utf8");
  const named = new Set([...page.matchAll(/`(\w+)[`(]/g)].map(([, name]) => name));
  const facade = readFileSync(join(root, "src/index.ts"), "utf8");
  const exported = [...facade.matchAll(/export \{([^}]*)\} from "\.\/nn\/(?!model|ports|scope)/g)].flatMap(
    ([, names]) =>
      names
        .split(",")
        .map((name) => name.trim())
        .filter((name) => name !== "" && !name.startsWith("type ")),
  );
  const building = [...exported, ...Object.keys(initializers), ...Object.keys(optimizers), ...Object.keys(operations)];
  expect(exported.length).toBeGreaterThan(60);
  expect(building.filter((name) => !named.has(name) && name !== "learningRateAt")).toEqual([]);
  // And no line for what there is not: names in a table's first column.
  const columns = [...page.matchAll(/^\| (`[^|]*)\|/gm)].map(([, column]) => column).join();
  const first = [...columns.matchAll(/`(\w+)[`(]/g)].map(([, name]) => name);
  expect(first.length).toBeGreaterThan(150);
  expect(first.filter((name) => !building.includes(name) && name !== "gradient")).toEqual([]);
});

const sources = readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
const examples = sources.flatMap((file) =>
  [...readFileSync(file, "utf8").matchAll(/@example\n((?: \*(?! @|\/).*\n)+)/g)].map(
    ([, text]) => [relative(root, file), text.replace(/^ \* ?/gm, "")] as const,
  ),
);

test("there are examples", () => expect(examples.length).toBeGreaterThan(3));

test.each(examples)("example in %s", async (file, source) => {
  // Metrics over arrays have the names of those of programs, and a callback that of a schedule.
  const own = file.includes("nodeCallbacks")
    ? callbacks
    : file.includes("nodeReport")
      ? report
      : file.includes("nodeOnnx")
        ? onnx
        : { metrics, images, inspect, quantize, callbacks, diagnostics, onnx, keras }[file.split(/[\\/]/)[1]];
  await runProgram(source, file.startsWith("src/ops/"), own ?? {});
});
