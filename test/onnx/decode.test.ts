// Elements of two bytes in an ONNX file, as raw bytes and as numbers in a list; and what no file may hold.
import { PbfReader, PbfWriter } from "pbf";
import { expect, test } from "vitest";
import { FormatError } from "../../src/io/formatError.js";
import { decodeModel } from "../../src/onnx/decode.js";
import { ELEMENTS } from "../../src/onnx/schema.js";

const cases = [
  ["float16", [0x3c00, 0xc000, 0x3555, 0x0001], [1, -2, 0.333251953125, 2 ** -24]],
  ["bfloat16", [0x3f80, 0xc000, 0x3eab, 0x0080], [1, -2, 0.333984375, 2 ** -126]],
] as const;

const forms = cases.flatMap((one) => [[...one, "raw"] as const, [...one, "listed"] as const]);

type Write = (writer: PbfWriter) => void;

const message =
  (number: number, ...parts: readonly Write[]): Write =>
  (writer) =>
    writer.writeMessage(number, (_, inner) => parts.forEach((part) => part(inner)), undefined);
const whole =
  (number: number, value: number): Write =>
  (writer) =>
    writer.writeVarintField(number, value);
const text =
  (number: number, value: string): Write =>
  (writer) =>
    writer.writeStringField(number, value);
const raw =
  (bytes: Uint8Array): Write =>
  (writer) =>
    writer.writeBytesField(9, bytes);
const listed =
  (number: number, values: readonly number[]): Write =>
  (writer) =>
    writer.writePackedVarint(number, [...values]);

/** What is read of a file of some fields. */
function read(...parts: readonly Write[]) {
  const writer = new PbfWriter();
  for (const part of [whole(1, 8), message(8, whole(2, 17)), ...parts]) part(writer);
  return decodeModel("test", { PbfReader, PbfWriter } as never, new Uint8Array(writer.finish()));
}

test.each(forms)("%s of %j is %j, %s", (type, bits, expected, form) => {
  const elements = form === "listed" ? listed(5, bits) : raw(new Uint8Array(Uint16Array.from(bits).buffer));
  const tensor = message(5, listed(1, [bits.length]), whole(2, ELEMENTS[type]), text(8, "w"), elements);
  const { graph } = read(message(7, tensor));
  expect(graph.initializers.map(({ name, dims, data }) => [name, dims, data])).toEqual([
    ["w", [4], Float32Array.from(expected)],
  ]);
});

const tensor = (type: keyof typeof ELEMENTS, ...parts: readonly Write[]) =>
  message(7, message(5, listed(1, [2]), whole(2, ELEMENTS[type]), text(8, "w"), ...parts));
const attribute = (...parts: readonly Write[]) => message(5, ...parts);
const node = (...attributes: readonly Write[]) => message(7, message(1, text(4, "Relu"), ...attributes));
const input = (...parts: readonly Write[]) => message(7, message(11, text(1, "x"), ...parts));

/** By the error's words; the other form of each is read. */
const REFUSED: Readonly<Record<string, readonly [wrong: readonly Write[], right: readonly Write[]]>> = {
  "a field must have a number from 1 to 2^29 - 1, got 0": [
    [message(7), whole(0, 1)],
    [message(7), whole(1000, 1)],
  ],
  "a message must be there once, got field 7 twice": [[message(7), message(7)], [message(7)]],
  "the version of the format must be at least 3, got 2": [
    [message(7), whole(1, 2)],
    [message(7), whole(1, 3)],
  ],
  'elements of "w" must be in the one field for int64, got fields 5': [
    [tensor("int64", listed(5, [1, 2]))],
    [tensor("int64", listed(7, [1, 2]))],
  ],
  'elements of "w" must be in the one field for int32, got fields 5,9': [
    [tensor("int32", listed(5, [1, 2]), raw(new Uint8Array(8)))],
    [tensor("int32", raw(new Uint8Array(8)))],
  ],
  'elements of "w" must be int8, got 128': [
    [tensor("int8", listed(5, [1, 128]))],
    [tensor("int8", listed(5, [1, 127]))],
  ],
  'elements of "w" must be bool, got 2': [[tensor("bool", listed(5, [1, 2]))], [tensor("bool", listed(5, [1, 0]))]],
  "elements must be of a type that is known here, got number 0": [
    [message(7, message(5))],
    [tensor("bool", raw(new Uint8Array(2)))],
  ],
  'attributes must have names of their own, got "a"': [
    [node(attribute(text(1, "a"), whole(3, 1), whole(20, 2)), attribute(text(1, "a"), whole(3, 1), whole(20, 2)))],
    [node(attribute(text(1, "a"), whole(3, 1), whole(20, 2)), attribute(text(1, "b"), whole(3, 1), whole(20, 2)))],
  ],
  'the attribute "a" must have a type, got 0': [
    [node(attribute(text(1, "a"), whole(3, 1)))],
    [node(attribute(text(1, "a"), whole(20, 2)))],
  ],
  'the attribute "a" must hold what its type says, got i': [
    [node(attribute(text(1, "a"), whole(3, 1), whole(20, 1)))],
    [node(attribute(text(1, "a"), whole(3, 1), whole(20, 2)))],
  ],
  'inputs and outputs must have a type, got "x"': [[input()], [input(message(2, message(1, whole(1, 1))))]],
  "inputs and outputs must be tensors, got another type": [
    [input(message(2, message(4)))],
    [input(message(2, message(1, whole(1, 1))))],
  ],
};

test.each(Object.entries(REFUSED))("%s", (words, [wrong, right]) => {
  expect(() => read(...wrong)).toThrow(new FormatError(`test: ${words}`));
  expect(() => read(...right)).not.toThrow();
});
