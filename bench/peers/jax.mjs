// @jax-js/jax as a peer: a whole training step is one jit. Arrays are owned: each use takes one, `ref` makes another.
import { defaultDevice, init, jit, nn, numpy as np, valueAndGrad } from "@jax-js/jax";
import {
  LeftOut,
  oneHot,
  partOf,
  repeatingSession,
  serve,
  trainingSession,
  transformerParts,
  transformerShapes,
  versionOf,
} from "./serve.mjs";

await init("wasm");
defaultDevice("wasm");

const ACTIVATIONS = { relu: nn.relu, tanh: np.tanh, sigmoid: nn.sigmoid };
const LOSSES = {
  softmaxCrossEntropy: (z, y) => nn.logSoftmax(z).mul(y).sum(-1).mean().neg(),
  // -ln sigmoid(z) where the target is 1, -ln sigmoid(-z) where it is 0
  binaryCrossEntropy: (z, y) => {
    const right = np.log(nn.sigmoid(z.ref)).mul(y.ref);
    const wrong = np.log(nn.sigmoid(z.neg())).mul(np.array(1).sub(y));
    return right.add(wrong).mean().neg();
  },
};
const [DECAY, SQUARE_DECAY, EPSILON] = [0.9, 0.999, 1e-8];

const array = (values, shape) => np.array(values).reshape(shape);
const arraysOf = ({ sizes, initial }) =>
  initial.map((values, i) => array(values, i % 2 === 0 ? [sizes[i / 2], sizes[i / 2 + 1]] : [values.length]));
const refs = (arrays) => arrays.map(({ ref }) => ref);
const dispose = (arrays) => {
  for (const one of arrays) one.dispose();
};

function forward(parameters, x, activation) {
  for (let i = 0; i < parameters.length; i += 2) {
    x = np.matmul(i === 0 ? x : activation(x), parameters[i]).add(parameters[i + 1]);
  }
  return x;
}

/** (parameters, x, y) → the loss and the new parameters, in one compiled function. */
function sgdStep(lossOf, rate) {
  return jit((p, x, y) => {
    const [loss, gradients] = valueAndGrad(lossOf)(refs(p), x, y);
    return { loss, p: p.map((value, i) => value.sub(gradients[i].mul(rate))) };
  });
}

/** Kingma & Ba 2015, algorithm 1; `rate` and `scale` hold the corrections of the moments. */
function adamStep(lossOf) {
  return jit((p, m, v, rate, scale, x, y) => {
    const [loss, gradients] = valueAndGrad(lossOf)(refs(p), x, y);
    const next = { loss, p: [], m: [], v: [] };
    p.forEach((value, i) => {
      const gradient = gradients[i];
      const mean = m[i].mul(DECAY).add(gradient.ref.mul(1 - DECAY));
      const square = v[i].mul(SQUARE_DECAY).add(gradient.ref.mul(gradient).mul(1 - SQUARE_DECAY));
      const root = np.sqrt(square.ref).mul(scale.ref).add(EPSILON);
      next.p.push(value.sub(mean.ref.mul(rate.ref).div(root)));
      next.m.push(mean);
      next.v.push(square);
    });
    dispose([rate, scale]);
    return next;
  });
}

function train(task) {
  const { batch, batches, sizes, loss, hidden, optimizer } = task;
  const outputs = sizes[sizes.length - 1];
  const targets = loss === "softmaxCrossEntropy" ? oneHot(task.y, outputs) : task.y;
  const [xs, ys] = [split(task.x, batches, [batch, sizes[0]]), split(targets, batches, [batch, outputs])];
  const lossOf = (p, x, y) => LOSSES[loss](forward(p, x, ACTIVATIONS[hidden]), y);
  return sessionOf(task, { initial: () => arraysOf(task), xs, ys, lossOf, optimizer });
}

const split = (values, batches, shape) =>
  Array.from({ length: batches }, (_, i) => array(partOf(values, batches, i).slice(), shape));

function sessionOf(task, { initial, xs, ys, lossOf, optimizer = "adam" }) {
  const { learningRate } = task;
  const step = optimizer === "sgd" ? sgdStep(lossOf, learningRate) : adamStep(lossOf);
  let state;
  let steps = 0;
  const advance = (i) => {
    const [x, y] = [xs[i].ref, ys[i].ref];
    steps += 1;
    if (optimizer === "sgd") {
      state = step(state.p, x, y);
    } else {
      const rate = np.array(learningRate / (1 - DECAY ** steps));
      const scale = np.array(1 / Math.sqrt(1 - SQUARE_DECAY ** steps));
      state = step(state.p, state.m, state.v, rate, scale, x, y);
    }
    // Reading the loss makes it compute the step.
    return state.loss.dataSync()[0];
  };
  return trainingSession(task, {
    start() {
      if (state !== undefined) dispose([...state.p, ...(state.m ?? []), ...(state.v ?? [])]);
      steps = 0;
      const p = initial();
      const zeros = () => p.map((value) => np.zerosLike(value.ref));
      state = optimizer === "sgd" ? { p } : { p, m: zeros(), v: zeros() };
    },
    step: advance,
    stepWithLoss: advance,
  });
}

const CELLS = {
  /** Gates i, f, g, o. */
  lstm(x, [h, c], u) {
    const [i, f, g, o] = np.split(x.add(np.matmul(h, u)), 4, 1);
    const cell = nn
      .sigmoid(f)
      .mul(c)
      .add(nn.sigmoid(i).mul(np.tanh(g)));
    return [nn.sigmoid(o).mul(np.tanh(cell.ref)), cell];
  },
  /** Gates r, z, n; the reset comes after the product. */
  gru(x, [h], u, bias) {
    const [xr, xz, xn] = np.split(x, 3, 1);
    const [hr, hz, hn] = np.split(np.matmul(h.ref, u).add(bias), 3, 1);
    const z = nn.sigmoid(xz.add(hz));
    const n = np.tanh(xn.add(nn.sigmoid(xr.add(hr)).mul(hn)));
    return [n.ref.add(z.mul(h.sub(n)))];
  },
};

/** Steps that are compiled in reasonable time: it has no loop over them, so each is compiled. */
const MOST_STEPS = 64;

/** The input's product is one for all steps. */
function recurrent(task) {
  const { cell, batch, batches, time, inputs, units, classes } = task;
  if (time > MOST_STEPS) throw new LeftOut(`it has no loop over time, and would compile ${time} steps`);
  const width = units * (cell === "lstm" ? 4 : 3);
  const biases = cell === "lstm" ? [[width]] : [[width], [width]];
  const shapes = [[inputs, width], [units, width], ...biases, [units, classes], [classes]];
  const initial = () => task.initial.map((values, i) => array(values, shapes[i]));
  const xs = split(task.x, batches, [batch * time, inputs]);
  const ys = split(oneHot(task.y, classes), batches, [batch, classes]);
  const lossOf = ([weight, u, bias, ...others], x, y) => {
    const [recurrentBias, dense, denseBias] = cell === "lstm" ? [undefined, ...others] : others;
    const projected = np.matmul(x, weight).add(bias).reshape([batch, time, width]);
    let state = cell === "lstm" ? [np.zeros([batch, units]), np.zeros([batch, units])] : [np.zeros([batch, units])];
    for (const part of np.unstack(projected, 1)) state = CELLS[cell](part, state, u.ref, recurrentBias?.ref);
    const [last, ...unused] = state;
    dispose([...unused, u, ...(recurrentBias === undefined ? [] : [recurrentBias])]);
    return LOSSES.softmaxCrossEntropy(np.matmul(last, dense).add(denseBias), y);
  };
  return sessionOf(task, { initial, xs, ys, lossOf });
}

/** Its `einsum`, on which attention is built, calls `map` of an iterator. */
function checkAttention() {
  if (globalThis.Iterator?.prototype.map === undefined) {
    throw new LeftOut("its attention needs the methods of iterators, which Node has from 22 on");
  }
}

const norm = (x, weight, bias) => nn.standardize(x, -1).mul(weight).add(bias);
const linear = (x, weight, bias) => np.matmul(x, weight).add(bias);

/** Rows [batch · time, width] to rows; `attend` makes rows of those of queries, keys and values. */
function block(x, p, attend) {
  const attended = attend(...np.split(linear(norm(x.ref, p[0], p[1]), p[2], p[3]), 3, 1));
  const y = x.add(linear(attended, p[4], p[5]));
  return y.ref.add(linear(nn.relu(linear(norm(y, p[6], p[7]), p[8], p[9])), p[10], p[11]));
}

const parametersOf = (task) => {
  const shapes = transformerShapes(task);
  return task.initial.map((values, i) => array(values, shapes[i]));
};

function transformer(task) {
  checkAttention();
  const { batch, batches, time, characters, width, heads, blocks } = task;
  const rows = batch * time;
  const xs = split(oneHot(task.x, characters), batches, [rows, characters]);
  const ys = split(oneHot(task.y, characters), batches, [rows, characters]);
  const headsOf = (x) => x.reshape([batch, time, heads, width / heads]);
  const attend = (q, k, v) =>
    nn.dotProductAttention(headsOf(q), headsOf(k), headsOf(v), { isCausal: true }).reshape([rows, width]);
  const lossOf = (p, x, y) => {
    const { words, positions, blocks: parts, last } = transformerParts(p, blocks);
    // An embedding by its rows has no gradient here: a product with zeros and a one in each row does.
    let rowsOf = np.matmul(x, words).reshape([batch, time, width]).add(positions).reshape([rows, width]);
    for (const part of parts) rowsOf = block(rowsOf, part, attend);
    return LOSSES.softmaxCrossEntropy(linear(norm(rowsOf, last[0], last[1]), last[2], last[3]), y);
  };
  return sessionOf(task, { initial: () => parametersOf(task), xs, ys, lossOf });
}

/** One compiled function for all positions: keys and values of all of them, those to come hidden by a mask. */
function sample(task) {
  checkAttention();
  const { time, width, heads, blocks } = task;
  const shape = [time, heads, width / heads];
  const parameters = parametersOf(task);
  const step = jit((p, caches, token, at) => {
    const { words, positions, blocks: parts, last } = transformerParts(p, blocks);
    const order = np.arange(0, time).astype(np.int32);
    const here = np.equal(order.ref, at.ref).reshape([time, 1, 1]);
    const seen = np.lessEqual(order, at.ref).reshape([1, 1, time]);
    const next = [];
    let x = np
      .take(words, token, 0)
      .add(np.take(positions, at, 0))
      .reshape([1, width]);
    parts.forEach((part, i) => {
      x = block(x, part, (q, k, v) => {
        const [keys, values] = [k, v].map((rows, which) =>
          np.where(here.ref, rows.reshape([1, ...shape.slice(1)]), caches[2 * i + which]),
        );
        next.push(keys.ref, values.ref);
        const query = q.reshape([1, ...shape.slice(1)]);
        return nn.dotProductAttention(query, keys, values, { mask: seen.ref }).reshape([1, width]);
      });
    });
    dispose([here, seen]);
    const logits = linear(norm(x, last[0], last[1]), last[2], last[3]);
    return { probabilities: nn.softmax(logits, -1), caches: next };
  });
  const integer = (value) => np.array([value], { dtype: np.int32 });
  let caches = Array.from({ length: 2 * blocks }, () => np.zeros(shape));
  let position = 0;
  const once = () => {
    const at = position % time;
    position += 1;
    const answer = step(refs(parameters), caches, integer(task.x[at]), integer(at));
    caches = answer.caches;
    return answer.probabilities.dataSync();
  };
  const reset = () => {
    position = 0;
  };
  const results = () => {
    reset();
    return Array.from({ length: time }, () => [...once()]).flat();
  };
  return { ...repeatingSession({ once, results }), reset };
}

function predict(task) {
  const parameters = arraysOf(task);
  const compiled = jit((x, w, b, v, c) => nn.softmax(forward([w, b, v, c], x, nn.relu), -1));
  const once = () => compiled(array(task.x, [1, task.sizes[0]]), ...refs(parameters)).dataSync();
  return repeatingSession({ once, results: once });
}

function product({ n, a, b }) {
  const [left, right] = [array(a, [n, n]), array(b, [n, n])];
  const multiply = jit((x, y) => np.matmul(x, y));
  return repeatingSession({
    async once() {
      const c = multiply(left.ref, right.ref);
      await c.blockUntilReady();
      c.dispose();
    },
    results: () => multiply(left.ref, right.ref).dataSync(),
  });
}

await serve(versionOf("@jax-js/jax"), { train, recurrent, transformer, sample, predict, product });
