// Recurrent layers and loops, as ONNX nodes. LSTM, GRU and RNN multiply the inputs with weights themselves, and take the gates
// in another order: of the product before the kernel, they get the operands.
import type { Tensor } from "../graph/tensor.js";
import type { BatchSize } from "../nn/batchTrace.js";
import type { Body } from "../ops/loop.js";
import type { RnnAttributes, Steps } from "../ops/recurrent.js";
import type { GruAttributes } from "../ops/recurrentGru.js";
import type { LstmAttributes } from "../ops/recurrentLstm.js";
import { GraphBuilder, i, ints, s, strings } from "./graphBuilder.js";
import type { At, Lowering } from "./lowering.js";
import { type Attributes, ELEMENTS, type OnnxValue } from "./schema.js";

/** x, weight and bias of the product that gives the projected inputs; of others, the inputs themselves. */
function projectionOf(on: Lowering, projected: Tensor): { x: Tensor; weight: string; bias: string } {
  const { source } = projected;
  if (source.kind === "result" && source.node.operation.name === "linear") {
    const [x, weight, bias] = source.node.inputs;
    if (x.shape.length === 3) return { x, weight: on.plain(weight), bias: on.plain(bias) };
  }
  const width = projected.shape[2];
  const identity = Array.from({ length: width * width }, (_, at) => Number(at % (width + 1) === 0));
  const weight = on.build.constant("float", [width, width], identity);
  return { x: projected, weight, bias: on.build.constant("float", [width], new Array<number>(width).fill(0)) };
}

/** A weight [inputs, gates · units] as [1, gates · units, inputs], its gates in ONNX's order. */
function weightOf(on: Lowering, weight: string, inputs: number, order: readonly number[], units: number): string {
  const turned = on.build.transpose(weight, [1, 0]);
  return on.build.reshape(on.build.takeRows(turned, gateRows(order, units)), [1, order.length * units, inputs]);
}

const gateRows = (order: readonly number[], units: number): number[] =>
  order.flatMap((gate) => Array.from({ length: units }, (_, unit) => gate * units + unit));

/** Both biases of all gates, [1, 2 · gates · units]. */
function biasOf(
  on: Lowering,
  bias: string,
  recurrent: string | undefined,
  order: readonly number[],
  units: number,
): string {
  const width = order.length * units;
  const rows = gateRows(order, units);
  const none = on.build.constant("float", [width], new Array<number>(width).fill(0));
  const parts = [bias, recurrent ?? none].map((one) => on.build.takeRows(one, rows));
  return on.build.reshape(on.build.joinLines(parts), [1, 2 * width]);
}

/** A first state [1, batch, units]; none if it is zeros. */
function startOf(on: Lowering, state: Tensor): string {
  const { source } = state;
  if (source.kind === "result" && source.node.operation.name === "broadcastTo") {
    const [from] = source.node.inputs;
    if (from.source.kind === "constant" && from.source.data.every((one) => one === 0)) return "";
  }
  return on.build.node("Unsqueeze", [on.plain(state), on.build.ints([0])]);
}

interface Cell {
  readonly type: "LSTM" | "GRU" | "RNN";
  /** For each of ONNX's gates, which it is here. */
  readonly order: readonly number[];
  readonly units: number;
  readonly recurrentBias?: Tensor | undefined;
  readonly lengths: Tensor | undefined;
  readonly attributes: Attributes;
  /** What follows the lengths. */
  readonly rest: readonly string[];
}

/** Gives the outputs [time, 1, batch, units], and the last states [1, batch, units]. */
function recurrent({ on, inputs, attributes: { reverse } }: At<Steps>, cell: Cell, states: number): string[] {
  const { build } = on;
  const { order, units, lengths } = cell;
  const { x, weight, bias } = projectionOf(on, inputs[0]);
  const operands = [
    build.transpose(on.plain(x), [1, 0, 2]),
    weightOf(on, weight, x.shape[2], order, units),
    weightOf(on, on.plain(inputs[1]), units, order, units),
    biasOf(on, bias, cell.recurrentBias && on.plain(cell.recurrentBias), order, units),
    lengths === undefined ? "" : build.node("Cast", [on.plain(lengths)], { to: i(ELEMENTS.int32) }),
    ...cell.rest,
  ];
  const direction = reverse ? { direction: s("reverse") } : {};
  return build.nodeOf(cell.type, operands, 1 + states, { hidden_size: i(units), ...direction, ...cell.attributes });
}

/** [time, 1, batch, units] → [batch, time, units] */
function sequence(on: Lowering, outputs: string): string {
  return on.build.transpose(on.build.node("Squeeze", [outputs, on.build.ints([1])]), [1, 0, 2]);
}

const lastOf = (on: Lowering, state: string): string => on.build.node("Squeeze", [state, on.build.ints([0])]);

function rnn(at: At<RnnAttributes>): void {
  const {
    on,
    attributes: { activation, hasLengths },
    inputs,
    outputs: [states, last],
  } = at;
  const attributes = { activations: strings([activation === "tanh" ? "Tanh" : "Relu"]) };
  const units = inputs[1].shape[0];
  const lengths = hasLengths ? inputs[3] : undefined;
  const cell: Cell = { type: "RNN", order: [0], units, lengths, attributes, rest: [startOf(on, inputs[2])] };
  const [all, hidden] = recurrent(at, cell, 1);
  on.set(states, sequence(on, all));
  on.set(last, lastOf(on, hidden));
}

function gru(at: At<GruAttributes>): void {
  const {
    on,
    attributes: { reset, hasBias, hasLengths },
    inputs,
    outputs: [, states, last],
  } = at;
  const lengths = hasLengths ? inputs[inputs.length - 1] : undefined;
  const attributes = { linear_before_reset: i(Number(reset === "after")) };
  const recurrentBias = hasBias ? inputs[3] : undefined;
  const units = inputs[1].shape[0];
  // r, z, n here, and z, r, h there.
  const cell: Cell = {
    type: "GRU",
    order: [1, 0, 2],
    units,
    recurrentBias,
    lengths,
    attributes,
    rest: [startOf(on, inputs[2])],
  };
  const [all, hidden] = recurrent(at, cell, 1);
  on.set(states, sequence(on, all));
  on.set(last, lastOf(on, hidden));
}

function lstm(at: At<LstmAttributes>): void {
  const {
    on,
    attributes: { hasPeepholes, hasProjection, hasLengths },
    inputs,
    outputs: [, states, last, cells],
  } = at;
  if (hasProjection) {
    projectedLstm(at);
    return;
  }
  const { build } = on;
  const units = inputs[1].shape[0];
  const lengths = hasLengths ? inputs[inputs.length - 1] : undefined;
  // For the gates i, f and o here; i, o and f there.
  const rows = gateRows([0, 2, 1], units);
  const peepholes = hasPeepholes
    ? [build.reshape(build.takeRows(build.reshape(on.plain(inputs[4]), [3 * units]), rows), [1, 3 * units])]
    : [];
  const rest = [startOf(on, inputs[2]), startOf(on, inputs[3]), ...peepholes];
  // i, f, g, o here, and i, o, f, c there.
  const cell: Cell = { type: "LSTM", order: [0, 3, 1, 2], units, lengths, attributes: {}, rest };
  const [all, hidden, memory] = recurrent(at, cell, 2);
  on.set(states, sequence(on, all));
  on.set(last, lastOf(on, hidden));
  on.set(cells, lastOf(on, memory));
}

// ——— Scan ———

const declaration = (
  name: string,
  type: "float" | "int64" | "bool",
  rank: number,
  sizes?: readonly BatchSize[],
): OnnxValue => ({
  name,
  type,
  dims:
    sizes === undefined
      ? new Array<undefined>(rank).fill(undefined)
      : sizes.map((size) => (size.each === 0 ? size.fixed : undefined)),
});

/** An LSTM whose state is a product of its output: ONNX's LSTM has none, so it is a loop of its steps. */
function projectedLstm({ on, attributes, inputs, outputs: [, states, last, cells] }: At<LstmAttributes>): void {
  const { build } = on;
  const { hasPeepholes, hasLengths, reverse } = attributes;
  const [x, weight, hidden0, cell0, ...rest] = inputs;
  const units = x.shape[2] / 4;
  const peepholes = hasPeepholes
    ? build.nodeOf("Split", [on.plain(rest[0]), build.ints([1, 1, 1])], 3, { axis: i(0) })
    : [];
  const projection = on.plain(rest[Number(hasPeepholes)]);
  const rows = [
    build.transpose(on.plain(x), [1, 0, 2]),
    ...(hasLengths ? [stepsThere(on, rest[rest.length - 1], x.shape[1])] : []),
  ];
  const body = new GraphBuilder(build);
  body.scope = build.scope;
  const [h, c, row, there] = ["hidden", "cell", "row", "there"].map((name) => body.unique(`${build.scope}/${name}`));
  const sums = body.node("Add", [row, body.node("MatMul", [h, on.plain(weight)])]);
  const [ri, rf, rg, ro] = body.nodeOf("Split", [sums, body.ints([units, units, units, units])], 4, { axis: i(-1) });
  const peeped = (sum: string, index: number, memory: string) =>
    peepholes.length === 0 ? sum : body.node("Add", [sum, body.node("Mul", [peepholes[index], memory])]);
  const gate = (sum: string) => body.node("Sigmoid", [sum]);
  const kept = body.node("Mul", [gate(peeped(rf, 1, c)), c]);
  const added = body.node("Mul", [gate(peeped(ri, 0, c)), body.node("Tanh", [rg])]);
  const next = body.node("Add", [kept, added]);
  const output = body.node("Mul", [gate(peeped(ro, 2, next)), body.node("Tanh", [next])]);
  const state = body.node("MatMul", [output, projection]);
  const held = (value: string, before: string) => (hasLengths ? body.node("Where", [there, value, before]) : value);
  const value = (name: string, of: string) => ({ ...declaration(body.unique(name), "float", 2), value: of });
  const graph = body.finish(
    body.unique(`${build.scope}/step`),
    [
      declaration(h, "float", 2),
      declaration(c, "float", 2),
      declaration(row, "float", 2),
      ...(hasLengths ? [declaration(there, "bool", 2)] : []),
    ],
    [
      value("nextHidden", held(state, h)),
      value("nextCell", held(next, c)),
      value("output", held(state, body.float(0))),
    ],
  );
  const way = Number(reverse);
  const found = build.nodeOf("Scan", [on.plain(hidden0), on.plain(cell0), ...rows], 3, {
    body: { g: graph },
    num_scan_inputs: i(rows.length),
    scan_input_directions: ints(rows.map(() => way)),
    scan_output_directions: ints([way]),
  });
  on.set(last, found[0]);
  on.set(cells, found[1]);
  on.set(states, build.transpose(found[2], [1, 0, 2]));
}

/** Whether a sample has a step: booleans [time, batch, 1]. */
function stepsThere(on: Lowering, lengths: Tensor, time: number): string {
  const { build } = on;
  const steps = build.constant(
    "int64",
    [time, 1],
    Array.from({ length: time }, (_, step) => step),
  );
  return build.node("Unsqueeze", [build.node("Less", [steps, on.plain(lengths)]), build.ints([-1])]);
}

/** A loop over rows, with a body that may read what is around it. */
function scan({ on, attributes: body, inputs, outputs }: At<Body>): void {
  const { build } = on;
  const nodes = on.around.trace.nodesOf(body);
  const graph = new GraphBuilder(build);
  const inner = on.inner(graph, nodes, [...body.next, ...body.ys]);
  const symbols = [...body.carries, ...body.xs];
  const names = symbols.map((symbol) => graph.unique(`${build.scope}/${symbol.name}`));
  symbols.forEach((symbol, index) => {
    inner.set(symbol, names[index]);
  });
  body.fixed.forEach((symbol, index) => {
    inner.set(symbol, on.plain(inputs[symbols.length + body.clocks.length + index]));
  });
  const typeOf = ({ dtype }: Tensor) => (dtype === "float32" ? "float" : "int64");
  const declared = symbols.map((symbol, index) => declaration(names[index], typeOf(symbol), 0, on.sizesOf(symbol)));
  // A loop without rows counts its steps.
  const counted = body.xs.length === 0;
  if (counted) declared.push(declaration(graph.unique("step"), "int64", 0, []));
  inner.emitAll(nodes);
  const results = [...body.next, ...body.ys].map((tensor) => ({
    ...declaration(graph.unique(`${build.scope}/result`), typeOf(tensor), 0, on.sizesOf(tensor)),
    value: inner.plain(tensor),
  }));
  const rows = counted
    ? [build.ints(Array.from({ length: body.length }, (_, step) => step))]
    : body.xs.map((_, index) => on.plain(inputs[body.carries.length + index]));
  const carries = body.carries.map((_, index) => on.plain(inputs[index]));
  const way = Number(body.reverse);
  const found = build.nodeOf("Scan", [...carries, ...rows], results.length, {
    body: { g: graph.finish(graph.unique(`${build.scope}/body`), declared, results) },
    num_scan_inputs: i(rows.length),
    scan_input_directions: ints(rows.map(() => way)),
    ...(body.ys.length === 0 ? {} : { scan_output_directions: ints(body.ys.map(() => way)) }),
  });
  outputs.slice(0, results.length).forEach((tensor, index) => {
    on.set(tensor, found[index]);
  });
}

export const loopEmitters = { rnn, gru, lstm, scan } as const;
