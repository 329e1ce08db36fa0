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

/**
 * Fits over an engine whose first training call goes on for 4096 steps, some milliseconds each, until the page's own timer
 * has come three times and aborts. Returns how often it came while that call ran, and the steps done.
 */
globalThis.timersMeanwhile = async () => {
  const { createEngine, compile, dense, meanSquaredError, relu, sequential, sgd } = steepest;
  const engine = await createEngine();
  const abort = new AbortController();
  let [training, seen] = [false, undefined];
  const runInBackground = async (program, end, steps, ...others) => {
    if (!training || seen !== undefined) return engine.runInBackground(program, end, steps, ...others);
    seen = { ticks: 0, done: 0 };
    const timer = setInterval(() => {
      seen.ticks += 1;
      if (seen.ticks === 3) abort.abort(new Error("enough"));
    }, 1);
    seen.done = await engine.runInBackground(program, end, 4096, ...others);
    clearInterval(timer);
    return steps;
  };
  const watched = Object.create(engine, { runInBackground: { value: runInBackground } });
  const model = sequential({ input: [8] }, dense(1024), relu(), dense(1024), relu(), dense(1));
  const trainer = await compile(model, { loss: meanSquaredError(), optimizer: sgd(), engine: watched });
  const data = { x: new Float32Array(8 * 32 * 5000).fill(0.5), y: new Float32Array(32 * 5000).fill(1) };
  const { background } = trainer;
  training = true;
  let reason;
  try {
    await trainer.fit(data, { epochs: 100, batchSize: 32, shuffle: false, signal: abort.signal });
  } catch (error) {
    reason = error.message;
  }
  engine.dispose();
  return { ...seen, reason, background };
};

document.title = "ready";
