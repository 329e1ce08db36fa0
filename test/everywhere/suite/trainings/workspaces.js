// Steps of one's own in a workspace: two optimizers in turn, and a gradient within a loss.
import { BATCH, CLASSES, FEATURES, IMAGE, images, SAMPLES, values, x } from "./ways.js";

const CODE = 16;

/** A batch of these samples, another one each step. */
function batchOf(samples, size, step) {
  const from = (step * 48) % (SAMPLES - BATCH);
  return samples.subarray(from * size, (from + BATCH) * size);
}

/**
 * Each: `models`, whose parameters are compared; `open`, which compiles the steps and gives `train` as other trainings
 * have it, and what the models then compute; `parts`; and whether it goes on from the models' parameters alone.
 */
export function describeWorkspaces(steepest, graph) {
  return {
    "two optimizers in turn": adversaries(steepest, graph),
    "gradient of a gradient": penalized(steepest, graph),
  };
}

/** A generator and a critic whose slope is to be 1 (Gulrajani et al. 2017). */
function adversaries({ adam, dense, relu, sequential, sgd, softplus, tanh }, graph) {
  const { add, gradient, mean, mul, norm, randomNormal, randomUniform, scale, shift, square, sub, sum } = graph;
  const generator = sequential({ input: [CODE], name: "generator" }, dense(256), relu(), dense(FEATURES), tanh());
  const critic = sequential(
    { input: [FEATURES], name: "critic" },
    dense(256),
    softplus(),
    dense(256),
    tanh(),
    dense(1),
  );
  const generate = ({ apply, randomness }) => apply(randomNormal([BATCH, CODE], randomness()), generator);
  const open = (workspace) => {
    const judge = workspace.step(
      ({ real }, scope) => {
        const made = graph.stopGradient(generate(scope));
        const share = randomUniform([BATCH, 1], scope.randomness());
        const mixed = add(mul(real, share), mul(made, sub(1, share)));
        const slope = gradient(sum(scope.apply(mixed, critic)), mixed);
        const penalty = mean(square(shift(norm(slope, 1), -1)));
        const difference = sub(mean(scope.apply(made, critic)), mean(scope.apply(real, critic)));
        return { loss: add(difference, scale(penalty, 10)), penalty };
      },
      { inputs: { real: [BATCH, FEATURES] }, train: critic, optimizer: adam({ learningRate: 0.002, beta1: 0.5 }) },
    );
    const make = workspace.step((_, scope) => ({ loss: scale(mean(scope.apply(generate(scope), critic)), -1) }), {
      inputs: {},
      train: generator,
      optimizer: sgd({ learningRate: 0.01, momentum: 0.9 }),
    });
    const look = workspace.step((_, scope) => ({ made: generate(scope) }), { inputs: {} });
    const train = (begin, end) => {
      const numbers = [];
      for (let step = begin; step < end; step++) {
        const { loss, penalty } = judge({ real: batchOf(x, FEATURES, step) });
        numbers.push(loss[0], penalty[0]);
        if (step % 2 === 1) numbers.push(make({}).loss[0]);
      }
      return numbers;
    };
    return { train, compute: () => look({}).made };
  };
  return { models: [generator, critic], open, parts: 6, resumes: false };
}

/** A network for images whose answer is to change little with them. Neither randomness nor an optimizer with memory. */
function penalized({ conv2d, dense, flatten, gelu, sequential, sgd, tanh }, graph) {
  const { add, gradient, mean, scale, square, sub, sum } = graph;
  const layers = [conv2d(16, 3, { stride: 2 }), tanh(), conv2d(24, 3, { groups: 2 }), gelu(), flatten()];
  const model = sequential({ input: IMAGE, name: "smooth" }, ...layers, dense(320), tanh(), dense(CLASSES));
  const inputs = { picture: [BATCH, ...IMAGE] };
  const open = (workspace) => {
    const step = workspace.step(
      ({ picture, target }, { apply }) => {
        const y = apply(picture, model);
        const slope = mean(square(gradient(sum(square(y)), picture)));
        return { loss: add(mean(square(sub(y, target))), scale(slope, 0.5)), slope };
      },
      { inputs: { ...inputs, target: [BATCH, CLASSES] }, train: model, optimizer: sgd({ learningRate: 0.05 }) },
    );
    const look = workspace.step(({ picture }, { apply }) => ({ y: apply(picture, model) }), { inputs });
    const size = images.length / SAMPLES;
    const train = (begin, end) => {
      const numbers = [];
      for (let part = begin; part < end; part++) {
        const { loss, slope } = step({ picture: batchOf(images, size, part), target: batchOf(values, CLASSES, part) });
        numbers.push(loss[0], slope[0]);
      }
      return numbers;
    };
    return { train, compute: () => look({ picture: batchOf(images, size, 0) }).y };
  };
  return { models: [model], open, parts: 4, resumes: true };
}
