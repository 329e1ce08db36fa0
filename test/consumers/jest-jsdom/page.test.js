// Under jsdom: the entries for browsers, by require(), in a world without TextDecoder, setImmediate and workers.
const { writeFileSync } = require("node:fs");
const steepest = require("steepest");
const { compileFunctionSync, square } = require("steepest/graph");
const { decodeWeights, encodeWeights, FormatError } = require("steepest/io");
const { train } = require("./training.cjs");

test("trains to Node's bits", async () => {
  expect(document.body).toBeDefined();
  writeFileSync("result.json", JSON.stringify(await train(steepest, { threads: 1 })));
});

test("operations, and weights as bytes", async () => {
  const f = compileFunctionSync(({ x }) => ({ y: square(x) }), { x: [2] });
  expect([...f({ x: [2, 3] }).y]).toEqual([4, 9]);
  const make = (seed) =>
    steepest.compile(steepest.sequential({ input: [2] }, steepest.dense(3)), {
      loss: steepest.crossEntropy(),
      optimizer: steepest.adam(),
      seed,
    });
  const [one, two] = [await make(1), await make(2)];
  const { metadata } = decodeWeights(two, encodeWeights(one, { name: "Jäger 🦌" }));
  expect(metadata.name).toBe("Jäger 🦌");
  expect([...two.parameters().get("0.weight").data]).toEqual([...one.parameters().get("0.weight").data]);
  expect(() => decodeWeights(two, new Uint8Array(3))).toThrow(FormatError);
});
