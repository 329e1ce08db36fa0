// Numbers instead of classes: how far will a patient's diabetes have progressed in a year?
import { adamW, compile, dense, meanSquaredError, relu, sequential } from "steepest";
import { readCsv } from "steepest/data";
import { meanAbsoluteError, rSquared } from "steepest/metrics";

const file = new URL("../data/diabetes.csv", import.meta.url);
const data = await readCsv(file, { target: "progression", columns: { sex: { oneHot: true } }, seed: 1 });
const model = sequential({ input: data.inputShape }, dense(16), relu(), dense(1));
const trainer = await compile(model, { loss: meanSquaredError(), optimizer: adamW({ weightDecay: 0.1 }), seed: 1 });
await trainer.fit(data.training, { epochs: 40, batchSize: 16, validation: data.validation });
const [answers, truth] = [await trainer.predict(data.test.x), data.test.y].map((y) =>
  data.transform.decode(y).map(Number),
);
export const score = rSquared(answers, truth);
console.log(`R² ${score.toFixed(2)}, off by ${meanAbsoluteError(answers, truth).toFixed(0)} of 25 to 346`);
trainer.dispose();
