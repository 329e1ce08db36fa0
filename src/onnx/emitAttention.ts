// Attention and positions, as ONNX nodes: the matrix of scores is there as a whole.
import type { Tensor } from "../graph/tensor.js";
import type { AttentionTask } from "../ops/attention.js";
import type { Turning } from "../ops/positions.js";
import { type GraphBuilder, i } from "./graphBuilder.js";
import { type At, fixed, type Lowering } from "./lowering.js";
import { ELEMENTS } from "./schema.js";

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** Columns of a tensor's last axis. */
function columns(build: GraphBuilder, x: string, from: number, to: number): string {
  return build.node("Slice", [x, build.ints([from]), build.ints([to]), build.ints([-1])]);
}

/** [batch, positions, heads · features] as [batch, heads, positions, features]. */
function headsOf(at: At<AttentionTask>, part: 0 | 1 | 2): string {
  const { on, attributes: task, inputs } = at;
  const { build } = on;
  const { input, column } = task.parts[part];
  const count = part === 0 ? task.heads : task.keyHeads;
  const features = part === 2 ? task.width : task.depth;
  const x = inputs[input];
  const [batch, positions, line] = on.sizesOf(x);
  const isAll = column === 0 && line.fixed === count * features;
  const lines = isAll ? on.plain(x) : columns(build, on.plain(x), column, column + count * features);
  const apart = build.transpose(on.reshape(lines, [batch, positions, fixed(count), fixed(features)]), [0, 2, 1, 3]);
  if (count === task.heads) return apart;
  const copies = task.heads / count;
  const each = build.node("Unsqueeze", [apart, build.ints([2])]);
  const wide = build.node("Expand", [each, build.ints([1, 1, copies, 1, 1])]);
  return on.reshape(wide, [batch, fixed(task.heads), positions, fixed(features)]);
}

/** Queries' positions less keys' positions: float32 [queries, keys], or [batch, 1, queries, keys] behind a start. */
function distancesOf(on: Lowering, queries: number, keys: number, start: Tensor | undefined): string {
  const { build } = on;
  const [rows, places] = [range(queries), range(keys)];
  const plain = build.constant(
    "float",
    [queries, keys],
    rows.flatMap((row) => places.map((place) => row - place)),
  );
  if (start === undefined) return plain;
  return build.node("Add", [plain, on.reshape(on.plain(start), [on.sizesOf(start)[0], fixed(1), fixed(1), fixed(1)])]);
}

/** Conditions, all of which a key must meet to be seen: booleans that are broadcast. */
function visibilityOf(at: At<AttentionTask>, distances: string, far: string, keys: number): string | undefined {
  const { on, attributes: task, inputs } = at;
  const { build } = on;
  const conditions: string[] = [];
  if (task.causal) conditions.push(build.node("GreaterOrEqual", [distances, build.float(0)]));
  if (task.window !== 0) conditions.push(build.node("Less", [far, build.float(task.window)]));
  const { mask, lengths } = task.extras;
  if (mask !== undefined) {
    const shown = build.node("Cast", [on.plain(inputs[mask])], { to: i(ELEMENTS.bool) });
    conditions.push(build.node("Unsqueeze", [shown, build.ints([1, 2])]));
  }
  if (lengths !== undefined) {
    const counts = build.node("Unsqueeze", [on.plain(inputs[lengths]), build.ints([1, 2, 3])]);
    conditions.push(build.node("Less", [build.ints(range(keys)), counts]));
  }
  if (conditions.length === 0) return undefined;
  return conditions.reduce((a, b) => build.node("And", [a, b]));
}

/** A score so low that its share of the weights is 0. Infinities would give NaN if a query sees nothing. */
const HIDDEN = -1e30;

function attention(at: At<AttentionTask>): void {
  const {
    on,
    attributes: task,
    inputs,
    outputs: [y],
  } = at;
  const { build } = on;
  const { heads, extras } = task;
  const [queries, keys] = [inputs[task.parts[0].input].shape[1], inputs[task.parts[1].input].shape[1]];
  const [q, k, v] = [headsOf(at, 0), headsOf(at, 1), headsOf(at, 2)];
  let scores = build.node("MatMul", [q, build.transpose(k, [0, 1, 3, 2])]);
  if (task.scale !== 1) scores = build.node("Mul", [scores, build.float(task.scale)]);
  const distances = distancesOf(on, queries, keys, extras.start === undefined ? undefined : inputs[extras.start]);
  const far = build.node("Abs", [distances]);
  if (extras.slopes !== undefined) {
    const slopes = build.reshape(on.plain(inputs[extras.slopes]), [heads, 1, 1]);
    scores = build.node("Sub", [scores, build.node("Mul", [slopes, far])]);
  }
  if (extras.bias !== undefined) scores = build.node("Add", [scores, on.plain(inputs[extras.bias])]);
  let visible = visibilityOf(at, distances, far, keys);
  if (extras.bias !== undefined) {
    const finite = build.node("Greater", [scores, build.float(HIDDEN)]);
    visible = visible === undefined ? finite : build.node("And", [visible, finite]);
  }
  const shown = visible === undefined ? scores : build.node("Where", [visible, scores, build.float(HIDDEN)]);
  const weights = build.node("Softmax", [shown], { axis: i(-1) });
  const shares = visible === undefined ? weights : build.node("Where", [visible, weights, build.float(0)]);
  const mixed = build.transpose(build.node("MatMul", [shares, v]), [0, 2, 1, 3]);
  on.set(y, on.reshape(mixed, on.sizesOf(y)));
}

/** Angles of positions: float32 [positions, pairs], or [batch, positions, pairs] behind a start. */
function anglesOf(on: Lowering, positions: number, features: number, base: number, start: Tensor | undefined) {
  const { build } = on;
  const pairs = Math.ceil(features / 2);
  const slopes = range(pairs).map((pair) => base ** ((-2 * pair) / features));
  const table = (of: (angle: number) => number): string =>
    build.constant(
      "float",
      [positions, pairs],
      range(positions).flatMap((position) => slopes.map((slope) => of(position * slope))),
    );
  if (start === undefined) return { sines: table(Math.sin), cosines: table(Math.cos) };
  // In double precision, as far positions have large angles.
  const places = build.node("Add", [
    build.node("Unsqueeze", [on.plain(start), build.ints([2])]),
    build.constant("float", [positions, 1], range(positions)),
  ]);
  const exact = build.node("Cast", [places], { to: i(ELEMENTS.double) });
  const each = build.node("Cast", [build.constant("float", [pairs], slopes)], { to: i(ELEMENTS.double) });
  const angles = build.node("Mul", [exact, each]);
  const turn = build.node("Cast", [build.constant("float", [], [2 * Math.PI])], { to: i(ELEMENTS.double) });
  const within = build.node("Cast", [build.node("Mod", [angles, turn], { fmod: i(1) })], { to: i(ELEMENTS.float) });
  return { sines: build.node("Sin", [within]), cosines: build.node("Cos", [within]) };
}

/** Pairs of features of each head are turned by their position's angle; what is behind the heads stays. */
function rotary({ on, attributes, inputs: [x, start], outputs: [y] }: At<Turning>): void {
  const { build } = on;
  const { depth, features, base, interleaved, direction } = attributes;
  const [batch, positions, line] = on.sizesOf(x);
  const heads = attributes.columns / depth;
  const lines = on.plain(x);
  const turned = attributes.columns === line.fixed ? lines : columns(build, lines, 0, attributes.columns);
  const rest = attributes.columns === line.fixed ? [] : [columns(build, lines, attributes.columns, line.fixed)];
  const apart = on.reshape(turned, [batch, positions, fixed(heads), fixed(depth)]);
  const inner = features === depth ? apart : columns(build, apart, 0, features);
  const kept = features === depth ? [] : [columns(build, apart, features, depth)];
  const { sines, cosines } = anglesOf(on, positions.fixed, features, base, start);
  const perHead = (table: string) => build.node("Unsqueeze", [table, build.ints([start === undefined ? 1 : 2])]);
  const [s, c] = [perHead(sines), perHead(cosines)];
  const half = features / 2;
  const pairs = interleaved ? [batch, positions, fixed(heads), fixed(half), fixed(2)] : [];
  const paired = interleaved ? on.reshape(inner, pairs) : inner;
  const ones = build.ints([interleaved ? 1 : half, interleaved ? 1 : half]);
  const [a, b] = build.nodeOf("Split", [paired, ones], 2, { axis: i(-1) });
  const flat = (name: string) => (interleaved ? build.node("Squeeze", [name, build.ints([-1])]) : name);
  const [first, second] = [flat(a), flat(b)];
  const times = (left: string, right: string) => build.node("Mul", [left, right]);
  const [less, more] = direction === 1 ? ["Sub", "Add"] : ["Add", "Sub"];
  const turnedA = build.node(less, [times(first, c), times(second, s)]);
  const turnedB = build.node(more, [times(second, c), times(first, s)]);
  const deep = (name: string) => (interleaved ? build.node("Unsqueeze", [name, build.ints([-1])]) : name);
  const together = build.node("Concat", [deep(turnedA), deep(turnedB)], { axis: i(-1) });
  const again = interleaved ? on.reshape(together, [batch, positions, fixed(heads), fixed(features)]) : together;
  const whole = kept.length === 0 ? again : build.node("Concat", [again, ...kept], { axis: i(-1) });
  const columnsAgain = on.reshape(whole, [batch, positions, fixed(attributes.columns)]);
  on.set(y, rest.length === 0 ? columnsAgain : build.node("Concat", [columnsAgain, ...rest], { axis: i(-1) }));
}

function sinusoids({
  on,
  attributes: { shape, base },
  inputs: [start],
  outputs: [y],
}: At<{ shape: readonly number[]; base: number }>): void {
  const { build } = on;
  const [, positions, features] = shape;
  const pairs = Math.ceil(features / 2);
  const { sines, cosines } = anglesOf(on, positions, features, base, start);
  const deep = (name: string) => build.node("Unsqueeze", [name, build.ints([-1])]);
  const together = build.node("Concat", [deep(sines), deep(cosines)], { axis: i(-1) });
  const sizes = start === undefined ? [fixed(1), fixed(positions)] : [on.sizesOf(start)[0], fixed(positions)];
  const whole = on.reshape(together, [...sizes, fixed(2 * pairs)]);
  on.set(y, features === 2 * pairs ? whole : columns(build, whole, 0, features));
}

/** Rows from a position on are those of x, all others the cache's. */
function appendRows({ on, inputs: [cache, x, start], outputs: [y] }: At<unknown>): void {
  const { build } = on;
  const [capacity, count] = [cache.shape[1], x.shape[1]];
  const first = build.node("Cast", [on.plain(start)], { to: i(ELEMENTS.int64) });
  const places = build.node("Sub", [build.ints(range(capacity)), first]);
  const number = (value: number) => build.constant("int64", [], [value]);
  const isNew = build.node("And", [
    build.node("GreaterOrEqual", [places, number(0)]),
    build.node("Less", [places, number(count)]),
  ]);
  const within = build.node("Max", [build.node("Min", [places, number(count - 1)]), number(0)]);
  const rows = build.node("GatherND", [on.plain(x), build.node("Unsqueeze", [within, build.ints([-1])])], {
    batch_dims: i(1),
  });
  on.set(y, build.node("Where", [build.node("Unsqueeze", [isNew, build.ints([-1])]), rows, on.plain(cache)]));
}

export const attentionEmitters = { attention, rotary, sinusoids, appendRows } as const;
