// The text of a standalone file, and of its types.
import type { KernelBytes } from "../engine/module.js";
import type { Port } from "../nn/ports.js";
import type { Surroundings } from "./around.js";
import { FILE_FUNCTIONS, type FileData, type FilePort } from "./loader.js";
import type { RecordedPrediction } from "./record.js";

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
  const functions = FILE_FUNCTIONS.map(String);
  // A bundler may have given it another name, in its text and where others call it.
  const [, load] = /^async function (\w+)/.exec(functions[0]) as RegExpExecArray;
  // Compilers that keep names call __name() in functions.
  return `// Written by steepest: a trained model that predicts, without the library. See the types beside it.
const __name = (it) => it;
const FILE = ${JSON.stringify(data)};
${functions.join("\n")}
const WASM = "${wasm === undefined ? "" : base64(wasm)}";
export { ${load} as load };
`;
}

/** Of bytes, in parts that fit the arguments of a call. */
function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

/** The declarations of the file. `beside`: whether the module is in a file of its own. */
export function typesOfFile({ inputs, outputs, labels }: FileData, beside: boolean): string {
  const samples = (port: FilePort) => `${of(port)}Samples`;
  const given = beside ? "wasm: object" : "wasm?: object";
  const about = beside
    ? "`wasm`: the .wasm file beside this one, as a WebAssembly.Module (where an import gives one, as in Workers), its bytes, or the response to a request for it."
    : "`wasm`: the module in this file, if the runtime must have compiled it; by default it is compiled here.";
  const label = labels?.map((one) => JSON.stringify(one)).join(" | ");
  const classify = `  /** The label of each sample's class. */
  classify(x: ${portTypes(inputs, samples)}): (${label})[];
`;
  return `// Written by steepest.

/** Numbers, flat (all samples one after another, row-major) or in nested arrays. */
export type Samples = ArrayLike<number> | readonly Samples[];

export interface Predictor {
  /** Predictions for one or more samples, flat. Throws TypeError or RangeError for what the model does not take. */
  predict(x: ${portTypes(inputs, samples)}): ${portTypes(outputs, (port) => `${of(port)}Float32Array`)};
${labels === undefined ? "" : classify}}

/** Makes a predictor, with a memory of its own. ${about} */
export declare function load(${given}): Promise<Predictor>;
`;
}

const of = ({ shape, words }: FilePort): string =>
  `/** ${words ? "Indices: " : ""}[samples${shape.map((size) => `, ${size}`).join("")}] */ `;

function portTypes(ports: readonly FilePort[], type: (port: FilePort) => string): string {
  if (ports[0].key === null) return type(ports[0]);
  return `{ ${ports.map((port) => `readonly ${JSON.stringify(port.key)}: ${type(port)}`).join("; ")} }`;
}
