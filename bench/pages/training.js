// A page that trains 784-512-512-10 on 10,000 samples, between marks: what each of its tasks takes is seen from outside.
import { adam, compile, crossEntropy, dense, relu, sequential } from "/dist/browser/index.js";

globalThis.trainBetweenMarks = async (options) => {
  const data = {
    x: Float32Array.from({ length: 784 * 10_000 }, (_, i) => (i % 251) / 251),
    y: Uint8Array.from({ length: 10_000 }, (_, i) => i % 10),
  };
  // What the page itself has to do is not meant.
  await new Promise((resolve) => setTimeout(resolve, 200));
  performance.mark("steepest begin");
  const model = sequential({ input: [784] }, dense(512), relu(), dense(512), relu(), dense(10));
  const trainer = await compile(model, { loss: crossEntropy(), optimizer: adam(), metrics: ["accuracy"], ...options });
  let epochs = 0;
  for await (const _ of trainer.fit(data, { epochs: 2, batchSize: 64, onProgress: () => {} })) epochs += 1;
  await new Promise((resolve) => setTimeout(resolve, 0));
  performance.mark("steepest end");
  const { background, threads, build } = trainer;
  trainer.dispose();
  return { background, threads, build, epochs };
};

document.title = "ready";
