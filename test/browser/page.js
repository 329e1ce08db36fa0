// The page under test: the package as a static folder serves it, without a bundler.
import * as steepest from "/dist/browser/index.js";
import { train } from "/training.js";

globalThis.trainHere = (options) => train(steepest, options);

globalThis.trainInWorker = (options) =>
  new Promise((resolve, reject) => {
    const worker = new Worker("/worker.js", { type: "module" });
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(options);
  });

/** Counts the page's own tasks while steps of tens of milliseconds are trained. */
globalThis.tasksMeanwhile = async () => {
  const { adam, compile, dense, meanSquaredError, relu, sequential } = steepest;
  const model = sequential({ input: [784] }, dense(512), relu(), dense(512), relu(), dense(10));
  const trainer = await compile(model, { loss: meanSquaredError(), optimizer: adam(), threads: 2 });
  const data = { x: new Float32Array(784 * 512).fill(0.5), y: new Float32Array(5120).fill(1) };
  let tasks = 0;
  const timer = setInterval(() => {
    tasks += 1;
  }, 4);
  const start = performance.now();
  await trainer.trainSteps(data, { steps: 20 });
  const elapsed = performance.now() - start;
  clearInterval(timer);
  trainer.dispose();
  return { tasks, elapsed };
};

document.title = "ready";
