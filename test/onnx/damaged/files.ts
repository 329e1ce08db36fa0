// Damaged files: mutations of valid ones, the same each time. Run by itself, it gives record.py a line of JSON for each.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { mutations, randomOf } from "../../mutations/mutate.js";
import { fieldMutations } from "./fields.js";

/** How often bytes of a file are changed, and fields of it. */
type Counts = readonly [bytes: number, fields: number];

/** Cases of the ONNX project, small ones that differ in what they hold. */
const CASES: Readonly<Record<string, Counts>> = {
  test_gemm_all_attributes: [15, 15],
  test_conv_with_strides_no_padding: [15, 15],
  test_batchnorm_epsilon: [15, 15],
  test_maxpool_2d_precomputed_pads: [15, 15],
  test_reshape_reordered_all_dims: [15, 15],
  test_split_variable_parts_2d: [15, 15],
  test_where_long_example: [15, 15],
  test_einsum_sum: [15, 15],
  test_cast_DOUBLE_to_FLOAT: [15, 15],
  test_constantofshape_float_ones: [15, 15],
  test_lstm_defaults: [15, 15],
  test_scan9_sum: [15, 15],
};

const contents = (path: string) => readFileSync(new URL(path, import.meta.url));
const cases = new Map<string, string>(
  JSON.parse(contents("../operators/recorded.json").toString()).map(
    ({ name, onnx }: { name: string; onnx: string }) => [name, onnx],
  ),
);

export interface Damaged {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** So that the first numbers of near seeds are not near. */
const SPREAD = 0x9e3779b1;

function damages(name: string, bytes: Uint8Array, [changed, refielded]: Counts): Damaged[] {
  const byBytes = mutations(bytes, name);
  const byFields = fieldMutations(bytes, (index) => {
    const random = randomOf(Math.imul(index + 1, SPREAD));
    for (let skipped = 0; skipped < 4; skipped++) random(2);
    return random;
  });
  return [
    ...Array.from({ length: changed }, (_, index) => ({
      name: `${name}, bytes ${index}`,
      bytes: byBytes(index).slice(),
    })),
    ...Array.from({ length: refielded }, (_, index) => ({ name: `${name}, fields ${index}`, bytes: byFields(index) })),
  ];
}

/** All files, each whole one before those that are damaged. */
export function damagedFiles(): Damaged[] {
  const all: [string, Uint8Array, Counts][] = [
    ["forms", new Uint8Array(contents("forms.onnx")), [60, 320]],
    ["torchMixer", new Uint8Array(contents("../files/torchMixer.onnx")), [30, 30]],
    ...Object.entries(CASES).map(([name, counts]): [string, Uint8Array, Counts] => {
      const onnx = cases.get(name);
      if (onnx === undefined) throw new Error(`operators/recorded.json has no ${name}`);
      return [name, new Uint8Array(Buffer.from(onnx, "base64")), counts];
    }),
  ];
  return all.flatMap(([name, bytes, counts]) => [{ name, bytes }, ...damages(name, bytes, counts)]);
}

/** What all verdicts belong to. */
export function digestOfFiles(files: readonly Damaged[]): string {
  const hash = createHash("sha256");
  for (const { name, bytes } of files) hash.update(`${name}: ${bytes.length}\n`).update(bytes);
  return hash.digest("hex").slice(0, 16);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const files = damagedFiles();
  const lines = files.map(({ name, bytes }) => ({ name, onnx: Buffer.from(bytes).toString("base64") }));
  console.log(JSON.stringify({ digest: digestOfFiles(files), files: lines }));
}
