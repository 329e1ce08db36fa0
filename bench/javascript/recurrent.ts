// A recurrent classifier in plain JavaScript: an LSTM or a GRU over a sequence, and a dense layer on its last state. Steps
// are rows one behind another (time first), so that each step is a product of whole rows; those of the input are one for all.
import { denseBackwardInputs, denseBackwardParameters, denseForward } from "./dense.js";
import { gemm, rowMajor, transposed } from "./gemm.js";
import { losses, type Targets } from "./losses.js";
import { createOptimizer, type Network, type OptimizerName } from "./network.js";

export interface RecurrentOptions {
  readonly cell: "lstm" | "gru";
  readonly batch: number;
  readonly time: number;
  readonly inputs: number;
  readonly units: number;
  readonly classes: number;
  readonly optimizer: OptimizerName;
  readonly learningRate: number;
}

const GATES = { lstm: 4, gru: 3 } as const;

/** Shapes of weight, recurrent weight, bias, a GRU's recurrent bias, and the dense layer's weight and bias. */
export function recurrentShapes({ cell, inputs, units, classes }: RecurrentOptions): number[][] {
  const width = GATES[cell] * units;
  const bias = cell === "gru" ? [[width], [width]] : [[width]];
  return [[inputs, width], [units, width], ...bias, [units, classes], [classes]];
}

/** What a cell does with one step's rows; all arrays are [batch, …] of that step. */
interface Step {
  /** What comes of the input; the gates take its place. */
  readonly gates: Float32Array;
  /** h · U (and its bias). */
  readonly product: Float32Array;
  readonly before: Float32Array;
  readonly after: Float32Array;
  /** The LSTM's cell before and after. */
  readonly cellBefore: Float32Array;
  readonly cellAfter: Float32Array;
}

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

function lstmForward({ gates, product, after, cellBefore, cellAfter }: Step, batch: number, units: number): void {
  for (let s = 0; s < batch; s++) {
    for (let j = 0; j < units; j++) {
      const [at, i] = [s * units + j, s * 4 * units + j];
      const input = logistic(gates[i] + product[i]);
      const forget = logistic(gates[i + units] + product[i + units]);
      const update = Math.tanh(gates[i + 2 * units] + product[i + 2 * units]);
      const output = logistic(gates[i + 3 * units] + product[i + 3 * units]);
      cellAfter[at] = forget * cellBefore[at] + input * update;
      after[at] = output * Math.tanh(cellAfter[at]);
      gates[i] = input;
      gates[i + units] = forget;
      gates[i + 2 * units] = update;
      gates[i + 3 * units] = output;
    }
  }
}

/** dgates in the place of the gates; dh is read, dcell becomes that of the step before. */
function lstmBackward(step: Step, dh: Float32Array, dcell: Float32Array, batch: number, units: number): void {
  const { gates, cellBefore, cellAfter } = step;
  for (let s = 0; s < batch; s++) {
    for (let j = 0; j < units; j++) {
      const [at, i] = [s * units + j, s * 4 * units + j];
      const [input, forget] = [gates[i], gates[i + units]];
      const [update, output] = [gates[i + 2 * units], gates[i + 3 * units]];
      const t = Math.tanh(cellAfter[at]);
      const d = dcell[at] + dh[at] * output * (1 - t * t);
      gates[i] = d * update * input * (1 - input);
      gates[i + units] = d * cellBefore[at] * forget * (1 - forget);
      gates[i + 2 * units] = d * input * (1 - update * update);
      gates[i + 3 * units] = dh[at] * t * output * (1 - output);
      dcell[at] = d * forget;
    }
  }
}

/** `product` keeps what of the state goes into n. */
function gruForward({ gates, product, before, after }: Step, batch: number, units: number): void {
  for (let s = 0; s < batch; s++) {
    for (let j = 0; j < units; j++) {
      const [at, i] = [s * units + j, s * 3 * units + j];
      const reset = logistic(gates[i] + product[i]);
      const update = logistic(gates[i + units] + product[i + units]);
      const next = Math.tanh(gates[i + 2 * units] + reset * product[i + 2 * units]);
      after[at] = next + update * (before[at] - next);
      gates[i] = reset;
      gates[i + units] = update;
      gates[i + 2 * units] = next;
    }
  }
}

/** Gradients by the input in the place of the gates, by h · U in that of the product; dh becomes what passes by. */
function gruBackward({ gates, product, before }: Step, dh: Float32Array, batch: number, units: number): void {
  for (let s = 0; s < batch; s++) {
    for (let j = 0; j < units; j++) {
      const [at, i] = [s * units + j, s * 3 * units + j];
      const [reset, update, next] = [gates[i], gates[i + units], gates[i + 2 * units]];
      const toNext = dh[at] * (1 - update) * (1 - next * next);
      gates[i] = toNext * product[i + 2 * units] * reset * (1 - reset);
      gates[i + units] = dh[at] * (before[at] - next) * update * (1 - update);
      gates[i + 2 * units] = toNext;
      product[i] = gates[i];
      product[i + units] = gates[i + units];
      product[i + 2 * units] = toNext * reset;
      dh[at] *= update;
    }
  }
}

/** Gradients of rows of `width` numbers, added up. */
function sumRows(sums: Float32Array, rows: Float32Array): void {
  sums.fill(0);
  for (let i = 0; i < rows.length; ) for (let j = 0; j < sums.length; j++, i++) sums[j] += rows[i];
}

/** x [batch, time, inputs] with the time first. */
function timeFirst(to: Float32Array, x: Float32Array, batch: number, time: number, inputs: number): void {
  for (let s = 0; s < batch; s++) {
    for (let t = 0; t < time; t++) {
      const from = (s * time + t) * inputs;
      to.set(x.subarray(from, from + inputs), (t * batch + s) * inputs);
    }
  }
}

export function createRecurrent(options: RecurrentOptions): Pick<Network, "trainStep" | "reset"> {
  const { cell, batch, time, inputs, units, classes } = options;
  const width = GATES[cell] * units;
  const isGru = cell === "gru";
  const { parameters, gradients, ...blocks } = blocksOf(recurrentShapes(options));
  const [weight, recurrent, ...biases] = blocks.parameterParts;
  const [dweight, drecurrent, ...dbiases] = blocks.gradientParts;
  const [bias, recurrentBias, dense, denseBias] = isGru
    ? biases
    : [biases[0], new Float32Array(width), ...biases.slice(1)];
  const [dbias, drecurrentBias, ddense, ddenseBias] = isGru
    ? dbiases
    : [dbiases[0], new Float32Array(width), ...dbiases.slice(1)];
  const rows = (count: number, steps = time) => new Float32Array(steps * batch * count);
  const [x, gates, products] = [rows(inputs), rows(width), rows(width)];
  // States of step t are the rows t + 1: the first ones are 0.
  const [states, cells] = [rows(units, time + 1), rows(units, time + 1)];
  const [dh, dcell, logits] = [rows(units, 1), rows(units, 1), rows(classes, 1)];
  const optimizer = createOptimizer(options, { parameters, gradients });
  const rowsAt = (all: Float32Array, t: number, count: number) =>
    all.subarray(t * batch * count, (t + 1) * batch * count);
  const steps = Array.from({ length: time }, (_, t): Step => {
    return {
      gates: rowsAt(gates, t, width),
      product: rowsAt(products, t, width),
      before: rowsAt(states, t, units),
      after: rowsAt(states, t + 1, units),
      cellBefore: rowsAt(cells, t, units),
      cellAfter: rowsAt(cells, t + 1, units),
    };
  });
  const [ofInput, ofState] = [
    { batch: batch * time, inputs, units: width },
    { batch, inputs: units, units: width },
  ];
  const last = { batch, inputs: units, units: classes };
  const forward = (): void => {
    denseForward(gates, x, weight, bias, ofInput);
    for (const step of steps) {
      denseForward(step.product, step.before, recurrent, recurrentBias, ofState);
      if (isGru) gruForward(step, batch, units);
      else lstmForward(step, batch, units);
    }
  };
  const backward = (): void => {
    dcell.fill(0);
    for (const step of steps.toReversed()) {
      if (isGru) {
        gruBackward(step, dh, batch, units);
        gemm(dh, rowMajor(step.product, width), transposed(recurrent, width), batch, units, width);
      } else {
        lstmBackward(step, dh, dcell, batch, units);
        denseBackwardInputs(dh, step.gates, recurrent, ofState);
      }
    }
    denseBackwardParameters(dweight, dbias, x, gates, ofInput);
    const before = states.subarray(0, time * batch * units);
    drecurrent.fill(0);
    const slopes = rowMajor(isGru ? products : gates, width);
    gemm(drecurrent, transposed(before, units), slopes, units, width, batch * time);
    if (isGru) sumRows(drecurrentBias, products);
  };
  return {
    trainStep(given: Float32Array, labels: Targets) {
      timeFirst(x, given, batch, time, inputs);
      forward();
      const output = steps[time - 1].after;
      denseForward(logits, output, dense, denseBias, last);
      const loss = losses.softmaxCrossEntropy(logits, labels, batch);
      denseBackwardParameters(ddense, ddenseBias, output, logits, last);
      denseBackwardInputs(dh, logits, dense, last);
      backward();
      optimizer.step();
      return loss;
    },
    reset(values) {
      blocks.parameterParts.forEach((parameter, i) => {
        parameter.set(values[i]);
      });
      optimizer.reset();
    },
  };
}

/** Parameters and gradients, each behind one another. */
function blocksOf(shapes: readonly (readonly number[])[]) {
  const lengths = shapes.map((shape) => shape.reduce((product, count) => product * count, 1));
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const split = (block: Float32Array) => {
    let end = 0;
    return lengths.map((length) => {
      end += length;
      return block.subarray(end - length, end);
    });
  };
  const [parameters, gradients] = [new Float32Array(total), new Float32Array(total)];
  return { parameters, gradients, parameterParts: split(parameters), gradientParts: split(gradients) };
}
