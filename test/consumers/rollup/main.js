// A program that is bundled into one file and moved to where no package is.
import * as steepest from "steepest";
import { compileFunction, sum } from "steepest/graph";
import { decodeWeights, encodeWeights } from "steepest/io";
import { train } from "./training.mjs";

async function main() {
  const f = await compileFunction(({ x }) => ({ y: sum(x) }), { x: [3] });
  if (f({ x: [1, 2, 3] }).y[0] !== 6) throw new Error("wrong sum");
  f.dispose();
  const { dense, meanSquaredError, sequential, sgd } = steepest;
  const options = { loss: meanSquaredError(), optimizer: sgd(), seed: 1 };
  const trainer = await steepest.compile(sequential({ input: [2] }, dense(3)), options);
  decodeWeights(trainer, encodeWeights(trainer));
  trainer.dispose();
  console.log(JSON.stringify(await train(steepest, { threads: 2 })));
}

main();
