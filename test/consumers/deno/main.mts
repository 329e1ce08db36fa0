// A program without a package.json: the package by its specifier, a training of XOR, one with two threads.
import * as steepest from "npm:steepest";
import { adam, binaryCrossEntropy, compile, dense, sequential, tanh } from "npm:steepest";
import { compileFunction, sum } from "npm:steepest/graph";
import { decodeWeights, encodeWeights } from "npm:steepest/io";
import { train } from "./training.mjs";

const f = await compileFunction(({ x }) => ({ y: sum(x) }), { x: [3] });
if (f({ x: [1, 2, 3] }).y[0] !== 6) throw new Error("wrong sum");
f.dispose();

const xor = { x: [0, 0, 0, 1, 1, 0, 1, 1], y: [0, 1, 1, 0] };
const options = { loss: binaryCrossEntropy(), optimizer: adam({ learningRate: 0.05 }), seed: 1 };
const trainer = await compile(sequential({ input: [2] }, dense(8), tanh(), dense(1)), options);
await trainer.trainSteps(xor, { steps: 500 });
decodeWeights(trainer, encodeWeights(trainer));
const found = [...(await trainer.predict(xor.x))].map(Math.round);
if (found.join() !== xor.y.join()) throw new Error(`XOR is ${found}`);
trainer.dispose();

console.log(JSON.stringify(await train(steepest, { threads: 2 })));
