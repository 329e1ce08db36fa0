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

/** Trains 784-512-512-10 on 10,000 samples, between marks; what each of the page's tasks takes is seen from outside. */
globalThis.trainBetweenMarks = async () => {
  const { adam, compile, crossEntropy, dense, relu, sequential } = steepest;
  const data = {
    x: Float32Array.from({ length: 784 * 10_000 }, (_, i) => (i % 251) / 251),
    y: Uint8Array.from({ length: 10_000 }, (_, i) => i % 10),
  };
  // What the page itself has to do is not meant.
  await new Promise((resolve) => setTimeout(resolve, 200));
  performance.mark("steepest compile");
  const model = sequential({ input: [784] }, dense(512), relu(), dense(512), relu(), dense(10));
  const trainer = await compile(model, { loss: crossEntropy(), optimizer: adam(), metrics: ["accuracy"] });
  await new Promise((resolve) => setTimeout(resolve, 0));
  performance.mark("steepest train");
  let [reports, epochs] = [0, 0];
  const onProgress = () => {
    reports += 1;
  };
  for await (const _ of trainer.fit(data, { epochs: 2, batchSize: 64, onProgress })) epochs += 1;
  await new Promise((resolve) => setTimeout(resolve, 0));
  performance.mark("steepest end");
  const { background } = trainer;
  trainer.dispose();
  return { background, reports, epochs };
};

/** Aborts a fit right after a call of several steps has begun; returns how many steps the call was to do, and did. */
globalThis.abortWithinCall = async () => {
  const { createEngine, compile, dense, meanSquaredError, relu, sequential, sgd } = steepest;
  const engine = await createEngine();
  const abort = new AbortController();
  let call;
  const watched = Object.create(engine, {
    runAway: {
      async value(program, end, steps, ...others) {
        const running = engine.runAway(program, end, steps, ...others);
        const last = steps > 1 && call === undefined;
        if (last) abort.abort(new Error("enough"));
        const done = await running;
        if (last) call = { asked: steps, done };
        return done;
      },
    },
  });
  const model = sequential({ input: [784] }, dense(512), relu(), dense(512), relu(), dense(10));
  const trainer = await compile(model, { loss: meanSquaredError(), optimizer: sgd(), engine: watched });
  const data = { x: new Float32Array(784 * 6400).fill(0.5), y: new Float32Array(64000).fill(1) };
  let reason;
  try {
    // Steps of milliseconds.
    for await (const _ of trainer.fit(data, { epochs: 100, batchSize: 32, signal: abort.signal }));
  } catch (error) {
    reason = error.message;
  }
  engine.dispose();
  return { ...call, reason };
};

document.title = "ready";
