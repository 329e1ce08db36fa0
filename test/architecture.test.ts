// The invariants that ARCHITECTURE.md states.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parseAst } from "vitest/node";
import { kernelNames } from "../src/engine/recorder.js";
import * as operations from "../src/ops/index.js";

const root = fileURLToPath(new URL("../", import.meta.url));
const slashed = (path: string): string => path.replaceAll("\\", "/");
const filesIn = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|mjs)$/.test(entry.name) && !entry.name.endsWith(".d.ts"))
    .map((entry) => slashed(relative(root, join(entry.parentPath ?? entry.path, entry.name))))
    .filter((file) => !file.includes("node_modules"))
    .sort();
const read = (file: string): string => readFileSync(join(root, file), "utf8");
const withoutComments = (source: string): string => source.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");

describe("imports run strictly downward", () => {
  // A folder may import from itself and from those before it.
  const order = [
    ["engine"],
    ["graph"],
    ["ops"],
    ["nn", "optim"],
    ["train"],
    ["io"],
    ["data", "text", "images", "callbacks", "onnx", "keras"],
    ["search"],
    ["metrics", "inspect", "quantize", "cluster", "standalone"],
    ["report"],
    ["diagnostics"],
    ["platform"],
    ["cli"],
  ];
  const rankOf = (file: string): number => {
    const [, folder, inside] = file.split("/");
    if (inside === undefined) return order.length;
    const rank = order.findIndex((names) => names.includes(folder));
    expect(rank, `${file}: its folder is not on the floor plan`).toBeGreaterThanOrEqual(0);
    return rank;
  };
  // The entries of a platform re-export the public names of src/index.ts and src/graph.ts.
  const names = ["src/index.ts", "src/graph.ts"];

  test.each(filesIn("src"))("%s", (file) => {
    for (const [, path] of read(file).matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)) {
      const target = slashed(relative(root, resolve(root, dirname(file), path.replace(/\.js$/, ".ts"))));
      const platform = file.startsWith("src/platform/");
      if (platform && (names.includes(target) || /^dist\/.*\.wasm(\?gzip)?$/.test(target))) continue;
      const [from, to] = [rankOf(file), rankOf(target)];
      const sameFolder = file.split("/")[1] === target.split("/")[1];
      expect(sameFolder || to < from, `${file} imports ${target}`).toBe(true);
    }
  });
});

test("src/graph names no operation", () => {
  const names = Object.keys(operations);
  expect(names.length).toBeGreaterThan(30);
  for (const file of filesIn("src/graph")) {
    const source = withoutComments(read(file));
    for (const name of names) {
      expect(source.includes(`"${name}"`), `${file} says "${name}"`).toBe(false);
    }
    expect(source, file).not.toMatch(/operation\.name\s*[!=]==/);
  }
});

test.each([
  "engine",
  "graph",
  "ops",
  "nn",
  "optim",
  "train",
  "io",
  "data",
  "text",
  "callbacks",
  "search",
  "metrics",
  "onnx",
  "keras",
  "inspect",
  "quantize",
  "report",
  "images",
  "diagnostics",
  "cluster",
  "standalone",
  "cli",
])("src/%s: no two files export one name", (folder) => {
  const exported = /^export (?:async )?(?:const|function|class|interface|type) (\w+)/gm;
  const names = filesIn(`src/${folder}`).flatMap((file) =>
    [...new Set([...read(file).matchAll(exported)].map(([, name]) => name))].map((name) => ({ file, name })),
  );
  expect(names.length).toBeGreaterThan(0);
  const files = new Map<string, string[]>();
  for (const { file, name } of names) files.set(name, [...(files.get(name) ?? []), file]);
  const twice = [...files].filter(([, places]) => places.length > 1).map(([name]) => name);
  expect(twice).toEqual([]);
});

/** Calls that check names against a list, not against a table of src/engine/options.ts, by file: names that a model has. */
const LISTS = {
  "src/engine/options.ts": 1, // the names of a table
  "src/keras/import.ts": 1, // the names of the inputs, of a file
  "src/nn/model.ts": 1, // the names of the inputs
  "src/onnx/import.ts": 1, // the same, of a file
  "src/train/outputs.ts": 3, // the names of the outputs
  "src/train/weights.ts": 1,
};

test("options are read from tables, which the compiler holds complete", () => {
  const found = filesIn("src").flatMap((file) => {
    const calls = withoutComments(read(file)).match(/(?<!function )\bcheckOptions\(/g) ?? [];
    return calls.length === 0 ? [] : [[file, calls.length]];
  });
  expect(Object.fromEntries(found)).toEqual(LISTS);
});

test("only src/engine says WebAssembly, and what becomes the text of a standalone file", () => {
  for (const file of filesIn("src")) {
    if (file.startsWith("src/engine/") || file === "src/standalone/loader.ts") continue;
    expect(withoutComments(read(file)).replace(/"[^"]*"|`[^`]*`/g, ""), file).not.toMatch(/\bWebAssembly\b/);
  }
});

test("nothing is generated or evaluated at run time", () => {
  for (const file of filesIn("src")) expect(withoutComments(read(file)), file).not.toMatch(/\beval\(|new Function\(/);
});

test("kernels use no host mathematics and hold no state", () => {
  for (const file of filesIn("assembly")) {
    const source = withoutComments(read(file));
    expect(source, file).not.toMatch(/\b(Math|Mathf|NativeMath|NativeMathf|JSMath)\./);
    expect(source, file).not.toMatch(/\bheap\.alloc|\bnew [A-Z]/);
    expect(source, file).not.toMatch(/^(?:export )?(?:let|var) /m);
  }
});

test("files fit a mind: at most 600 lines, no utils and no helpers", () => {
  for (const file of [...filesIn("src"), ...filesIn("assembly"), ...filesIn("test"), ...filesIn("bench")]) {
    if (["src/engine/constants.ts", "src/engine/recorder.ts", "assembly/dispatch.ts"].includes(file)) continue;
    expect(read(file).split("\n").length, file).toBeLessThanOrEqual(600);
    expect(file).not.toMatch(/utils|helpers/i);
  }
});

const LONGEST_FUNCTION = 70;

interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

const isNode = (value: unknown): value is SyntaxNode =>
  typeof value === "object" && value !== null && typeof (value as SyntaxNode).type === "string";

/** Names of functions with more lines than `most`, those inside of another among them. */
function longFunctions(source: string, most: number): string[] {
  // AssemblyScript's decorators stand where TypeScript has none.
  const code = source.replace(/^( *)@\w+(?:\(.*\))?(?= *\n)/gm, "$1");
  const found: string[] = [];
  const visit = (node: SyntaxNode, name: string): void => {
    const named = [node.id, node.key].find(isNode)?.name;
    const known = typeof named === "string" ? named : name;
    const lines = code.slice(node.start, node.end).split("\n").length;
    if (/Function(Declaration|Expression)$/.test(node.type) && isNode(node.body) && lines > most) found.push(known);
    for (const value of Object.values(node)) {
      for (const child of [value].flat()) if (isNode(child)) visit(child, known);
    }
  };
  visit(parseAst(code, { lang: "ts" }) as unknown as SyntaxNode, "without a name");
  return found;
}

describe("functions fit a screen: at most 70 lines", () => {
  const generated = ["src/engine/constants.ts", "src/engine/recorder.ts", "assembly/dispatch.ts"];

  test("in src, assembly and scripts", () => {
    const files = ["src", "assembly", "scripts"].flatMap(filesIn).filter((file) => !generated.includes(file));
    const found = files.flatMap((file) =>
      longFunctions(read(file), LONGEST_FUNCTION).map((name) => `${file}: ${name}`),
    );
    expect(found).toEqual([]);
  });

  test.each([
    ["function long() {\n\n}", "long"],
    ["const long = async () => {\n\n};", "long"],
    ["export default {\n  long() {\n\n  },\n};", "long"],
    ["class A {\n  @inline\n  static long(): void {\n\n  }\n}", "long"],
    ["// @ts-ignore: decorator\n@inline\nexport function long(x: usize): v128 {\n\n}", "long"],
  ])("%j", (code, name) => {
    expect(longFunctions(code, 2)).toEqual([name]);
    expect(longFunctions(code, 3)).toEqual([]);
  });
});

test("the package needs nothing at run time but the loader", () => {
  expect(Object.keys(JSON.parse(read("package.json")).dependencies)).toEqual(["@assemblyscript/loader"]);
});

/** Sections of a wasm module: id and payload. */
function sectionsOf(bytes: Uint8Array): { id: number; payload: Uint8Array }[] {
  const sections: { id: number; payload: Uint8Array }[] = [];
  for (let at = 8; at < bytes.length; ) {
    const id = bytes[at++];
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      size |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    sections.push({ id, payload: bytes.subarray(at, at + size) });
    at += size;
  }
  return sections;
}

const START = 8;
const GLOBALS = 6;
const DATA = 11;

describe.each(["strict", "fast", "wide"])("%s.wasm", (build) => {
  const bytes = readFileSync(join(root, `dist/${build}.wasm`));
  const sections = sectionsOf(bytes).map(({ id }) => id);

  test("owns no data segment, no global and no start function", () => {
    expect(sections).not.toContain(DATA);
    expect(sections).not.toContain(GLOBALS);
    expect(sections).not.toContain(START);
  });

  test("imports its memory and nothing else; exports the interpreter and the kernels", () => {
    const relaxed = build === "fast" && !WebAssembly.validate(bytes);
    if (relaxed) return;
    const module = new WebAssembly.Module(bytes);
    expect(WebAssembly.Module.imports(module)).toEqual([
      expect.objectContaining({ module: "env", name: "memory", kind: "memory" }),
    ]);
    const exported = WebAssembly.Module.exports(module).map(({ name }) => name);
    expect(exported.sort()).toEqual(
      ["dispatch", "heapBase", "lead", "memory", "run", "runRange", "work", ...kernelNames].sort(),
    );
  });
});
