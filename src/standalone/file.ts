// The text of a standalone file, and of its types.

import { HASH_FUNCTIONS, wordsOf } from "../data/tableHash.js";
import type { KernelBytes } from "../engine/module.js";
import { cosPi } from "../engine/portableMath.js";
import type { Port } from "../nn/ports.js";
import type { Surroundings } from "./around.js";
import { FILE_FUNCTIONS, type FileData, type FilePort } from "./loader.js";
import type { RecordedPrediction } from "./record.js";
import { type FileTable, TABLE_FUNCTIONS } from "./tableLoader.js";

/** What is in a file besides the module. */
export function dataOf(
  { inputs, outputs }: { readonly inputs: readonly Port[]; readonly outputs: readonly Port[] },
  { programs, dataAt, data }: RecordedPrediction,
  around: Surroundings,
): FileData {
  const sorted = programs.toSorted((a, b) => b.batch - a.batch);
  return {
    inputs: inputs.map(portOf),
    outputs: outputs.map(portOf),
    programs: sorted.map(({ batch, inputs, outputs, end }) => ({ batch, inputs, outputs, end })),
    begins: dataAt + data.length,
    ends: Math.max(...programs.map(({ end }) => end)),
    ...around,
  };
}

function portOf({ key, shape, dtype, bound }: Port): FilePort {
  const limits = ArrayBuffer.isView(bound) ? Array.from(bound) : bound;
  return { key: key ?? null, shape, words: dtype === "uint32", bound: limits };
}

/** @param wasm What is put into the file; `undefined` if it stays beside it. */
export function textOfFile(data: FileData, wasm: KernelBytes | undefined): string {
  const { table, ...file } = data;
  // Compilers that keep names call __name() in functions.
  return `// Written by steepest: a trained model that predicts, without the library. See the types beside it.
const __name = (it) => it;
const FILE = ${JSON.stringify(file)};
const TABLE = ${table === undefined ? "undefined" : textOfTable(table)};
${FILE_FUNCTIONS.map(String).join("\n")}
const WASM = "${wasm === undefined ? "" : base64(wasm)}";
export { ${nameIn(FILE_FUNCTIONS[0])} as load };
`;
}

/** What rows of a table need, within itself, so that no name meets one of the file's. */
function textOfTable(table: FileTable): string {
  const types = new Set(table.columns.map(({ type }) => type));
  const portable = {
    ...(types.has("date") && { cosPi: unitOf(cosPi) }),
    ...(types.has("hash") && { hashPlace: unitOf(...HASH_FUNCTIONS), wordsOf: unitOf(wordsOf) }),
  };
  const parts = Object.entries(portable).map(([name, text]) => `${name}: ${text}`);
  return `(() => {
const COLUMNS = ${JSON.stringify(table)};
const PORTABLE = {${parts.join(", ")}};
${TABLE_FUNCTIONS.map(String).join("\n")}
return { features: ${nameIn(TABLE_FUNCTIONS[0])} };
})()`;
}

/** An expression for the first of these functions, which call each other and nothing else. */
function unitOf(...functions: readonly ((...given: never[]) => unknown)[]): string {
  return `(() => {\n${functions.join("\n")}\nreturn ${nameIn(functions[0])};\n})()`;
}

/** A bundler may have given a function another name, in its text and where others call it. */
function nameIn(given: (...given: never[]) => unknown): string {
  const [, name] = /^(?:async )?function ([\w$]+)/.exec(String(given)) as RegExpExecArray;
  return name;
}

/** Of bytes, in parts that fit the arguments of a call. */
function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

/** The declarations of the file. `beside`: whether the module is in a file of its own. */
export function typesOfFile({ inputs, outputs, labels, table }: FileData, beside: boolean): string {
  const samples = (port: FilePort) => `${of(port)}Samples`;
  const given = beside ? "wasm: object" : "wasm?: object";
  const about = beside
    ? "`wasm`: the .wasm file beside this one, as a WebAssembly.Module (where an import gives one, as in Workers), its bytes, or the response to a request for it."
    : "`wasm`: the module in this file, if the runtime must have compiled it; by default it is compiled here.";
  const label = labels?.map((one) => JSON.stringify(one)).join(" | ");
  const classify = `  /** The label of each sample's class. */
  classify(x: ${portTypes(inputs, samples)}): (${label})[];
`;
  const rows = `  /** What predict takes, of rows of the table. Throws TypeError or RangeError for what a column does not take. */
  features(rows: readonly Row[]): Float32Array;
  /** The ${labels === undefined ? "number of each row, in the target's own units" : "class of each row"}: predict and features in one. */
  predictRows(rows: readonly Row[]): ${labels === undefined ? "number" : `(${label})`}[];
`;
  return `// Written by steepest.

/** Numbers, flat (all samples one after another, row-major) or in nested arrays. */
export type Samples = ArrayLike<number> | readonly Samples[];

${table === undefined ? "" : typesOfRow(table)}export interface Predictor {
  /** Predictions for one or more samples, flat. Throws TypeError or RangeError for what the model does not take. */
  predict(x: ${portTypes(inputs, samples)}): ${portTypes(outputs, (port) => `${of(port)}Float32Array`)};
${labels === undefined ? "" : classify}${table === undefined ? "" : rows}}

/** Makes a predictor, with a memory of its own. ${about} */
export declare function load(${given}): Promise<Predictor>;
`;
}

function typesOfRow({ columns }: FileTable): string {
  const cells = columns.map(({ name, type }) => `  readonly ${JSON.stringify(name)}?: Cell; // ${type}`);
  return `/** A value of a table, as a number, or as the text that stands in a file. None, null and NaN are missing. */
export type Cell = string | number | bigint | boolean | Date | null | undefined;

/** A row of the table. Other columns are left alone. */
export interface Row {
${cells.join("\n")}
  readonly [column: string]: unknown;
}

`;
}

const of = ({ shape, words }: FilePort): string =>
  `/** ${words ? "Indices: " : ""}[samples${shape.map((size) => `, ${size}`).join("")}] */ `;

function portTypes(ports: readonly FilePort[], type: (port: FilePort) => string): string {
  if (ports[0].key === null) return type(ports[0]);
  return `{ ${ports.map((port) => `readonly ${JSON.stringify(port.key)}: ${type(port)}`).join("; ")} }`;
}
