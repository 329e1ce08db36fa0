// Checked without the types of pages and of Node: all that the package's types need comes along.
import { adam, compile, crossEntropy, dense, relu, sequential } from "steepest";
import { compileFunction, square } from "steepest/graph";
import { compileSync, createEngineSync } from "steepest/inline";
import { decodeWeights, encodeWeights } from "steepest/io";

const model = sequential({ input: [4] }, dense(8), relu(), dense(3));
const trainer = await compile(model, { loss: crossEntropy(), optimizer: adam() });
const data = { x: new Float32Array(40), y: new Uint8Array(10) };
// A signal of whatever kind the host has.
const signal = {
  aborted: false,
  throwIfAborted(): void {},
  addEventListener(_type: "abort", _listener: () => void): void {},
  removeEventListener(_type: "abort", _listener: () => void): void {},
};
for await (const { loss } of trainer.fit(data, { signal })) if (loss < 0) throw new Error("a negative loss");
decodeWeights(trainer, encodeWeights(trainer));
const f = await compileFunction(({ x }) => ({ y: square(x) }), { x: [2] });
const engine = createEngineSync();
using other = compileSync(model, { loss: crossEntropy(), optimizer: adam(), engine });

export const y: Float32Array = f({ x: [1, 2] }).y;
export { other };
