// LSTM, GRU and RNN: operators as operations. Gates are in another order there, and each direction has weights of its own.
import type { Tensor } from "../graph/tensor.js";
import { constant } from "../graph/tensor.js";
import { add } from "../ops/elementwise.js";
import { concatenate, split } from "../ops/join.js";
import { linear } from "../ops/matmul.js";
import { rnn } from "../ops/recurrent.js";
import { gru } from "../ops/recurrentGru.js";
import { lstm } from "../ops/recurrentLstm.js";
import { cast } from "../ops/rounding.js";
import { expandDims, reshape, transpose } from "../ops/shape.js";
import { slice } from "../ops/slice.js";
import { plain, type Step, type Value } from "./imported.js";

/** Part `way` of a tensor [ways, …], without that axis. */
function partOf(x: Tensor, way: number): Tensor {
  return reshape(slice(x, [way], [way + 1]), x.shape.slice(1));
}

/** A tensor [gates · units, …] with its gates in another order. */
function reordered(x: Tensor, order: readonly number[]): Tensor {
  const gates = split(x, order.length, 0) as readonly Tensor[];
  return concatenate(
    order.map((gate) => gates[gate]),
    0,
  );
}

/** What all directions and kinds have. */
interface Direction {
  /** x·W + b: [batch, time, gates · units]. */
  readonly projected: Tensor;
  readonly recurrentWeight: Tensor;
  readonly recurrentBias: Tensor;
  readonly hidden: Tensor | undefined;
  readonly lengths: Tensor | undefined;
  readonly reverse: boolean;
}

/** @param order For each gate here, which it is there. @param apart Whether the bias of the state is added apart. */
function directionOf(step: Step, way: number, order: readonly number[], apart: boolean, reverse: boolean): Direction {
  const [weight, recurrent] = [1, 2].map((index) =>
    transpose(reordered(partOf(step.tensor(index), way), order), [1, 0]),
  );
  const width = weight.shape[1];
  const zeros = () => constant(new Float32Array(width), [width]);
  const biases = step.has(3) ? (split(partOf(step.tensor(3), way), 2) as readonly Tensor[]) : [];
  const [bias, recurrentBias] = step.has(3) ? biases.map((one) => reordered(one, order)) : [zeros(), zeros()];
  const x = transpose(step.tensor(0), [1, 0, 2]);
  const lengths = step.has(4) ? step.tensor(4) : undefined;
  return {
    projected: linear(x, weight, apart ? bias : add(bias, recurrentBias)),
    recurrentWeight: recurrent,
    recurrentBias,
    hidden: step.has(5) ? partOf(step.tensor(5), way) : undefined,
    lengths: lengths && (lengths.dtype === "uint32" ? lengths : cast(lengths, "uint32")),
    reverse,
  };
}

/** Without what is not there. */
const given = <T extends object>(options: T): T =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;

/** Runs all directions, and puts their outputs and states together. */
function recurrent(step: Step, run: (way: number, reverse: boolean) => readonly Tensor[]): readonly Value[] {
  step.only("layout", 0);
  step.only("input_forget", 0);
  if ("clip" in step.node.attributes) throw step.error("clip must be left out here, got one");
  const direction = step.text("direction", "forward");
  const ways = { forward: [false], reverse: [true], bidirectional: [false, true] }[direction];
  if (ways === undefined) throw step.error(`direction must be forward, reverse or bidirectional, got ${direction}`);
  const found = ways.map((reverse, way) => run(way, reverse));
  const outputs = concatenate(
    found.map(([states]) => expandDims(transpose(states, [1, 0, 2]), 1)),
    1,
  );
  const states = found[0].slice(1).map((_, index) =>
    concatenate(
      found.map((one) => expandDims(one[index + 1], 0)),
      0,
    ),
  );
  return [outputs, ...states].map(plain);
}

/** Refuses activations that are not those by default. */
function usual(step: Step, names: readonly string[]): void {
  const found = step.texts("activations");
  if (found === undefined || found.every((name, index) => name === names[index % names.length])) return;
  throw step.error(`activations must be ${names.join(", ")}, got ${found.slice(0, 6).join(", ")}`);
}

function readLstm(step: Step): readonly Value[] {
  usual(step, ["Sigmoid", "Tanh", "Tanh"]);
  return recurrent(step, (way, reverse) => {
    // i, o, f, c there; i, f, g, o here.
    const { projected, recurrentWeight, hidden, lengths } = directionOf(step, way, [0, 2, 3, 1], false, reverse);
    const units = recurrentWeight.shape[0];
    const cell = step.has(6) ? partOf(step.tensor(6), way) : undefined;
    const peepholes = step.has(7) ? reordered(reshape(partOf(step.tensor(7), way), [3, units]), [0, 2, 1]) : undefined;
    const found = lstm(projected, recurrentWeight, given({ hidden, cell, peepholes, lengths, reverse }) as never);
    return [found.outputs, found.hidden, found.cell];
  });
}

function readGru(step: Step): readonly Value[] {
  usual(step, ["Sigmoid", "Tanh"]);
  const reset = step.int("linear_before_reset", 0) === 1 ? "after" : "before";
  return recurrent(step, (way, reverse) => {
    // z, r, h there; r, z, n here.
    const parts = directionOf(step, way, [1, 0, 2], reset === "after", reverse);
    const { projected, recurrentWeight, hidden, lengths } = parts;
    const recurrentBias = reset === "after" ? parts.recurrentBias : undefined;
    const found = gru(projected, recurrentWeight, given({ hidden, recurrentBias, reset, lengths, reverse }) as never);
    return [found.outputs, found.hidden];
  });
}

function readRnn(step: Step): readonly Value[] {
  const [name = "Tanh"] = step.texts("activations") ?? [];
  if (name !== "Tanh" && name !== "Relu")
    throw step.error(`activations must be Tanh or Relu, got ${name.slice(0, 60)}`);
  usual(step, [name]);
  return recurrent(step, (way, reverse) => {
    const { projected, recurrentWeight, hidden, lengths } = directionOf(step, way, [0], false, reverse);
    const activation = name === "Tanh" ? "tanh" : "relu";
    const found = rnn(projected, recurrentWeight, given({ hidden, activation, lengths, reverse }) as never);
    return [found.outputs, found.hidden];
  });
}

export const recurrentReaders = { LSTM: readLstm, GRU: readGru, RNN: readRnn } as const;
