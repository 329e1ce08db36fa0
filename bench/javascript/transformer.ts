// A character model in plain JavaScript: embeddings of characters and positions, blocks of causal attention and two dense
// layers, each behind a normalization (pre-norm), a last one, and a dense layer to the next character's logits.
import { denseBackwardInputs, denseBackwardParameters, denseForward } from "./dense.js";
import { losses, softmax } from "./losses.js";
import { createOptimizer, type Network } from "./network.js";

export interface TransformerOptions {
  readonly batch: number;
  /** Positions of a sample. */
  readonly time: number;
  readonly characters: number;
  readonly width: number;
  readonly heads: number;
  readonly blocks: number;
  /** Between the dense layers of a block. */
  readonly hidden: number;
  readonly optimizer: "adam";
  readonly learningRate: number;
}

type Sizes = Omit<TransformerOptions, "batch" | "optimizer" | "learningRate">;

/**
 * Shapes of the parameters: characters, positions, of each block (normalization; queries, keys and values; what comes out of
 * attention; normalization; hidden; output), normalization, logits. Each but the first two is a weight and a bias.
 */
export function transformerShapes({ time, characters, width, blocks, hidden }: Sizes): number[][] {
  const dense = (inputs: number, units: number) => [[inputs, units], [units]];
  const norm = [[width], [width]];
  const block = [
    ...norm,
    ...dense(width, 3 * width),
    ...dense(width, width),
    ...norm,
    ...dense(width, hidden),
    ...dense(hidden, width),
  ];
  const all = Array.from({ length: blocks }, () => block).flat();
  return [[characters, width], [time, width], ...all, ...norm, ...dense(width, characters)];
}

/** A layer: `backward` takes what comes from behind, adds to the gradients of its parameters, and gives what goes on. */
interface Layer {
  forward(x: Float32Array): Float32Array;
  backward(dy: Float32Array): Float32Array;
}

/** A weight and a bias, and their gradients. */
type Parameters = readonly [weight: Float32Array, bias: Float32Array, dweight: Float32Array, dbias: Float32Array];

function dense([weight, bias, dweight, dbias]: Parameters, rows: number, inputs: number, units: number): Layer {
  const sizes = { batch: rows, inputs, units };
  const [y, dx] = [new Float32Array(rows * units), new Float32Array(rows * inputs)];
  let given: Float32Array = dx;
  return {
    forward(x) {
      given = x;
      denseForward(y, x, weight, bias, sizes);
      return y;
    },
    backward(dy) {
      denseBackwardParameters(dweight, dbias, given, dy, sizes);
      denseBackwardInputs(dx, dy, weight, sizes);
      return dx;
    },
  };
}

const EPSILON = 1e-5;

function norm([weight, bias, dweight, dbias]: Parameters, rows: number, width: number): Layer {
  const [y, normed, dx] = [0, 1, 2].map(() => new Float32Array(rows * width));
  const scales = new Float64Array(rows);
  return {
    forward(x) {
      for (let row = 0; row < rows; row++) {
        const at = row * width;
        let [mean, variance] = [0, 0];
        for (let i = 0; i < width; i++) mean += x[at + i] / width;
        for (let i = 0; i < width; i++) variance += (x[at + i] - mean) ** 2 / width;
        scales[row] = 1 / Math.sqrt(variance + EPSILON);
        for (let i = 0; i < width; i++) {
          normed[at + i] = (x[at + i] - mean) * scales[row];
          y[at + i] = normed[at + i] * weight[i] + bias[i];
        }
      }
      return y;
    },
    backward(dy) {
      dweight.fill(0);
      dbias.fill(0);
      for (let row = 0; row < rows; row++) {
        const at = row * width;
        let [mean, along] = [0, 0];
        for (let i = 0; i < width; i++) {
          dweight[i] += dy[at + i] * normed[at + i];
          dbias[i] += dy[at + i];
          mean += (dy[at + i] * weight[i]) / width;
          along += (dy[at + i] * weight[i] * normed[at + i]) / width;
        }
        for (let i = 0; i < width; i++) {
          dx[at + i] = scales[row] * (dy[at + i] * weight[i] - mean - normed[at + i] * along);
        }
      }
      return dx;
    },
  };
}

/** Of queries, keys and values side by side, [batch · time, 3 · width]. */
function causalAttention(batch: number, time: number, width: number, heads: number): Layer {
  const depth = width / heads;
  const scale = 1 / Math.sqrt(depth);
  const line = 3 * width;
  const [y, dx] = [new Float32Array(batch * time * width), new Float32Array(batch * time * line)];
  const all = new Float32Array(batch * heads * time * time);
  const slopes = new Float64Array(time);
  let given: Float32Array = dx;
  const dot = (a: Float32Array, at: number, b: Float32Array, from: number): number => {
    let sum = 0;
    for (let c = 0; c < depth; c++) sum += a[at + c] * b[from + c];
    return sum;
  };
  const eachQuery = (visit: (rowOf: (t: number) => number, h: number, t: number, weights: Float32Array) => void) => {
    for (let s = 0; s < batch; s++)
      for (let h = 0; h < heads; h++)
        for (let t = 0; t < time; t++) {
          const first = ((s * heads + h) * time + t) * time;
          visit((position) => s * time + position, h * depth, t, all.subarray(first, first + t + 1));
        }
  };
  return {
    forward(x) {
      given = x;
      y.fill(0);
      eachQuery((rowOf, head, t, weights) => {
        for (let j = 0; j <= t; j++)
          weights[j] = dot(x, rowOf(t) * line + head, x, rowOf(j) * line + width + head) * scale;
        softmax(weights, 1);
        for (let j = 0; j <= t; j++) {
          const [to, from] = [rowOf(t) * width + head, rowOf(j) * line + 2 * width + head];
          for (let c = 0; c < depth; c++) y[to + c] += weights[j] * x[from + c];
        }
      });
      return y;
    },
    backward(dy) {
      dx.fill(0);
      eachQuery((rowOf, head, t, weights) => {
        const [up, query] = [rowOf(t) * width + head, rowOf(t) * line + head];
        let mean = 0;
        for (let j = 0; j <= t; j++) {
          slopes[j] = dot(dy, up, given, rowOf(j) * line + 2 * width + head);
          mean += slopes[j] * weights[j];
        }
        for (let j = 0; j <= t; j++) {
          const [key, value] = [rowOf(j) * line + width + head, rowOf(j) * line + 2 * width + head];
          const slope = weights[j] * (slopes[j] - mean) * scale;
          for (let c = 0; c < depth; c++) {
            dx[value + c] += weights[j] * dy[up + c];
            dx[query + c] += slope * given[key + c];
            dx[key + c] += slope * given[query + c];
          }
        }
      });
      return dx;
    },
  };
}

function relu(size: number): Layer {
  const [y, dx] = [new Float32Array(size), new Float32Array(size)];
  return {
    forward(x) {
      for (let i = 0; i < size; i++) y[i] = Math.max(x[i], 0);
      return y;
    },
    backward(dy) {
      for (let i = 0; i < size; i++) dx[i] = y[i] > 0 ? dy[i] : 0;
      return dx;
    },
  };
}

/** x + f(x). */
function residual(size: number, ...layers: readonly Layer[]): Layer {
  const [y, dx] = [new Float32Array(size), new Float32Array(size)];
  const add = (to: Float32Array, a: Float32Array, b: Float32Array): Float32Array => {
    for (let i = 0; i < size; i++) to[i] = a[i] + b[i];
    return to;
  };
  return {
    forward: (x) =>
      add(
        y,
        x,
        layers.reduce<Float32Array>((value, layer) => layer.forward(value), x),
      ),
    backward: (dy) =>
      add(
        dx,
        dy,
        layers.reduceRight<Float32Array>((slope, layer) => layer.backward(slope), dy),
      ),
  };
}

export interface Transformer extends Pick<Network, "trainStep" | "reset"> {
  /** Logits [batch · time, characters]. */
  logits(x: ArrayLike<number>): Float32Array;
}

export function createTransformer(options: TransformerOptions): Transformer {
  const { batch, time, characters, width, heads, blocks, hidden } = options;
  const lengths = transformerShapes(options).map((shape) => shape.reduce((product, size) => product * size, 1));
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const [parameters, gradients] = [new Float32Array(total), new Float32Array(total)];
  let first = 0;
  const parts = lengths.map((length) => {
    first += length;
    return [parameters.subarray(first - length, first), gradients.subarray(first - length, first)] as const;
  });
  const [[words, dwords], [positions, dpositions], ...rest] = parts;
  let used = 0;
  const next = (): Parameters => {
    const [[weight, dweight], [bias, dbias]] = rest.slice(used, used + 2);
    used += 2;
    return [weight, bias, dweight, dbias];
  };
  const rows = batch * time;
  const layers: Layer[] = Array.from({ length: blocks }, () => [
    residual(
      rows * width,
      norm(next(), rows, width),
      dense(next(), rows, width, 3 * width),
      causalAttention(batch, time, width, heads),
      dense(next(), rows, width, width),
    ),
    residual(
      rows * width,
      norm(next(), rows, width),
      dense(next(), rows, width, hidden),
      relu(rows * hidden),
      dense(next(), rows, hidden, width),
    ),
  ]).flat();
  layers.push(norm(next(), rows, width), dense(next(), rows, width, characters));
  const optimizer = createOptimizer(options, { parameters, gradients });
  const embedded = new Float32Array(rows * width);
  const logits = (x: ArrayLike<number>): Float32Array => {
    for (let i = 0; i < embedded.length; i++) {
      const [row, c] = [Math.floor(i / width), i % width];
      embedded[i] = words[x[row] * width + c] + positions[(row % time) * width + c];
    }
    return layers.reduce<Float32Array>((value, layer) => layer.forward(value), embedded);
  };
  return {
    logits,
    trainStep(x, targets) {
      const z = logits(x);
      const loss = losses.softmaxCrossEntropy(z, targets, rows);
      const slope = layers.reduceRight<Float32Array>((dy, layer) => layer.backward(dy), z);
      dwords.fill(0);
      dpositions.fill(0);
      for (let i = 0; i < slope.length; i++) {
        const [row, c] = [Math.floor(i / width), i % width];
        dwords[x[row] * width + c] += slope[i];
        dpositions[(row % time) * width + c] += slope[i];
      }
      optimizer.step();
      return loss;
    },
    reset(values) {
      parts.forEach(([parameter], index) => {
        parameter.set(values[index]);
      });
      optimizer.reset();
    },
  };
}
