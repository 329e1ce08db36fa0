// Writes the two halves of the instruction set from the kernels' own signatures, so that a kernel is
// declared once: assembly/dispatch.ts (wasm side: opcode -> call) and src/engine/recorder.ts (TypeScript
// side: typed call -> instruction). A kernel is any exported function in assembly/kernels/ whose
// parameters are (begin: u32, end: u32, [scratch: usize,] outputs, inputs, sizes, scalars).
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const root = new URL("../", import.meta.url);
const HEADER_BYTES = 16;
const types = {
  usize: { bytes: 4, kind: "i", typescript: "Pointer" },
  u32: { bytes: 4, kind: "u", typescript: "number" },
  f32: { bytes: 4, kind: "f", typescript: "number" },
  f64: { bytes: 8, kind: "d", typescript: "number" },
};

// What a kernel writes comes first: one pointer, or so many (test/ops/battery.ts holds it).
const outputs = {
  adam: 3,
  lossTotal: 2,
  maxPool: 2,
  mergeGradients: 2,
  mergeMoments: 2,
  normalizeRows: 3,
  sgdMomentum: 2,
  sgdNesterov: 2,
  softmaxCrossEntropy: 2,
  softmaxCrossEntropyDistributions: 2,
  sortIndices: 2,
};

/** @returns {{name: string, file: string, scratch: boolean, comment: string, parameters: {name: string, type: keyof typeof types}[]}[]} */
function readKernels() {
  const folder = new URL("assembly/kernels/", root);
  const kernels = [];
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith(".ts")) continue;
    const source = readFileSync(new URL(file, folder), "utf8");
    for (const match of source.matchAll(
      /(?:\/\*\*([^*]*(?:\*(?!\/)[^*]*)*)\*\/\n)?export function (\w+)\(([^)]*)\): void/g,
    )) {
      const parameters = match[3]
        .split(",")
        .map((text) => text.trim())
        .filter((text) => text !== "")
        .map((text) => {
          const [name, type] = text.split(":").map((part) => part.trim());
          if (!(type in types))
            throw new Error(`${file}: kernel ${match[2]}: parameter "${text}" must be one of ${Object.keys(types)}`);
          return { name, type };
        });
      const [begin, end, third] = parameters;
      if (begin?.name !== "begin" || end?.name !== "end")
        throw new Error(`${file}: kernel ${match[2]} must start with (begin: u32, end: u32)`);
      const scratch = third?.name === "scratch";
      const comment = (match[1] ?? "")
        .split("\n")
        .map((line) => line.replace(/^\s*\*?\s?/, "").trim())
        .filter(Boolean)
        .join(" ");
      kernels.push({
        name: match[2],
        file: file.slice(0, -3),
        scratch,
        comment,
        parameters: parameters.slice(scratch ? 3 : 2),
      });
    }
  }
  return kernels;
}

function dispatcher(kernels) {
  const files = [...new Set(kernels.map((kernel) => kernel.file))];
  const lines = ["// Written by scripts/generate.mjs from the signatures in assembly/kernels/. Do not edit.", ""];
  for (const file of files) {
    const names = kernels.filter((kernel) => kernel.file === file).map((kernel) => kernel.name);
    lines.push(
      `import { ${names.join(", ")} } from "./kernels/${file}";`,
      `export { ${names.join(", ")} } from "./kernels/${file}";`,
    );
  }
  lines.push(
    "",
    "export function dispatch(at: usize, begin: u32, end: u32, scratch: usize): void {",
    "  switch (load<u32>(at)) {",
  );
  kernels.forEach((kernel, opcode) => {
    let offset = HEADER_BYTES;
    const loads = kernel.parameters.map(({ type }) => {
      const text = `load<${type}>(at, ${offset})`;
      offset += types[type].bytes;
      return text;
    });
    const head = ["begin", "end", ...(kernel.scratch ? ["scratch"] : [])];
    lines.push(`    case ${opcode}:`, `      ${kernel.name}(${[...head, ...loads].join(", ")});`, "      break;");
  });
  lines.push("    default:", "      unreachable();", "  }", "}", "");
  return lines.join("\n");
}

/** The methods as types, which cost nothing, and as a table that they are made of when the module loads. */
function recorder(kernels) {
  const kindsOf = ({ name, parameters }) =>
    parameters
      .map(({ type }, index) => (type === "usize" && index < (outputs[name] ?? 1) ? "o" : types[type].kind))
      .join("");
  const table = kernels.map((kernel) => `${kernel.name} ${kindsOf(kernel)}`).join(",");
  const lines = [
    "// Written by scripts/generate.mjs from the signatures in assembly/kernels/. Do not edit.",
    'import type { Emit, Pointer, Work } from "./instructions.js";',
    "",
    "/** One method a kernel: appends an instruction that runs it over `work.units` units. */",
    "export interface Recorder {",
  ];
  for (const { name, file, comment, parameters } of kernels) {
    const typed = parameters.map((parameter) => `${parameter.name}: ${types[parameter.type].typescript}`);
    lines.push(`  /** assembly/kernels/${file}.ts: ${comment} */`);
    lines.push(`  ${name}(${["work: Work", ...typed].join(", ")}): void;`);
  }
  lines.push(
    "}",
    "",
    "/** Name, and kinds of the parameters, by opcode: see src/engine/instructions.ts. */",
    `const table = "${table}".split(",").map((entry) => entry.split(" "));`,
    "",
    "/** Kernel names by opcode. */",
    "export const kernelNames: readonly string[] = table.map(([name]) => name);",
    "",
    "/** Kinds of their parameters. */",
    "export const kernelKinds: readonly string[] = table.map(([, kinds]) => kinds);",
    "",
    "export function createRecorder(emit: Emit): Recorder {",
    "  const methods = table.map(([name, kinds], opcode) => [",
    "    name,",
    "    (work: Work, ...values: number[]) => emit(opcode, work, kinds, values),",
    "  ]);",
    "  return Object.fromEntries(methods) as Recorder;",
    "}",
    "",
  );
  return lines.join("\n");
}

export function generate() {
  const kernels = readKernels();
  writeFileSync(new URL("assembly/dispatch.ts", root), dispatcher(kernels));
  writeFileSync(new URL("src/engine/recorder.ts", root), recorder(kernels));
  return kernels.length;
}

if (process.argv[1] && import.meta.url === new URL(`file://${process.argv[1]}`).href)
  console.log(`${generate()} kernels`);
