// Writes the two halves of the instruction set from the kernels' own signatures, so that a kernel is
// declared once: assembly/dispatch.ts (wasm side: opcode -> call) and src/engine/recorder.ts (TypeScript
// side: typed call -> instruction). A kernel is any exported function in assembly/kernels/, but for those in
// `shared`; its parameters are (begin: u32, end: u32, [scratch: usize,] outputs, inputs, sizes, scalars).
// And src/engine/constants.ts: the whole numbers that files in assembly/ export, each under its name there.
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
  adadelta: 3,
  adagrad: 2,
  adam: 3,
  adamax: 3,
  adamRows: 3,
  amsgrad: 4,
  attention: 2,
  attentionGradient: 3,
  ctcLoss: 2,
  ctcLossGradient: 2,
  gemmParts: 2,
  gruAfter: 5,
  gruAfterGradient: 4,
  gruBefore: 4,
  gruBeforeGradient: 3,
  lambDirection: 3,
  lars: 2,
  lion: 2,
  lookahead: 2,
  lossTotal: 2,
  lstm: 6,
  lstmGradient: 5,
  maxPool: 2,
  mergeGradients: 2,
  mergeMoments: 2,
  nadam: 3,
  nadamMomenta: 2,
  normalizeRows: 3,
  previousStatesGradient: 2,
  radam: 3,
  rmsprop: 2,
  rmspropCentered: 3,
  rmspropCenteredMomentum: 4,
  rmspropMomentum: 3,
  rnn: 3,
  rnnGradient: 3,
  rprop: 3,
  sgdMomentum: 2,
  sgdMomentumRows: 2,
  sgdNesterov: 2,
  softmaxCrossEntropy: 2,
  softmaxCrossEntropyDistributions: 2,
  sortIndices: 2,
};

// What kernels' files export for one another, besides constants.
const shared = ["firstInside", "reluLanes", "sigmoidLanes", "tanhLanes", "useInRound"];

/** Names of the functions that a file exports, which must be kernels or shared; generic ones are no functions yet. */
function exportedFunctions(source) {
  return [...source.matchAll(/^\s*export (?:default )?(?:async )?function (\w+)\(/gm)].map(([, name]) => name);
}

/** Refuses exported functions that are neither; and shared ones that do not exist. */
function checkExports(sources, kernels) {
  const exported = [...sources].flatMap(([file, source]) => exportedFunctions(source).map((name) => ({ file, name })));
  const isKernel = new Set(kernels.map(({ name }) => name));
  for (const { file, name } of exported) {
    if (isKernel.has(name) !== shared.includes(name)) continue;
    throw new Error(
      isKernel.has(name)
        ? `${file}: ${name} is a kernel: take it out of "shared" in scripts/generate.mjs`
        : `${file}: ${name} is no kernel, as it is not declared as (begin: u32, end: u32, …): void with parameters of ${Object.keys(types)}: if it is to be none, name it in "shared" in scripts/generate.mjs`,
    );
  }
  const missing = shared.filter((name) => !exported.some((one) => one.name === name));
  if (missing.length > 0)
    throw new Error(`no file exports ${missing}: take it out of "shared" in scripts/generate.mjs`);
}

/** @returns {{name: string, file: string, scratch: boolean, comment: string, parameters: {name: string, type: keyof typeof types}[]}[]} */
export function readKernels(sources) {
  const kernels = [];
  for (const [file, source] of sources) {
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
        file: file.slice(0, -".ts".length),
        scratch,
        comment,
        parameters: parameters.slice(scratch ? 3 : 2),
      });
    }
  }
  checkExports(sources, kernels);
  return kernels;
}

/** Sources of a folder's files by name, in order. */
function readSources(folder) {
  const url = new URL(folder, root);
  const files = readdirSync(url).filter((file) => file.endsWith(".ts") && file !== "dispatch.ts");
  return new Map(files.sort().map((file) => [file, readFileSync(new URL(file, url), "utf8")]));
}

/**
 * The whole numbers that the files export, by name: numbers, and what is calculated of them and of other constants. Those
 * that differ from build to build are left out.
 */
export function readConstants(sources) {
  const exported = new Map();
  for (const [file, source] of sources) {
    const declared = [...source.matchAll(/^(export )?const (\w+): (\w+) =\s*([^;]+);/gm)];
    const expressions = new Map(declared.map(([, , name, , expression]) => [name, expression]));
    for (const [, isExported, name, type] of declared) {
      if (!isExported || !["u32", "i32", "usize"].includes(type)) continue;
      const value = constantValue(name, expressions, new Set());
      if (value === undefined) continue;
      if (exported.has(name))
        throw new Error(`${file}: another file exports ${name} too: constants need names of their own`);
      if (!Number.isSafeInteger(value)) throw new Error(`${file}: ${name} must be a whole number, got ${value}`);
      exported.set(name, { file, value });
    }
  }
  return exported;
}

function constantValue(name, expressions, open) {
  const expression = expressions.get(name);
  if (expression === undefined || open.has(name)) throw new Error(`constants: the value of ${name} is not to be found`);
  if (/\b(?:ASC_|IS_WIDE\b|isDefined\()/.test(expression)) return undefined;
  const names = [...expression.replace(/\b0x[\da-f_]+/gi, "").matchAll(/(?<!\w)[a-z_]\w*/gi)].map(([name]) => name);
  const values = names.map((one) => constantValue(one, expressions, new Set([...open, name])));
  if (values.includes(undefined)) return undefined;
  return new Function(...names, `"use strict"; return ${expression};`)(...values);
}

function constants(sources) {
  const lines = [...readConstants(sources)].map(
    ([name, { file, value }]) => `/** assembly/${file} */\nexport const ${name} = ${value};`,
  );
  return ["// Written by scripts/generate.mjs from the constants in assembly/. Do not edit.", ...lines, ""].join("\n");
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

/** The methods as types, which cost nothing, and as a table that they are made of for the first program. */
function recorder(kernels) {
  const kindsOf = ({ name, parameters }) =>
    parameters
      .map(({ type }, index) => (type === "usize" && index < (outputs[name] ?? 1) ? "o" : types[type].kind))
      .join("");
  const table = kernels.map((kernel) => `${kernel.name} ${kindsOf(kernel)}`).join(",");
  const lines = [
    "// Written by scripts/generate.mjs from the signatures in assembly/kernels/. Do not edit.",
    'import type { Emit, Pointer, Structure, Workload } from "./instructions.js";',
    "",
    "/** One method a kernel: appends an instruction that runs it over `workload.units` units. */",
    "export interface Recorder extends Structure {",
  ];
  for (const { name, file, comment, parameters } of kernels) {
    const typed = parameters.map((parameter) => `${parameter.name}: ${types[parameter.type].typescript}`);
    lines.push(`  /** assembly/kernels/${file}.ts: ${comment} */`);
    lines.push(`  ${name}(${["workload: Workload", ...typed].join(", ")}): void;`);
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
    "interface Emitting {",
    "  readonly emit: Emit;",
    "}",
    "",
    "let methods: object | undefined;",
    "",
    "/** They are shared by all recorders: to make some hundred for each program took as long as to record it. */",
    "function makeMethods(): object {",
    "  const made = table.map(([name, kinds], opcode) => [",
    "    name,",
    "    function (this: Emitting, workload: Workload, ...values: number[]) {",
    "      this.emit(opcode, workload, kinds, values);",
    "    },",
    "  ]);",
    "  return Object.fromEntries(made);",
    "}",
    "",
    "export function createRecorder(emit: Emit, structure: Structure): Recorder {",
    "  methods ??= makeMethods();",
    "  return Object.assign(Object.create(methods), structure, { emit }) as Recorder;",
    "}",
    "",
  );
  return lines.join("\n");
}

export function generate() {
  const sources = readSources("assembly/kernels/");
  const kernels = readKernels(sources);
  const files = new Map([
    ...readSources("assembly/"),
    ...[...sources].map(([file, text]) => [`kernels/${file}`, text]),
  ]);
  writeFileSync(new URL("assembly/dispatch.ts", root), dispatcher(kernels));
  writeFileSync(new URL("src/engine/recorder.ts", root), recorder(kernels));
  writeFileSync(new URL("src/engine/constants.ts", root), constants(files));
  return kernels.length;
}

if (process.argv[1] && import.meta.url === new URL(`file://${process.argv[1]}`).href)
  console.log(`${generate()} kernels`);
