// What an operation is: one definition with its shape rule, its forward instructions and its backward nodes.
import { made, shared } from "../engine/copies.js";
import type { Choices } from "../engine/engine.js";
import { ModelError } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import type { BoundsContext } from "./bounds.js";
import {
  checkTensor,
  type DType,
  isEmpty,
  type Node,
  nextId,
  type Segment,
  type Shape,
  showShape,
  type Tensor,
} from "./tensor.js";
import type { Bound } from "./values.js";

/** An output that a node will have. */
export interface Specification {
  readonly shape: Shape;
  readonly dtype?: DType;
}

/** The arguments of `forward`: addresses from the memory plan. */
export interface Placement<Attributes> {
  readonly attributes: Attributes;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Address of each input and output, in order; 0 for an output that nothing reads, see `required`. */
  readonly from: readonly Pointer[];
  readonly to: readonly Pointer[];
  /** Address of the temporary bytes of `scratchBytes`. */
  readonly scratch: Pointer;
  /** Code of the activation that was fused into this node, 0 for none; see `acceptsEpilogue`. */
  readonly epilogue: number;
  readonly choices: Choices;
}

/** The arguments of `backward`. */
export interface BackwardContext<Attributes> {
  readonly attributes: Attributes;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Gradient with respect to output 0, of its shape. */
  readonly gradient: Tensor;
  /** Gradient with respect to any output, for operations with several results. */
  gradientOf(output: Tensor): Tensor;
  /** Whether anything depends on that output; if not, its gradient is 0. */
  hasGradient(output: Tensor): boolean;
  /** For each input, whether its gradient is needed. */
  readonly needs: readonly boolean[];
}

export interface Operation<Attributes = undefined> {
  readonly name: string;
  /** Shape rule: the outputs for these inputs. Throws ModelError if they do not fit. Output 0 is the result. */
  infer(inputs: readonly Tensor[], attributes: Attributes): readonly Specification[];
  /** Records the instructions that compute the outputs. Absent if output 0 is a view of input 0. */
  forward?(record: Recorder, at: Placement<Attributes>): void;
  /**
   * The gradient of each input, `undefined` if it is zero or not needed. A gradient may have the broadcast shape of the
   * output: the caller sums it to the input's shape. Absent if the operation has no derivative.
   */
  backward?(context: BackwardContext<Attributes>): readonly (Tensor | undefined)[];
  /**
   * The bounds of the indices in each input, if the operation chooses with them, or moves them to an output with which
   * something is chosen: see src/graph/bounds.ts. Absent if it does neither.
   */
  bounds?(context: BoundsContext<Attributes>): readonly (Bound | undefined)[];
  /** Temporary bytes that the instructions need, besides inputs and outputs. `wanted`: which outputs are computed. */
  scratchBytes?(
    inputs: readonly Tensor[],
    attributes: Attributes,
    wanted: readonly boolean[],
    choices: Choices,
  ): number;
  /**
   * How many of the first outputs are always computed. The others are computed if something reads them. Absent: all.
   */
  required?(attributes: Attributes): number;
  /** Which inputs are clocks, from which random numbers follow. */
  clocks?(attributes: Attributes): readonly number[];
  /**
   * The value of the outputs if an input has no elements: a sum of nothing is 0. `"forward"`: `forward` handles such
   * inputs. Absent: they are refused, unless the outputs have no elements either.
   */
  readonly ofNothing?: number | "forward";
  /** Inputs whose memory output 0 may reuse if nothing else needs them. */
  readonly inPlace?: readonly number[];
  /**
   * Done again in the place of its first input it changes nothing: so a state that it gives the next value of is changed
   * while a prediction runs, and one that is interrupted can be repeated. Needs that input to be `inPlace`.
   */
  readonly idempotent?: boolean;
  /** The code of this elementwise operation as the last pass of a node that `acceptsEpilogue`. */
  readonly epilogue?: number;
  readonly acceptsEpilogue?: boolean;
}

// Path of the layer that is being applied, name of the loop whose body is being traced, and the segment that nodes belong
// to. Tracing is synchronous, so one for all copies of the package is enough.
const scope = /* @__PURE__ */ shared("scope", { path: "", loop: "", segment: undefined as Segment | undefined });

/** Runs `work` in a scope that differs in this. Afterwards, and after an error, the scope is as before. */
function withChanged<T>(changes: Partial<typeof scope>, work: () => T): T {
  const before = { ...scope };
  Object.assign(scope, changes);
  try {
    return work();
  } finally {
    Object.assign(scope, before);
  }
}

/** Runs `work`. The nodes that it makes belong to the layer at this path. */
export function withScope<T>(path: string, work: () => T): T {
  return withChanged({ path }, work);
}

/** The same for a layer within the layer that is being applied: "0" in "encoder" is "encoder.0". */
export function withinScope<T>(name: string, work: () => T): T {
  return withScope(scope.path === "" ? name : `${scope.path}.${name}`, work);
}

/**
 * Runs `work`, which traces the body of a loop of this name. Segments end at a body: those in it are the body's own.
 */
export function withinLoop<T>(name: string, work: () => T): T {
  return withChanged({ loop: name, segment: undefined }, work);
}

/** Path of the layer that is being applied; "" outside of layers. */
export function currentScope(): string {
  return scope.path;
}

/** Name of the loop whose body is being traced; "" outside of loops. */
export function currentLoop(): string {
  return scope.loop;
}

/** Runs `work`. The nodes that it makes are a segment: the backward pass computes them again instead of keeping them. */
export function withinSegment<T>(work: () => T): T {
  return withSegment({ within: scope.segment }, work);
}

/** Runs `work`. The nodes that it makes belong to this segment. */
export function withSegment<T>(segment: Segment | undefined, work: () => T): T {
  return withChanged({ segment }, work);
}

/** The segment whose nodes are being made. */
export function currentSegment(): Segment | undefined {
  return scope.segment;
}

/** Applies an operation: makes the node and returns its outputs. */
export function applyAll<Attributes>(
  operation: Operation<Attributes>,
  inputs: readonly Tensor[],
  attributes: Attributes,
): readonly Tensor[] {
  inputs.forEach((one, index) => {
    checkTensor(operation.name, one, inputs.length === 1 ? undefined : `operand ${index + 1} must be a tensor`);
  });
  const specifications = operation.infer(inputs, attributes);
  checkElements(operation, inputs, specifications);
  return makeNode(
    { operation: operation as Operation<unknown>, attributes, scope: scope.path },
    inputs,
    specifications,
  );
}

/** Applies the operation of a node again, to other tensors of the same shapes. */
export function applyAgain(node: Node, inputs: readonly Tensor[]): readonly Tensor[] {
  const { operation, attributes, scope, original = node } = node;
  return makeNode({ operation, attributes, scope, original }, inputs, node.outputs);
}

function makeNode(
  parts: Pick<Node, "operation" | "attributes" | "scope" | "original">,
  inputs: readonly Tensor[],
  specifications: readonly Specification[],
): readonly Tensor[] {
  const outputs: Tensor[] = [];
  const node: Node = { id: nextId(inputs), ...parts, inputs: [...inputs], outputs, segment: scope.segment };
  specifications.forEach(({ shape, dtype }, index) => {
    outputs.push(
      made({
        id: nextId(),
        name: node.operation.name,
        shape: [...shape],
        dtype: dtype ?? "float32",
        source: { kind: "result", node, index },
      }),
    );
  });
  return outputs;
}

/** Throws if an input has no elements and the operation has no result for that. */
function checkElements<Attributes>(
  { name, forward, ofNothing }: Operation<Attributes>,
  inputs: readonly Tensor[],
  outputs: readonly Specification[],
): void {
  if (forward === undefined || ofNothing !== undefined || outputs.every(isEmpty)) return;
  const empty = inputs.find(isEmpty);
  if (empty === undefined) return;
  throw new ModelError(
    `${name}: there must be at least one element, got ${empty.name} of shape ${showShape(empty.shape)}: ` +
      "give the empty axis elements, or leave this operation out",
  );
}

/** Applies an operation and returns its result, output 0. */
export function apply<Attributes>(
  operation: Operation<Attributes>,
  inputs: readonly Tensor[],
  attributes: Attributes,
): Tensor {
  return applyAll(operation, inputs, attributes)[0];
}
