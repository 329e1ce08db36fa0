// Reverse-mode differentiation: the chain rule, backward from the loss. Each operation brings its own rule.
// Accumulation and un-broadcasting, which all have in common, are done here.
import { ModelError } from "../engine/errors.js";
import { withScope } from "./operation.js";
import { type BackwardValues, backwardValues, originalOf, type SegmentOf } from "./recompute.js";
import { type Node, sameShape, showShape, type Tensor } from "./tensor.js";

/** The three operations that differentiation itself needs. src/ops passes them in. */
export interface GradientRules {
  add(a: Tensor, b: Tensor): Tensor;
  /** Sums a gradient of the broadcast shape to the shape before the broadcast. */
  sumTo(gradient: Tensor, shape: readonly number[]): Tensor;
  /** A constant tensor of one value. */
  full(shape: readonly number[], value: number): Tensor;
}

const NOTHING: ReadonlySet<Tensor> = /* @__PURE__ */ new Set<Tensor>();

/** All nodes that `outputs` depend on, in topological order, without those behind `known` tensors. */
export function nodesBehind(outputs: readonly Tensor[], known: { has(tensor: Tensor): boolean } = NOTHING): Node[] {
  return nodesOf(outputs, known, (tensor) => tensor);
}

function nodesOf(
  outputs: readonly Tensor[],
  known: { has(tensor: Tensor): boolean },
  seenAs: (tensor: Tensor) => Tensor,
): Node[] {
  const found = new Set<Node>();
  const stack = [...outputs];
  while (stack.length > 0) {
    const tensor = seenAs(stack.pop() as Tensor);
    const { source } = tensor;
    if (source.kind !== "result" || found.has(source.node) || known.has(tensor)) continue;
    found.add(source.node);
    stack.push(...source.node.inputs);
  }
  return [...found].sort((a, b) => a.id - b.id);
}

/** Inputs, parameters and constants that `results` depend on, in order of creation. */
export function leavesBehind(results: readonly Tensor[]): Tensor[] {
  const seen = new Set([...results, ...nodesBehind(results).flatMap(({ inputs }) => inputs)]);
  return [...seen].filter(({ source }) => source.kind !== "result").sort((a, b) => a.id - b.id);
}

/**
 * Gradients of the scalar `loss` with respect to each tensor of `wrt`, as new tensors of the same shapes. With a
 * `cotangent` of its shape, `loss` may have any: these are the gradients of the sum of their products.
 */
export function buildGradient(
  loss: Tensor,
  wrt: readonly Tensor[],
  rules: GradientRules,
  { cotangent, segmentOf }: { cotangent?: Tensor | undefined; segmentOf?: SegmentOf | undefined } = {},
): Tensor[] {
  if (cotangent === undefined) checkScalar(loss);
  else checkCotangent(loss, cotangent);
  const gradients = backpropagate(new Map([[loss, cotangent ?? rules.full([], 1)]]), wrt, rules, segmentOf);
  return gradients.map((found, index) => found ?? rules.full(wrt[index].shape, 0));
}

/**
 * Propagates the `given` gradients of some tensors back to each tensor of `wrt`. A gradient is `undefined` if it is
 * zero because nothing depends on the tensor. `segmentOf`: which nodes are computed again; by default, as was traced.
 */
export function backpropagate(
  given: ReadonlyMap<Tensor, Tensor>,
  wrt: readonly Tensor[],
  rules: GradientRules,
  segmentOf: SegmentOf = ({ segment }) => segment,
): (Tensor | undefined)[] {
  // What was computed again for an earlier gradient counts as its original.
  const nodes = nodesOf([...given.keys()], NOTHING, originalOf);
  const wanted = wrt.map(originalOf);
  const pass: Pass = {
    needed: neededGradients(nodes, wanted),
    gradients: new Map([...given].map(([tensor, gradient]) => [originalOf(tensor), gradient])),
    values: backwardValues(nodes, segmentOf),
    rules,
  };
  const { needed, gradients } = pass;
  for (const node of nodes.reverse()) {
    if (node.outputs.some((tensor) => needed.has(tensor) && gradients.has(tensor)))
      withScope(node.scope, () => backThrough(node, pass));
  }
  return wanted.map((tensor) => gradients.get(tensor));
}

/** A pass backward through a graph. Tensors are originals: see originalOf. */
interface Pass {
  readonly needed: ReadonlySet<Tensor>;
  readonly gradients: Map<Tensor, Tensor>;
  readonly values: BackwardValues;
  readonly rules: GradientRules;
}

function checkScalar({ name, shape, dtype }: Tensor): void {
  if (shape.length === 0 && dtype === "float32") return;
  const what = dtype === "float32" ? name : `${dtype} ${name}`;
  throw new ModelError(
    `gradient: the loss must be a scalar, got ${what} of shape ${showShape(shape)}: reduce it with sum() or mean() first, or give a cotangent`,
  );
}

function checkCotangent(y: Tensor, cotangent: Tensor): void {
  for (const { name, dtype } of [y, cotangent]) {
    if (dtype !== "float32") throw new ModelError(`gradient: tensors must be float32, got ${name} of ${dtype}`);
  }
  if (sameShape(y.shape, cotangent.shape)) return;
  throw new ModelError(
    `gradient: cotangent must have the shape of ${y.name} ${showShape(y.shape)}, got ${showShape(cotangent.shape)}`,
  );
}

/** The tensors whose gradients are needed: `wrt`, and every tensor on a path from it. */
function neededGradients(nodes: readonly Node[], wrt: readonly Tensor[]): Set<Tensor> {
  const needed = new Set(wrt);
  for (const node of nodes) {
    if (node.inputs.some((tensor) => needed.has(originalOf(tensor))))
      for (const output of node.outputs) needed.add(output);
  }
  return needed;
}

function backThrough(node: Node, { needed, gradients, values, rules }: Pass): void {
  const { backward, name } = node.operation;
  if (backward === undefined) {
    // What is named a gradient comes from differentiating before: it is the second derivative that is missing.
    const remedy = /gradient$/i.test(name)
      ? "a gradient of a gradient can only be taken through operations whose gradient has one too"
      : "use another operation in its place, or take the gradient with respect to what comes after it";
    throw new ModelError(
      `gradient: ${name} has no derivative, but the loss depends on it through ${node.inputs[0].name}: ${remedy}`,
    );
  }
  const originals = node.inputs.map(originalOf);
  const needs = originals.map((tensor) => needed.has(tensor));
  const { attributes } = node;
  const inputs = node.inputs.map((tensor) => values.valueOf(node, tensor));
  const outputs = node.outputs.map((tensor) => values.valueOf(node, tensor));
  const found = (output: Tensor) => gradients.get(node.outputs[outputs.indexOf(output)]);
  const gradientOf = (output: Tensor) => found(output) ?? rules.full(output.shape, 0);
  const hasGradient = (output: Tensor) => found(output) !== undefined;
  const gradient = gradientOf(outputs[0]);
  const contributions = backward({ inputs, outputs, attributes, gradient, gradientOf, hasGradient, needs });
  contributions.forEach((contribution, index) => {
    if (contribution === undefined || !needs[index]) return;
    const tensor = originals[index];
    const fitted = sameShape(contribution.shape, tensor.shape) ? contribution : rules.sumTo(contribution, tensor.shape);
    const sofar = gradients.get(tensor);
    const sum = sofar === undefined ? fitted : rules.add(sofar, fitted);
    gradients.set(tensor, sum);
    values.made(sum);
  });
}
