// A multilayer perceptron in plain JavaScript, as fast as careful code gets: the baseline that steepest is compared
// with. Typed arrays, all of them allocated once; blocked products; no transposes; a step is one call.
import { activate, deactivate, type HiddenActivation } from "./activations.js";
import { gemm, type Matrix, rowMajor, transposed } from "./gemm.js";
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

/** One dense layer: its parameters, and its buffers with the matrices that are views of them. */
interface DenseLayer {
  readonly inputs: number;
  readonly units: number;
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly weightGradient: Float32Array;
  readonly biasGradient: Float32Array;
  /** [batch, units]: activations forward, and in the last layer logits and then their gradient. */
  readonly output: Float32Array;
  /** [batch, units]: gradient of the output; the last layer's is the output itself. */
  readonly outputGradient: Float32Array;
  readonly asLeft: Matrix;
  readonly asLeftTransposed: Matrix;
  readonly weightMatrix: Matrix;
  readonly weightTransposed: Matrix;
  readonly gradientMatrix: Matrix;
}

/** All parameters behind one another, so that an optimizer's step is one loop; and their gradients likewise. */
interface Blocks {
  readonly parameters: Float32Array;
  readonly gradients: Float32Array;
  used: number;
}

function createBlocks(sizes: readonly number[]): Blocks {
  const length = sizes.slice(1).reduce((sum, units, i) => sum + (sizes[i] + 1) * units, 0);
  return { parameters: new Float32Array(length), gradients: new Float32Array(length), used: 0 };
}

/** A layer whose parameters, and their gradients, are the next ones in `blocks`. */
function createLayer(inputs: number, units: number, batch: number, last: boolean, blocks: Blocks): DenseLayer {
  const offset = blocks.used;
  const middle = offset + inputs * units;
  blocks.used = middle + units;
  const weight = blocks.parameters.subarray(offset, middle);
  const output = new Float32Array(batch * units);
  const outputGradient = last ? output : new Float32Array(batch * units);
  return {
    inputs,
    units,
    weight,
    bias: blocks.parameters.subarray(middle, blocks.used),
    weightGradient: blocks.gradients.subarray(offset, middle),
    biasGradient: blocks.gradients.subarray(middle, blocks.used),
    output,
    outputGradient,
    asLeft: rowMajor(output, units),
    asLeftTransposed: transposed(output, units),
    weightMatrix: rowMajor(weight, units),
    weightTransposed: transposed(weight, units),
    gradientMatrix: rowMajor(outputGradient, units),
  };
}

export function createNetwork(options: NetworkOptions): Network {
  const { sizes, batch, hidden } = options;
  const count = sizes.length - 1;
  const blocks = createBlocks(sizes);
  const layers = sizes.slice(1).map((units, i) => createLayer(sizes[i], units, batch, i === count - 1, blocks));
  const last = layers[count - 1];
  const parameters = layers.flatMap((layer) => [layer.weight, layer.bias]);
  const gradients = layers.flatMap((layer) => [layer.weightGradient, layer.biasGradient]);
  const optimizer = createOptimizer(options, blocks);
  const input: Matrix = rowMajor(last.output, sizes[0]);
  const inputTransposed: Matrix = transposed(last.output, sizes[0]);
  const activateHidden = activate[hidden];
  const deactivateHidden = deactivate[hidden];
  const lossOf = losses[options.loss];

  const forward = (x: Float32Array): void => {
    input.data = x;
    inputTransposed.data = x;
    for (let i = 0; i < count; i++) {
      const layer = layers[i];
      gemm(layer.output, i === 0 ? input : layers[i - 1].asLeft, layer.weightMatrix, batch, layer.units, layer.inputs, layer.bias);
      if (i < count - 1) activateHidden(layer.output, layer.output);
    }
  };
  const backward = (): void => {
    for (let i = count - 1; i >= 0; i--) {
      const layer = layers[i];
      const { inputs, units, outputGradient } = layer;
      const x = i === 0 ? inputTransposed : layers[i - 1].asLeftTransposed;
      gemm(layer.weightGradient, x, layer.gradientMatrix, inputs, units, batch);
      sumRows(layer.biasGradient, outputGradient);
      if (i === 0) return;
      const below = layers[i - 1];
      gemm(below.outputGradient, layer.gradientMatrix, layer.weightTransposed, batch, inputs, units);
      deactivateHidden(below.outputGradient, below.output);
    }
  };
  const computeGradients = (x: Float32Array, targets: Targets): number => {
    forward(x);
    const loss = lossOf(last.output, targets, batch);
    backward();
    return loss;
  };
  return {
    parameters,
    gradients,
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

/** sums [columns] = Σ over the rows of y [rows, columns]. */
function sumRows(sums: Float32Array, y: Float32Array): void {
  const columns = sums.length;
  for (let j = 0; j < columns; j++) sums[j] = y[j];
  for (let row = columns; row < y.length; row += columns) for (let j = 0; j < columns; j++) sums[j] += y[row + j];
}

interface OptimizerState {
  step(): void;
  reset(): void;
}

function createOptimizer({ optimizer, learningRate }: NetworkOptions, { parameters, gradients }: Blocks): OptimizerState {
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
