// Elements of two bytes in an ONNX file, as raw bytes and as numbers in a list.
import { PbfReader, PbfWriter } from "pbf";
import { expect, test } from "vitest";
import { decodeModel } from "../../src/onnx/decode.js";
import { ELEMENTS } from "../../src/onnx/schema.js";

const cases = [
  ["float16", [0x3c00, 0xc000, 0x3555, 0x0001], [1, -2, 0.333251953125, 2 ** -24]],
  ["bfloat16", [0x3f80, 0xc000, 0x3eab, 0x0080], [1, -2, 0.333984375, 2 ** -126]],
] as const;

const forms = cases.flatMap((one) => [[...one, "raw"] as const, [...one, "listed"] as const]);

test.each(forms)("%s of %j is %j, %s", (type, bits, expected, form) => {
  const writer = new PbfWriter();
  writer.writeVarintField(1, 8);
  writer.writeMessage(
    7,
    (_, graph) => {
      graph.writeMessage(
        5,
        (_tensor, tensor) => {
          tensor.writePackedVarint(1, [bits.length]);
          tensor.writeVarintField(2, ELEMENTS[type]);
          tensor.writeStringField(8, "w");
          if (form === "listed") tensor.writePackedVarint(5, [...bits]);
          else tensor.writeBytesField(9, new Uint8Array(Uint16Array.from(bits).buffer));
        },
        undefined,
      );
    },
    undefined,
  );
  writer.writeMessage(8, (_, opset) => opset.writeVarintField(2, 17), undefined);
  const { graph } = decodeModel("test", { PbfReader, PbfWriter } as never, new Uint8Array(writer.finish()));
  expect(graph.initializers.map(({ name, dims, data }) => [name, dims, data])).toEqual([
    ["w", [4], Float32Array.from(expected)],
  ]);
});
