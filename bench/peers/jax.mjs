// @jax-js/jax as a peer: a whole training step is one jit. Arrays are owned: each use takes one, `ref` makes another.
import { defaultDevice, init, jit, nn, numpy as np, valueAndGrad } from "@jax-js/jax";
import { oneHot, partOf, repeatingSession, serve, trainingSession, versionOf } from "./serve.mjs";

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
  const { batch, batches, sizes, loss, hidden, optimizer, learningRate } = task;
  const outputs = sizes[sizes.length - 1];
  const targets = loss === "softmaxCrossEntropy" ? oneHot(task.y, outputs) : task.y;
  const split = (values, width) =>
    Array.from({ length: batches }, (_, i) => array(partOf(values, batches, i).slice(), [batch, width]));
  const [xs, ys] = [split(task.x, sizes[0]), split(targets, outputs)];
  const lossOf = (p, x, y) => LOSSES[loss](forward(p, x, ACTIVATIONS[hidden]), y);
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
      const p = arraysOf(task);
      const zeros = () => p.map((value) => np.zerosLike(value.ref));
      state = optimizer === "sgd" ? { p } : { p, m: zeros(), v: zeros() };
    },
    step: advance,
    stepWithLoss: advance,
  });
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

await serve(versionOf("@jax-js/jax"), { train, predict, product });
