// A multilayer perceptron in plain JavaScript, as fast as careful code gets: the baseline that steepest is compared
// with. Typed arrays, all of them allocated once; blocked products; no transposes; a step is one call.
import { activate, deactivate, type HiddenActivation } from "./activations.js";
import { type DenseSizes, denseBackwardInputs, denseBackwardParameters, denseForward } from "./dense.js";
import { type LossName, losses, softmax, type Targets } from "./losses.js";

export type OptimizerName = "sgd" | "adam";

export interface NetworkOptions {
  /** Inputs, units of each hidden layer, outputs. */
  readonly sizes: readonly number[];
  readonly hidden: HiddenActivation;
  readonly loss: LossName;
  readonly batch: number;
  readonly optimizer: OptimizerName;
  readonly learningRate: number;
}

export interface Network {
  /** Weight [inputs, units] and bias [units] of each layer in turn. */
  readonly parameters: readonly Float32Array[];
  /** Of the last step or call of gradients(), in the order of the parameters. */
  readonly gradients: readonly Float32Array[];
  /** Loss of x [batch, inputs] with the gradients computed, and the parameters left alone. */
  computeGradients(x: Float32Array, targets: Targets): number;
  /** One step of the optimizer; returns the loss before it. */
  trainStep(x: Float32Array, targets: Targets): number;
  /** Probabilities: x [batch, inputs] → [batch, outputs], valid until the next call. */
  predict(x: Float32Array): Float32Array;
  /** Sets all parameters, and the optimizer back to its start. */
  reset(parameters: readonly Float32Array[]): void;
}

/** A layer: its sizes, its parameters and its buffers. */
interface DenseLayer extends DenseSizes {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly dweight: Float32Array;
  readonly dbias: Float32Array;
  /** [batch, units]: activations; in the last layer logits, and then their gradient. */
  readonly output: Float32Array;
  /** [batch, units]: gradient of the output; the last layer's is the output itself. */
  readonly doutput: Float32Array;
}

/** All parameters behind one another, so that an optimizer's step is one loop; and their gradients likewise. */
interface Blocks {
  readonly parameters: Float32Array;
  readonly gradients: Float32Array;
}

function createLayers(sizes: readonly number[], batch: number): Blocks & { layers: DenseLayer[] } {
  const length = sizes.slice(1).reduce((sum, units, i) => sum + (sizes[i] + 1) * units, 0);
  const parameters = new Float32Array(length);
  const gradients = new Float32Array(length);
  let end = 0;
  const layers = sizes.slice(1).map((units, i) => {
    const start = end;
    const middle = start + sizes[i] * units;
    end = middle + units;
    const output = new Float32Array(batch * units);
    return {
      batch,
      inputs: sizes[i],
      units,
      weight: parameters.subarray(start, middle),
      bias: parameters.subarray(middle, end),
      dweight: gradients.subarray(start, middle),
      dbias: gradients.subarray(middle, end),
      output,
      doutput: i === sizes.length - 2 ? output : new Float32Array(batch * units),
    };
  });
  return { parameters, gradients, layers };
}

export function createNetwork(options: NetworkOptions): Network {
  const { sizes, batch } = options;
  const blocks = createLayers(sizes, batch);
  const { layers } = blocks;
  const last = layers[layers.length - 1];
  const parameters = layers.flatMap((layer) => [layer.weight, layer.bias]);
  const optimizer = createOptimizer(options, blocks);
  const activateHidden = activate[options.hidden];
  const deactivateHidden = deactivate[options.hidden];
  const lossOf = losses[options.loss];

  const forward = (x: Float32Array): void => {
    let input = x;
    for (const layer of layers) {
      denseForward(layer.output, input, layer.weight, layer.bias, layer);
      if (layer !== last) activateHidden(layer.output, layer.output);
      input = layer.output;
    }
  };
  const backward = (x: Float32Array): void => {
    for (let i = layers.length - 1; i > 0; i--) {
      const layer = layers[i];
      const below = layers[i - 1];
      denseBackwardParameters(layer.dweight, layer.dbias, below.output, layer.doutput, layer);
      denseBackwardInputs(below.doutput, layer.doutput, layer.weight, layer);
      deactivateHidden(below.doutput, below.output);
    }
    const [first] = layers;
    denseBackwardParameters(first.dweight, first.dbias, x, first.doutput, first);
  };
  const computeGradients = (x: Float32Array, targets: Targets): number => {
    forward(x);
    const loss = lossOf(last.output, targets, batch);
    backward(x);
    return loss;
  };
  return {
    parameters,
    gradients: layers.flatMap((layer) => [layer.dweight, layer.dbias]),
    computeGradients,
    trainStep(x, targets) {
      const loss = computeGradients(x, targets);
      optimizer.step();
      return loss;
    },
    predict(x) {
      forward(x);
      if (options.loss === "softmaxCrossEntropy") softmax(last.output, batch);
      else activate.sigmoid(last.output, last.output);
      return last.output;
    },
    reset(values) {
      parameters.forEach((parameter, i) => {
        parameter.set(values[i]);
      });
      optimizer.reset();
    },
  };
}

interface OptimizerState {
  step(): void;
  reset(): void;
}

export function createOptimizer(
  { optimizer, learningRate }: Pick<NetworkOptions, "optimizer" | "learningRate">,
  { parameters, gradients }: Blocks,
): OptimizerState {
  if (optimizer === "sgd") return { step: () => descend(parameters, gradients, learningRate), reset() {} };
  const first = new Float32Array(parameters.length);
  const second = new Float32Array(parameters.length);
  let steps = 0;
  return {
    step() {
      steps += 1;
      const rate = learningRate / (1 - 0.9 ** steps);
      const scale = 1 / Math.sqrt(1 - 0.999 ** steps);
      descendAdam(parameters, gradients, first, second, rate, scale);
    },
    reset() {
      steps = 0;
      first.fill(0);
      second.fill(0);
    },
  };
}

function descend(p: Float32Array, g: Float32Array, rate: number): void {
  for (let i = 0; i < p.length; i++) p[i] -= rate * g[i];
}

/** Kingma & Ba 2015, algorithm 1, with its default decays; `rate` and `scale` hold the corrections of the moments. */
function descendAdam(
  p: Float32Array,
  g: Float32Array,
  m: Float32Array,
  v: Float32Array,
  rate: number,
  scale: number,
): void {
  for (let i = 0; i < p.length; i++) {
    const gradient = g[i];
    const mean = 0.9 * m[i] + 0.1 * gradient;
    const square = 0.999 * v[i] + 0.001 * gradient * gradient;
    m[i] = mean;
    v[i] = square;
    p[i] -= (rate * mean) / (Math.sqrt(square) * scale + 1e-8);
  }
}
