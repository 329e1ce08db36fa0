// A TypeScript module. What must be an error says so, so that missing types (`any`) are noticed.
import { adam, compile, crossEntropy, dense, relu, sequential, type Trainer } from "steepest";
import { compileFunction, gradient, input, square, sum, type Tensor } from "steepest/graph";
import { compileSync } from "steepest/inline";
import { loadWeights, parseIdx, saveWeights } from "steepest/io";
import { rocAuc } from "steepest/metrics";
import { createProgressDisplay } from "steepest/progress";
import { choices, gridSearch, search } from "steepest/search";

const model = sequential({ input: [4] }, dense(8), relu(), dense(3));
const options = {
  loss: crossEntropy(),
  optimizer: adam({ learningRate: 1e-3 }),
  metrics: ["accuracy"],
  seed: 1,
} as const;
const trainer: Trainer<"accuracy"> = await compile(model, { ...options, threads: 2 });
const data = { x: new Float32Array(40).fill(0.5), y: new Uint8Array(10) };
const display = await createProgressDisplay<"accuracy">(1);
let last = 0;
for await (const { accuracy, loss } of trainer.fit(data, { epochs: 1, onProgress: display.onProgress })) {
  last = accuracy + loss;
}
await saveWeights(trainer, "esm.safetensors");
await loadWeights(trainer, "esm.safetensors");
const predicted: Float32Array = await trainer.predict(data.x);

const symbol: Tensor = input([2]);
const f = await compileFunction(({ x }) => ({ dx: gradient(sum(square(x)), x) }), { x: [2] });
const { dx } = f({ x: [1, 2] });

const { best } = await search({ rate: choices([1, 0.1]) }, ({ parameters }) => parameters.rate, {
  strategy: gridSearch(),
});
const rate: 1 | 0.1 = best.parameters.rate;
const area: number = rocAuc([0.1, 0.9], [0, 1]);

export function wrong(): void {
  // @ts-expect-error: a number of units
  dense("8");
  // @ts-expect-error: there is no such metric
  compileSync(model, { loss: crossEntropy(), optimizer: adam(), metrics: ["speed"] });
  // @ts-expect-error: bytes, not text
  parseIdx("text");
  // @ts-expect-error: there is no such parameter
  search({ rate: choices([1]) }, ({ parameters }) => parameters.speed, { strategy: gridSearch() });
  // @ts-expect-error: targets are missing
  rocAuc([0.1]);
}

trainer.dispose();

export { area, dx, last, predicted, rate, symbol };
