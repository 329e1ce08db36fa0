// What an operation is: one definition with its shape rule, its forward instructions and its backward nodes.
import { made, shared } from "../engine/copies.js";
import { ModelError } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import type { BoundsContext } from "./bounds.js";
import { checkTensor, type DType, isEmpty, type Node, nextId, type Shape, showShape, type Tensor } from "./tensor.js";
import type { Bound } from "./values.js";

/** An output that a node will have. */
export interface Specification {
  readonly shape: Shape;
  readonly dtype?: DType;
}

/** What forward instructions are recorded with: addresses that the memory plan has given out. */
export interface Placement<Attributes> {
  readonly attributes: Attributes;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Address of each input and output, in order; 0 for an output that nobody reads, see `required`. */
  readonly from: readonly Pointer[];
  readonly to: readonly Pointer[];
  /** Address of the temporary bytes that `scratchBytes` asked for. */
  readonly scratch: Pointer;
  /** Code of the activation that was fused into this node, 0 for none; see `acceptsEpilogue`. */
  readonly epilogue: number;
}

/** What backward nodes are built from. */
export interface BackwardContext<Attributes> {
  readonly attributes: Attributes;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Gradient with respect to output 0, of its shape. */
  readonly gradient: Tensor;
  /** Gradient with respect to any output, for operations with several results. */
  gradientOf(output: Tensor): Tensor;
  /** Whether anything depends on that output: its gradient is 0 if not. */
  hasGradient(output: Tensor): boolean;
  /** For each input, whether anybody needs its gradient. */
  readonly needs: readonly boolean[];
}

export interface Operation<Attributes = undefined> {
  readonly name: string;
  /** Shape rule: the outputs for these inputs. Throws ModelError where they do not fit. Output 0 is the result. */
  infer(inputs: readonly Tensor[], attributes: Attributes): readonly Specification[];
  /** Records the instructions that compute the outputs. Absent where output 0 is a view of input 0. */
  forward?(record: Recorder, at: Placement<Attributes>): void;
  /**
   * The gradient for each input, `undefined` where it is zero or not needed. A gradient may have the
   * broadcast shape of the output: it is summed back to its input's shape by the caller.
   * Absent where the operation has no derivative.
   */
  backward?(context: BackwardContext<Attributes>): readonly (Tensor | undefined)[];
  /**
   * What the whole numbers of each input must be below: as the operation chooses from so many things with them, or moves
   * them to an output that is chosen with. Absent where it does neither; see src/graph/bounds.ts.
   */
  bounds?(context: BoundsContext<Attributes>): readonly (Bound | undefined)[];
  /** Temporary bytes that the instructions need beside inputs and outputs. `wanted`: which outputs are computed. */
  scratchBytes?(inputs: readonly Tensor[], attributes: Attributes, wanted: readonly boolean[]): number;
  /** How many outputs, the first ones, are computed in any case; the others if somebody reads them. Absent: all. */
  required?(attributes: Attributes): number;
  /** Which inputs are clocks: random numbers are drawn by them. */
  clocks?(attributes: Attributes): readonly number[];
  /**
   * What fills the outputs if an input has no elements, as a sum of none is 0; `"forward"`: `forward` takes such inputs.
   * Absent: they are refused, unless the outputs have no elements either.
   */
  readonly ofNothing?: number | "forward";
  /** Inputs whose memory output 0 may take over when nobody else needs them. */
  readonly inPlace?: readonly number[];
  /** This elementwise operation can be the last pass of a node that `acceptsEpilogue`, under this code. */
  readonly epilogue?: number;
  readonly acceptsEpilogue?: boolean;
}

// Path of the layer that is being applied, and name of the loop whose body is being traced. Tracing is synchronous, so one
// for all copies of the package is enough.
const scope = /* @__PURE__ */ shared("scope", { path: "", loop: "" });

/** Does `work` with the nodes that it makes belonging to the layer at this path; also after an error the scope is as before. */
export function withScope<T>(path: string, work: () => T): T {
  const before = scope.path;
  scope.path = path;
  try {
    return work();
  } finally {
    scope.path = before;
  }
}

/** The same for a layer within the one that is being applied: "0" in "encoder" is "encoder.0". */
export function withinScope<T>(name: string, work: () => T): T {
  return withScope(scope.path === "" ? name : `${scope.path}.${name}`, work);
}

/** Does `work`, which traces the body of a loop of this name. After an error the scope is as before, too. */
export function withinLoop<T>(name: string, work: () => T): T {
  const before = scope.loop;
  scope.loop = name;
  try {
    return work();
  } finally {
    scope.loop = before;
  }
}

/** Name of the loop whose body is being traced; "" outside of loops. */
export function currentLoop(): string {
  return scope.loop;
}

/** Applies an operation: makes the node, returns its outputs. */
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
  const outputs: Tensor[] = [];
  const node: Node = {
    id: nextId(inputs),
    operation,
    attributes,
    inputs: [...inputs],
    outputs,
    scope: scope.path,
  };
  specifications.forEach(({ shape, dtype }, index) => {
    outputs.push(
      made({
        id: nextId(),
        name: operation.name,
        shape: [...shape],
        dtype: dtype ?? "float32",
        source: { kind: "result", node, index },
      }),
    );
  });
  return outputs;
}

/** Refuses results of no elements where there are none. */
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
