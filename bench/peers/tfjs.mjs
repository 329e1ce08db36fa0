// TensorFlow.js as a peer, its core operations with tf.train optimizers. Argument: the backend, "wasm" or "cpu".
import { dirname, join } from "node:path";
import {
  LeftOut,
  oneHot,
  partOf,
  repeatingSession,
  require,
  serve,
  trainingSession,
  transformerParts,
  transformerShapes,
  versionOf,
} from "./serve.mjs";

const backend = process.argv[2];
// It recommends its Node package each time.
console.warn = () => {};
const tf = require("@tensorflow/tfjs");
if (backend === "wasm") {
  const { setWasmPaths } = require("@tensorflow/tfjs-backend-wasm");
  setWasmPaths(join(dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json")), "dist/"));
  // Not found in Node by itself; threads need browsers' workers.
  tf.env().set("WASM_HAS_SIMD_SUPPORT", true);
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
}
await tf.setBackend(backend);
await tf.ready();

const ACTIVATIONS = { relu: tf.relu, tanh: tf.tanh, sigmoid: tf.sigmoid };
const LOSSES = {
  softmaxCrossEntropy: tf.losses.softmaxCrossEntropy,
  binaryCrossEntropy: tf.losses.sigmoidCrossEntropy,
};
// Epsilon is 1e-7 unless told.
const OPTIMIZERS = { sgd: (rate) => tf.train.sgd(rate), adam: (rate) => tf.train.adam(rate, 0.9, 0.999, 1e-8) };

function tensorsOf({ sizes, initial }) {
  return initial.map((values, i) =>
    tf.tensor(values, i % 2 === 0 ? [sizes[i / 2], sizes[i / 2 + 1]] : [values.length], "float32"),
  );
}

function train(task) {
  const { batch, batches, sizes, loss, hidden } = task;
  const outputs = sizes[sizes.length - 1];
  const targets = loss === "softmaxCrossEntropy" ? oneHot(task.y, outputs) : task.y;
  const split = (values, width) =>
    Array.from({ length: batches }, (_, i) => tf.tensor(partOf(values, batches, i), [batch, width], "float32"));
  const [xs, ys] = [split(task.x, sizes[0]), split(targets, outputs)];
  return sessionOf(task, tensorsOf(task), (variables, i) => {
    let x = xs[i];
    for (let p = 0; p < variables.length; p += 2) {
      if (p > 0) x = ACTIVATIONS[hidden](x);
      x = tf.add(tf.matMul(x, variables[p]), variables[p + 1]);
    }
    return LOSSES[loss](ys[i], x);
  });
}

/** Trains variables that begin as `initial`; `lossOf` them and a batch. */
function sessionOf(task, initial, lossOf) {
  const variables = initial.map((tensor) => tf.variable(tensor));
  let optimizer;
  return trainingSession(task, {
    start() {
      optimizer?.dispose();
      optimizer = OPTIMIZERS[task.optimizer ?? "adam"](task.learningRate);
      variables.forEach((variable, i) => {
        variable.assign(tf.clone(initial[i]));
      });
    },
    step(i) {
      optimizer.minimize(() => lossOf(variables, i), false);
    },
    stepWithLoss(i) {
      const value = optimizer.minimize(() => lossOf(variables, i), true);
      const [number] = value.dataSync();
      value.dispose();
      return number;
    },
  });
}

const CELLS = {
  /** Gates i, f, g, o. */
  lstm(x, [h, c], u) {
    const [i, f, g, o] = tf.split(tf.add(x, tf.matMul(h, u)), 4, 1);
    const cell = tf.add(tf.mul(tf.sigmoid(f), c), tf.mul(tf.sigmoid(i), tf.tanh(g)));
    return [tf.mul(tf.sigmoid(o), tf.tanh(cell)), cell];
  },
  /** Gates r, z, n; the reset comes after the product. */
  gru(x, [h], u, bias) {
    const [xr, xz, xn] = tf.split(x, 3, 1);
    const [hr, hz, hn] = tf.split(tf.add(tf.matMul(h, u), bias), 3, 1);
    const z = tf.sigmoid(tf.add(xz, hz));
    const n = tf.tanh(tf.add(xn, tf.mul(tf.sigmoid(tf.add(xr, hr)), hn)));
    return [tf.add(n, tf.mul(z, tf.sub(h, n)))];
  },
};

/** Of plain JavaScript a step takes a second and more. */
function checkBackend() {
  if (backend === "cpu") throw new LeftOut("a second and more a step: see tfjs-wasm");
}

/** The input's product is one for all steps, as in its own recurrent layers. */
function recurrent(task) {
  checkBackend();
  const { cell, batch, batches, time, inputs, units, classes } = task;
  if (time > MOST_STEPS) throw new LeftOut(`calls of its kernels for ${time} steps take minutes`);
  const width = units * (cell === "lstm" ? 4 : 3);
  const split = (values, shape) =>
    Array.from({ length: batches }, (_, i) => tf.tensor(partOf(values, batches, i), shape, "float32"));
  const [xs, ys] = [split(task.x, [batch * time, inputs]), split(oneHot(task.y, classes), [batch, classes])];
  const biases = cell === "lstm" ? [[width]] : [[width], [width]];
  const shapes = [[inputs, width], [units, width], ...biases, [units, classes], [classes]];
  const initial = task.initial.map((values, i) => tf.tensor(values, shapes[i], "float32"));
  return sessionOf(task, initial, ([weight, u, bias, ...others], i) => {
    const [recurrentBias, dense, denseBias] = cell === "lstm" ? [undefined, ...others] : others;
    const projected = tf.reshape(tf.add(tf.matMul(xs[i], weight), bias), [batch, time, width]);
    let state = [tf.zeros([batch, units]), tf.zeros([batch, units])];
    for (const x of tf.unstack(projected, 1)) state = CELLS[cell](x, state, u, recurrentBias);
    return LOSSES.softmaxCrossEntropy(ys[i], tf.add(tf.matMul(state[0], dense), denseBias));
  });
}

/** Steps that take a reasonable time: each of these is hundreds of calls of its kernels. */
const MOST_STEPS = 64;

/** Of the last axis, with its epsilon of 1e-5. */
function norm(x, weight, bias) {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const scale = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), 1e-5));
  return tf.add(tf.mul(tf.mul(centred, scale), weight), bias);
}

const linear = (x, weight, bias) => tf.add(tf.matMul(x, weight), bias);

/** Rows [batch · time, width] to rows; `attend` makes rows of those of queries, keys and values. */
function block(x, p, attend) {
  const attended = attend(...tf.split(linear(norm(x, p[0], p[1]), p[2], p[3]), 3, 1));
  const y = tf.add(x, linear(attended, p[4], p[5]));
  return tf.add(y, linear(tf.relu(linear(norm(y, p[6], p[7]), p[8], p[9])), p[10], p[11]));
}

/** Rows [batch · time, width] to [batch, heads, time, width / heads], and back. */
const toHeads = (x, { heads, width }, batch) =>
  tf.transpose(tf.reshape(x, [batch, -1, heads, width / heads]), [0, 2, 1, 3]);
const toRows = (x, { width }) => tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [-1, width]);

function attention(q, k, v, { heads, width }, mask) {
  const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(width / heads));
  return tf.matMul(tf.softmax(mask === undefined ? scores : tf.add(scores, mask)), v);
}

const parametersOf = (task) => {
  const shapes = transformerShapes(task);
  return task.initial.map((values, i) => tf.tensor(values, shapes[i], "float32"));
};

function transformer(task) {
  checkBackend();
  const { batch, batches, time, characters, width, blocks } = task;
  const rows = batch * time;
  const rowsOf = (tokens) =>
    Array.from({ length: batches }, (_, i) =>
      tf.tensor2d(oneHot(partOf(tokens, batches, i), characters), [rows, characters]),
    );
  const [xs, ys] = [rowsOf(task.x), rowsOf(task.y)];
  const mask = tf.tensor2d(
    Float32Array.from({ length: time * time }, (_, i) => (i % time > Math.floor(i / time) ? -1e9 : 0)),
    [time, time],
  );
  const attend = (q, k, v) => {
    const [queries, keys, values] = [q, k, v].map((x) => toHeads(x, task, batch));
    return toRows(attention(queries, keys, values, task, mask), task);
  };
  return sessionOf(task, parametersOf(task), (variables, i) => {
    const { words, positions, blocks: parts, last } = transformerParts(variables, blocks);
    // Its WebAssembly has no gradient of an embedding by its rows: a product with zeros and a one in each row.
    const embedded = tf.add(tf.reshape(tf.matMul(xs[i], words), [batch, time, width]), positions);
    let x = tf.reshape(embedded, [rows, width]);
    for (const part of parts) x = block(x, part, attend);
    return LOSSES.softmaxCrossEntropy(ys[i], linear(norm(x, last[0], last[1]), last[2], last[3]));
  });
}

/** Keys and values grow by a row with each character. */
function sample(task) {
  const { time, blocks } = task;
  const { words, positions, blocks: parts, last } = transformerParts(parametersOf(task), blocks);
  let caches = [];
  let position = 0;
  const reset = () => {
    tf.dispose(caches);
    caches = [];
    position = 0;
  };
  const once = () => {
    if (position === time) reset();
    const at = position++;
    const { y, next } = tf.tidy(() => {
      const next = [];
      let x = tf.add(tf.slice(words, [task.x[at], 0], [1, -1]), tf.slice(positions, [at, 0], [1, -1]));
      for (const part of parts) {
        x = block(x, part, (...rows) => {
          const [query, ...added] = rows.map((row) => toHeads(row, task, 1));
          const [keys, values] = added.map((row) => {
            const before = caches[next.length];
            next.push(before === undefined ? row : tf.concat([before, row], 2));
            return next[next.length - 1];
          });
          return toRows(attention(query, keys, values, task), task);
        });
      }
      return { y: tf.softmax(linear(norm(x, last[0], last[1]), last[2], last[3])), next };
    });
    tf.dispose(caches);
    caches = next;
    const values = y.dataSync();
    y.dispose();
    return values;
  };
  const results = () => {
    reset();
    return Array.from({ length: time }, () => [...once()]).flat();
  };
  return { ...repeatingSession({ once, results }), reset };
}

function predict(task) {
  const [w, b, v, c] = tensorsOf(task);
  const once = () => {
    const y = tf.tidy(() => {
      const a = tf.tensor2d(task.x, [1, task.sizes[0]]);
      const hidden = tf.fused.matMul({ a, b: w, bias: b, activation: "relu" });
      return tf.softmax(tf.fused.matMul({ a: hidden, b: v, bias: c }));
    });
    const values = y.dataSync();
    y.dispose();
    return values;
  };
  return repeatingSession({ once, results: once });
}

function product({ n, a, b }) {
  const [left, right] = [tf.tensor(a, [n, n]), tf.tensor(b, [n, n])];
  return repeatingSession({
    once: () => tf.matMul(left, right).dispose(),
    results: () => tf.matMul(left, right).dataSync(),
  });
}

await serve(versionOf("@tensorflow/tfjs"), { train, recurrent, transformer, sample, predict, product });
