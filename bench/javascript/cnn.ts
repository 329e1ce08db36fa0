// A small convolutional classifier in plain JavaScript: convolution 3×3, ReLU, max pooling 2×2, twice, and a dense layer.
import { activate, deactivate } from "./activations.js";
import { type ConvSizes, createConvolution } from "./conv.js";
import { denseBackwardInputs, denseBackwardParameters, denseForward } from "./dense.js";
import { losses, type Targets } from "./losses.js";
import { createOptimizer, type Network, type OptimizerName } from "./network.js";
import { maxPoolBackward, maxPoolForward } from "./pool.js";

export interface CnnOptions {
  readonly batch: number;
  /** Height and width of the images, of one channel. */
  readonly size: number;
  /** Filters of the two convolutions. */
  readonly filters: readonly [number, number];
  readonly classes: number;
  readonly optimizer: OptimizerName;
  readonly learningRate: number;
}

const pooledSize = (size: number): number => Math.floor((size - 2) / 2);

/** Shapes of the weights, channels last; each is followed by its bias. */
export function cnnShapes({ size, filters: [first, second], classes }: Omit<CnnOptions, "batch">): number[][] {
  const left = pooledSize(pooledSize(size));
  return [[3, 3, 1, first], [first], [3, 3, first, second], [second], [left * left * second, classes], [classes]];
}

/** Convolution, ReLU and pooling, with their buffers. */
function createStage(sizes: ConvSizes) {
  const { batch, filters } = sizes;
  const convolution = createConvolution(sizes);
  const { outHeight, outWidth } = convolution;
  const length = batch * outHeight * outWidth * filters;
  const pooledLength = batch * Math.floor(outHeight / 2) * Math.floor(outWidth / 2) * filters;
  const [y, dy] = [new Float32Array(length), new Float32Array(length)];
  const places = new Uint32Array(pooledLength);
  return {
    convolution,
    dy,
    output: new Float32Array(pooledLength),
    doutput: new Float32Array(pooledLength),
    forward(x: Float32Array, weight: Float32Array, bias: Float32Array) {
      convolution.forward(y, x, weight, bias);
      activate.relu(y, y);
      maxPoolForward(this.output, places, y, { batch, height: outHeight, width: outWidth, channels: filters });
    },
    backward(x: Float32Array, dweight: Float32Array, dbias: Float32Array) {
      maxPoolBackward(dy, this.doutput, places);
      deactivate.relu(dy, y);
      convolution.backwardWeight(dweight, x, dy);
      dbias.fill(0);
      for (let i = 0; i < dy.length; ) for (let k = 0; k < filters; k++, i++) dbias[k] += dy[i];
    },
  };
}

export function createCnn(options: CnnOptions): Pick<Network, "trainStep" | "reset"> {
  const { batch, size, filters, classes } = options;
  const lengths = cnnShapes(options).map((shape) => shape.reduce((product, count) => product * count, 1));
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const [parameters, gradients] = [new Float32Array(total), new Float32Array(total)];
  const split = (block: Float32Array) => {
    let end = 0;
    return lengths.map((length) => {
      end += length;
      return block.subarray(end - length, end);
    });
  };
  const [w1, b1, w2, b2, w3, b3] = split(parameters);
  const [dw1, db1, dw2, db2, dw3, db3] = split(gradients);
  const between = pooledSize(size);
  const window = { window: 3, padding: 0 };
  const first = createStage({ batch, height: size, width: size, channels: 1, filters: filters[0], ...window });
  const inner = { height: between, width: between, channels: filters[0], filters: filters[1] };
  const second = createStage({ batch, ...inner, ...window });
  const dense = { batch, inputs: second.output.length / batch, units: classes };
  const logits = new Float32Array(batch * classes);
  const optimizer = createOptimizer(options, { parameters, gradients });
  return {
    trainStep(x: Float32Array, labels: Targets) {
      first.forward(x, w1, b1);
      second.forward(first.output, w2, b2);
      denseForward(logits, second.output, w3, b3, dense);
      const loss = losses.softmaxCrossEntropy(logits, labels, batch);
      denseBackwardParameters(dw3, db3, second.output, logits, dense);
      denseBackwardInputs(second.doutput, logits, w3, dense);
      second.backward(first.output, dw2, db2);
      second.convolution.backwardInput(first.doutput, second.dy, w2);
      first.backward(x, dw1, db1);
      optimizer.step();
      return loss;
    },
    reset(values) {
      for (const [i, parameter] of [w1, b1, w2, b2, w3, b3].entries()) parameter.set(values[i]);
      optimizer.reset();
    },
  };
}
