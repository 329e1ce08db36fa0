// From a CSV file to a classifier and its report: is a tumour malignant?
import { adam, compile, crossEntropy, dense, relu, sequential } from "steepest";
import { readCsv } from "steepest/data";
import { classificationReport } from "steepest/metrics";

const file = new URL("../data/breastCancer.csv", import.meta.url);
const data = await readCsv(file, { target: "diagnosis", seed: 1 });
const model = sequential({ input: data.inputShape }, dense(16), relu(), dense(data.classes.length));
const trainer = await compile(model, { loss: crossEntropy(), optimizer: adam({ learningRate: 0.01 }), seed: 1 });
await trainer.fit(data.training, { epochs: 20, batchSize: 32, validation: data.validation });
export const report = await classificationReport(trainer, data.test, { labels: data.classes });
console.log(String(report));
trainer.dispose();
