// Damaged ONNX files: what the reference's parser refuses is refused here too, what it reads holds the same here, and what both take
// predicts the same. Where this library refuses more, or takes more, is a list of rules.
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { ModelError } from "../../src/engine/errors.js";
import { FormatError } from "../../src/io/formatError.js";
import type { AnyModel } from "../../src/nn/model.js";
import { decodeModel } from "../../src/onnx/decode.js";
import { fromOnnx } from "../../src/onnx/index.js";
import type { OnnxModel } from "../../src/onnx/schema.js";
import { wireLibrary } from "../../src/onnx/wire.js";
import { compileSync, createEngine } from "../../src/platform/node.js";
import { createRandom } from "../ops/cases.js";
import { farthest } from "./compared.js";
import { digestOf } from "./damaged/contents.js";
import { damagedFiles, digestOfFiles } from "./damaged/files.js";
import { eachRuntime, feedOf, hasRuntimes, type Opened, randomInputs } from "./runtime.js";

interface Read {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** What the reference says: see damaged/record.py. */
  readonly reference: string;
  /** What is read here, or why nothing is. */
  readonly decoded: OnnxModel | Error;
  readonly model: Awaited<ReturnType<typeof fromOnnx>>["model"] | Error;
}

const files = damagedFiles();
const recorded: { digest: string; verdicts: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync(new URL("damaged/recorded.json", import.meta.url), "utf8"),
);
const all: Read[] = [];

beforeAll(async () => {
  const wire = await wireLibrary("test");
  const caught = (error: unknown) => error as Error;
  const tried = (bytes: Uint8Array): OnnxModel | Error => {
    try {
      return decodeModel("test", wire, bytes);
    } catch (error) {
      return error as Error;
    }
  };
  for (const { name, bytes } of files) {
    const model = await fromOnnx(bytes).then((made) => made.model, caught);
    all.push({ name, bytes, reference: recorded.verdicts[name] ?? "none", decoded: tried(bytes), model });
  }
});

const isLoaded = ({ model }: Read): boolean => !(model instanceof Error);
const wordOf = ({ reference }: Read): string => (/^\w+(?= )|^bytes$|^values$/.exec(reference) ?? ["valid"])[0];

test("the verdicts are those of these files", () => {
  expect(digestOfFiles(files), "run /usr/bin/python3 test/onnx/damaged/record.py").toBe(recorded.digest);
  expect(all.filter((one) => wordOf(one) === "bytes").length).toBeGreaterThan(200);
  expect(all.filter((one) => wordOf(one) === "valid" && isLoaded(one)).length).toBeGreaterThan(100);
});

test("errors are those of the library", () => {
  const errors = all.map(({ model }) => model).filter((model) => model instanceof Error);
  expect(errors.filter((error) => !(error instanceof FormatError || error instanceof ModelError))).toEqual([]);
});

test("what the parser refuses, and tensors whose elements do not fit, are no file here either", () => {
  const refused = all.filter((one) => ["bytes", "values"].includes(wordOf(one)));
  expect(refused.filter(({ model }) => !(model instanceof FormatError)).map(({ name }) => name)).toEqual([]);
});

/** What the parser reads, and is no file here, and why. */
const STRICTER: readonly (readonly [words: RegExp, why: string])[] = [
  [
    /must be stored as one, got wire type|must have a length, got wire type/,
    "of another type a field is unknown there",
  ],
  [/text must be UTF-8/, "texts are bytes there"],
  [/a message must be there once/, "two of a message are merged there"],
  [
    /elements must be of a type that is known here/,
    "complex numbers, or none, and numbers beyond 32 bits are cut there",
  ],
  [/elements of ".*" must be in the one field/, "other fields are left aside there: onnx.checker refuses them"],
  [/attributes must have names of their own/, "onnx.checker refuses it"],
  [
    /the attribute ".*" must (have a type|hold what its type says)/,
    "an unknown type is none there; onnx.checker refuses none",
  ],
  [/the version of the format must be at least 3/, "onnx.checker refuses none"],
];

test("what both read holds the same; where less is read here, it is by a rule", () => {
  const read = all.filter((one) => !["bytes", "values"].includes(wordOf(one)));
  const used = new Set<number>();
  const wrong = read.filter(({ decoded, reference }) => {
    if (!(decoded instanceof Error)) return reference.split(" ").at(-1) !== digestOf(decoded);
    const rule = STRICTER.findIndex(([words]) => words.test(decoded.message));
    used.add(rule);
    return rule < 0;
  });
  expect(wrong.map(({ name, decoded }) => [name, `${decoded instanceof Error ? decoded : "other contents"}`])).toEqual(
    [],
  );
  expect([...used].sort()).toEqual([...STRICTER.keys()]);
});

/** What onnx.checker refuses, and is a model here, and why. */
const LATER: Readonly<Record<string, string>> = {
  shape: "what the file says of the shapes of its outputs is not needed: they follow from its inputs",
  open: "the same, if it says nothing",
  version: "later versions of the format have the fields that are read here",
};

test("what onnx.checker refuses is no model here, but by a rule", () => {
  const refused = all.filter((one) => wordOf(one) !== "valid");
  const taken = refused.filter((one) => isLoaded(one) && !Object.hasOwn(LATER, wordOf(one)));
  expect(taken.map(({ name }) => name)).toEqual([]);
  const used = new Set(refused.filter(isLoaded).map(wordOf));
  expect([...used].sort()).toEqual(Object.keys(LATER).sort());
});

/** What all others take, and is no model here: it has no operation for it, or it would mean nothing. */
const UNSUPPORTED: readonly RegExp[] = [
  /sizes of the input "x" but the batch must be known/,
  /the graph must have inputs and outputs, got none/,
  /inputs, and outputs, must have names of their own/,
  /^fromOnnx: Slice ".*": axis must be from/,
  // Of a hidden size that is not that of the weights.
  /^fromOnnx: LSTM "": split/,
];

test("what is a file for all is a model here, or refused by a rule", () => {
  const valid = all.filter((one) => wordOf(one) === "valid" && !(one.decoded instanceof Error));
  const refused = valid.flatMap(({ name, model }) => (model instanceof Error ? [{ name, text: model.message }] : []));
  const wrong = refused.filter(({ text }) => !UNSUPPORTED.some((words) => words.test(text)));
  expect(wrong).toEqual([]);
  expect(UNSUPPORTED.filter((words) => !refused.some(({ text }) => words.test(text)))).toEqual([]);
});

test.skipIf(!hasRuntimes)("what all take begins with the same values and predicts the same", async () => {
  const engine = await createEngine({ background: false, threads: 1 });
  const random = createRandom(5).uniform;
  const refused: string[] = [];
  for (const one of all) {
    const { name, bytes, model, decoded } = one;
    if (wordOf(one) !== "valid" || model instanceof Error || decoded instanceof Error) continue;
    const { inputs, outputs, initializers } = decoded.graph;
    const trainer = compileSync(model as never, { engine });
    for (const [path, { data }] of trainer.parameters())
      expect(data, `${name}: ${path}`).toEqual(initializers.find((weight) => weight.name === path)?.data);
    const [{ shape, dtype }] = (model as unknown as AnyModel).inputs;
    const { x } = randomInputs(model as unknown as AnyModel, 2, random);
    const found = trainer.predictSync(x as never) as unknown as Float32Array;
    trainer.dispose();
    const input = inputs.find((port) => !initializers.some((weight) => weight.name === port.name));
    const compare = async ({ run }: Opened) => {
      const given = await run({ [input?.name ?? ""]: feedOf(x, [2, ...shape], dtype) });
      const values = Array.from(given.get(outputs[0].name)?.data ?? [], Number);
      expect(farthest(found, values), name).toBeLessThan(1e-5);
    };
    await eachRuntime(bytes, compare, ["onnxruntime-node"]).catch((error: Error) => {
      if (!error.message.startsWith("Type Error: ")) throw error;
      refused.push(name);
    });
  }
  engine.dispose();
  // Floats of 16 and of 32 bits in one sum: all are of 32 here.
  expect(refused).toEqual(["forms, fields 36"]);
});
