// What a layer is: it gets the shape of its input, makes its parameters, and is applied to a tensor.
import { checkMade } from "../engine/copies.js";
import { ModelError, remedyForValue, showValue } from "../engine/errors.js";
import { currentLoop } from "../graph/operation.js";
import {
  checkTensor,
  constant,
  type DType,
  input,
  type Shape,
  sameShape,
  showShape,
  type Tensor,
} from "../graph/tensor.js";
import { copyOf } from "../ops/elementwise.js";
import { broadcastTo } from "../ops/shape.js";
import type { NamedShapes, Ports } from "./ports.js";

/**
 * What a layer takes or gives. One tensor: the number of axes of a sample, for the compiler alone (`number` is any,
 * `"same"` as many as come in). Several: their shapes by name.
 */
export type LayerPorts = number | "same" | NamedShapes;

/** One thing for each tensor that a layer takes or gives: `T` itself, or an object of them by name. */
export type ForLayer<P extends LayerPorts, T> = P extends NamedShapes ? { readonly [K in keyof P]: T } : T;

/** No tensors by name: what most layers may leave out. */
export type NoPorts = Record<never, never>;

/**
 * What a layer is applied to, if some of it may be left out: one tensor and others by name, as `{ x, mask }` (the
 * tensor alone if all others are left out), or an object of several with them.
 */
export type Given<Takes extends LayerPorts, Optional extends NamedShapes, T> = keyof Optional extends never
  ? ForLayer<Takes, T>
  : Takes extends NamedShapes
    ? ForLayer<Takes, T> & MayHave<Optional, T>
    : T | ({ readonly x: T } & MayHave<Optional, T>);

type MayHave<Optional extends NamedShapes, T> = { readonly [K in keyof Optional]?: T | undefined };

/** The ports of a model that is used as a layer. */
export type PortsOfModel<P extends Ports> = P extends NamedShapes ? P : P extends Shape ? P["length"] : never;

/** What a layer may need when it is applied. */
export interface LayerContext {
  /** Whether the program being built trains (dropout on) or predicts. */
  readonly training: boolean;
  /** The trainer's clock: a `uint32` leaf that holds the step. */
  readonly clock: Tensor;
  readonly seed: readonly [low: number, high: number];
  /** The next number of a random stream. Each use of randomness in a model takes a new one. */
  stream(): number;
  /** The values of a state before this step: [rows, ...shape]. */
  state(state: LayerState, rows: number): Tensor;
  /**
   * Sets the new value of a buffer, or of a tensor from `state`. It is written at the end of the step; the last value
   * counts. Buffers only change in training, states in prediction too.
   */
  update(target: Tensor, value: Tensor): void;
  /**
   * Given if nothing but the statistics of normalization is made anew, as the mean over batches: `batch` [1] is the number of
   * this one, from 1, and `set` is `update` for them. `update` then changes nothing.
   */
  readonly renewal?: { readonly batch: Tensor; readonly set: LayerContext["update"] } | undefined;
  /** Is told what each layer gives, with the layer's path: "encoder.0". */
  readonly observe?: ((path: string, result: unknown) => void) | undefined;
}

/** The parts of a context. */
export interface ContextOptions extends Pick<LayerContext, "training" | "clock" | "seed"> {
  /** How many rows a batch has. Absent if that cannot be known, as in a custom step. Default: not known. */
  readonly batch?: number;
  /** Whether states are zeros and do not change, as in an evaluation. Default false. */
  readonly fresh?: boolean;
  /**
   * The number of a batch, [1], if nothing but the statistics of normalization changes: see LayerContext.renewal.
   * Default none.
   */
  readonly renews?: Tensor | undefined;
  /** Is told what each layer gives. Default none. */
  readonly observe?: LayerContext["observe"];
}

/** With what a traced program writes at the end of a step, and the states that it reads. */
export interface TracedContext extends LayerContext {
  readonly updates: ReadonlyMap<Tensor, Tensor>;
  readonly states: ReadonlyMap<LayerState, Tensor>;
  /** Whether a stream was taken: the seed is in what was traced. */
  readonly isRandom: boolean;
}

/** A context that numbers the streams and collects states and updates. */
export function layerContext({ batch, fresh = false, renews, ...of }: ContextOptions): TracedContext {
  const updates = new Map<Tensor, Tensor>();
  const states = new Map<LayerState, Tensor>();
  const zeros = new Map<LayerState, Tensor>();
  let streams = 0;
  const change = (target: Tensor, value: Tensor, changes: boolean): void => {
    refuseInLoop("update", checkTensor("update", target, "must be given a buffer").name);
    const isState = [...states.values(), ...zeros.values()].includes(target);
    checkUpdate(target, value, isState);
    if (isState ? !fresh : changes) updates.set(target, copyBeforeChanges(value, states));
  };
  return {
    ...of,
    renewal: renews && { batch: renews, set: (target, value) => change(target, value, true) },
    updates,
    states,
    stream: () => streams++,
    get isRandom() {
      return streams > 0;
    },
    state(state, rows) {
      refuseInLoop("state", state.name);
      if (batch !== undefined && rows !== batch) {
        throw new ModelError(
          `state: ${showValue(state.name)} must have a row for each of the batch, [${batch}, …], got [${rows}, …]: its first axis is x.shape[0]`,
        );
      }
      const made = fresh ? zeros : states;
      const known = made.get(state);
      if (known !== undefined) return known;
      const shape = [rows, ...state.shape];
      const tensor = fresh ? broadcastTo(constant(0), shape) : input(shape, { name: state.name });
      made.set(state, tensor);
      return tensor;
    },
    update: (target, value) => change(target, value, of.training && renews === undefined),
  };
}

/** Throws in the body of a loop: buffers and states change once in a step, but the body runs many times. */
function refuseInLoop(what: string, name: string): void {
  const loop = currentLoop();
  if (loop === "") return;
  throw new ModelError(
    `${what}: the body of ${loop} cannot read or change what is kept from step to step, got ${showValue(name)}: use it outside of the body, whose carry it may be`,
  );
}

/**
 * The results of a step are from before its changes. So a parameter, buffer or state, or a view of one, is copied
 * first.
 */
export function copyBeforeChanges(tensor: Tensor, states: ReadonlyMap<LayerState, Tensor>): Tensor {
  let root = tensor;
  while (root.source.kind === "result" && root.source.node.operation.forward === undefined) {
    root = root.source.node.inputs[0];
  }
  return root.source.kind === "parameter" || [...states.values()].includes(root) ? copyOf(tensor) : tensor;
}

function checkUpdate(target: Tensor, value: Tensor, isState: boolean): void {
  const { source, name, shape } = checkTensor("update", target, "must be given a buffer");
  if (!isState && (source.kind !== "parameter" || source.trainable)) {
    throw new ModelError(
      `update: must be given a buffer or a state, got ${name} (${source.kind}): make one with scope.buffer() or scope.state()`,
    );
  }
  const given = checkTensor("update", value, `the new value of ${name} must be a tensor`);
  if (given.dtype === "float32" && sameShape(given.shape, shape)) return;
  throw new ModelError(
    `update: the new value of ${name} must be float32 ${showShape(shape)}, got ${given.dtype} ${showShape(given.shape)}`,
  );
}

/** A parameter or buffer of a layer: its name within the layer ("weight"), and its symbolic tensor. */
export interface LayerParameter {
  readonly name: string;
  readonly tensor: Tensor;
}

/**
 * Values that a layer keeps from call to call, one row for each row of the batch. It is identified by the object
 * itself.
 */
export interface LayerState {
  /** Its name in errors. */
  readonly name: string;
  /** The shape of one row. */
  readonly shape: Shape;
  /** Whether only predictions go on with it, and training does not read it. Default false. */
  readonly predictsOnly?: boolean;
}

/** A layer at the place of its first application. */
export interface AppliedLayer extends BuiltLayer<LayerPorts, LayerPorts, NamedShapes> {
  readonly kind: string;
  /** Its name, or the number of its application in the function that applies it. */
  readonly path: string;
  /** Whether the backward pass computes the values of that application again: see `recompute`. */
  readonly recomputed: boolean;
}

/** The layers in a layer. */
export interface LayerParts {
  readonly layers: readonly AppliedLayer[];
}

/** A layer in its place in a model. */
export interface BuiltLayer<
  Takes extends LayerPorts = number,
  Gives extends LayerPorts = number | "same",
  Optional extends NamedShapes = NoPorts,
> {
  /** Shape of one sample's output, without the batch axis; by name if there are several. */
  readonly outputShape: ForLayer<Gives, Shape>;
  readonly parameters: readonly LayerParameter[];
  /** With their names within the layer. Default none. */
  readonly states?: readonly { readonly name: string; readonly state: LayerState }[];
  readonly parts?: LayerParts;
  /**
   * x [batch, ...inputShape] → [batch, ...outputShape], or objects of such tensors by name. Sizes are taken from `x`,
   * not from `inputShape`: what the parameters leave open, as the height and width of an image, may differ from program
   * to program. So may what is left out of the inputs, if something may be.
   */
  apply(x: Given<Takes, Optional, Tensor>, context: LayerContext): ForLayer<Gives, Tensor>;
}

/** The place of a layer, by which its errors and parameters are identified. */
export interface LayerPlace {
  /** `dense "hidden"` or `dense 0`: how errors begin. */
  readonly where: string;
  /** Path of the layer's parameters: its name, or its index in the model. */
  readonly path: string;
}

/**
 * A layer before it has a place: what `dense(10)` returns. `Takes` and `Gives`: numbers of axes of one sample, or the
 * names of several tensors; see LayerPorts. `Optional`: names of tensors that it takes too, if they are given, as masks
 * and states; the one that must be given is then called `x`, if it is a single one: `apply(x, layer)` or `apply({ x,
 * mask }, layer)`.
 */
export interface Layer<
  Takes extends LayerPorts = number,
  Gives extends LayerPorts = number | "same",
  Optional extends NamedShapes = NoPorts,
> {
  readonly kind: string;
  /** Replaces the layer's index in parameter paths and errors. */
  readonly name?: string | undefined;
  /** Names of the tensors that it takes, what may be left out as "mask?"; absent: one without a name. */
  readonly inputNames?: readonly string[] | undefined;
  /**
   * What the function that made it was called with, as an array: `[10, { bias: false }]` of `dense(10, { bias: false })`. A
   * function that makes the layer in each trace must use the same options, and a saved model makes it of them again.
   */
  readonly options?: unknown;
  /** Whether `defineLayer` made its function. Default false. */
  readonly isCustom?: boolean | undefined;
  /** The layer whose values the backward pass computes again, if it is that layer otherwise: what `recompute` makes. */
  readonly recomputes?: AnyLayer | undefined;
  /** Does not exist at run time. */
  readonly ports?: { readonly takes: Takes; readonly gives: Gives; readonly optional: Optional };
  /**
   * Shapes are of one sample, without the batch axis; `dtype`: what comes in, float32 if absent; objects of them for
   * several inputs. They are those of the first application, which may leave out what later ones give. Throws
   * ModelError if the input does not fit.
   */
  build(
    place: LayerPlace,
    inputShape: Given<Takes, Optional, Shape>,
    dtype?: Given<Takes, Optional, DType>,
  ): BuiltLayer<Takes, Gives, Optional>;
}

/** Gives a layer of one tensor its numbers of axes, for the compiler. */
export function axesOf<Takes extends number, Gives extends number | "same">(layer: Layer): Layer<Takes, Gives> {
  return layer as unknown as Layer<Takes, Gives>;
}

/** A layer of any ports. */
export type AnyLayer = Layer<LayerPorts, LayerPorts, NamedShapes>;

/** Whether a layer takes a tensor without a name: as it is, or as the `x` of those that it takes if they are given. */
export function takesOne({ inputNames }: AnyLayer): boolean {
  return (
    inputNames === undefined ||
    (inputNames.includes("x") && inputNames.every((name) => name === "x" || name.endsWith("?")))
  );
}

/** Throws if it is not a layer, with a hint at what was probably meant. */
export function checkLayer(where: string, value: unknown): AnyLayer {
  const { kind, name, build } = (value ?? {}) as Partial<AnyLayer>;
  if (typeof value !== "object" || typeof kind !== "string" || typeof build !== "function") {
    throw new ModelError(
      `${where}: must be given layers such as dense(10), got ${showValue(value)}${remedyForLayer(value)}`,
    );
  }
  checkMade(where, value);
  if (name !== undefined) checkName(kind, name);
  return value as AnyLayer;
}

function remedyForLayer(value: unknown): string {
  if (Array.isArray(value)) return ": spread the list, as ...layers";
  return value === undefined ? ": is it imported by its right name?" : remedyForValue(value, "relu");
}

export function checkName(kind: string, name: unknown): void {
  if (typeof name === "string" && name !== "") return;
  throw new ModelError(`${kind}: name must be a text of at least one character, got ${showValue(name)}`);
}

/**
 * Each layer of a chain for samples of `Axes` axes. A layer that takes other samples is replaced by a text that says
 * so.
 */
export type Chain<Axes extends number, Layers extends readonly Layer[]> = Layers extends readonly [
  infer First extends Layer,
  ...infer Rest extends readonly Layer[],
]
  ? First extends Layer<infer Takes extends number, infer Gives extends number | "same">
    ? readonly [Fit<Axes, Takes, First>, ...Chain<AxesAfter<Axes, Gives>, Rest>]
    : never
  : Layers;

type Fit<Axes extends number, Takes extends number, One> = number extends Axes
  ? One
  : Axes extends Takes
    ? One
    : `This layer takes samples of ${Takes} axes without the batch, but gets ${Axes}`;

type AxesAfter<Axes extends number, Gives extends number | "same"> = number extends Gives
  ? number
  : Gives extends number
    ? Gives
    : Axes;

/**
 * Builds a layer of images. If it refuses an image whose channels seem to come first, the error says so: here, [1, 28,
 * 28] is a row of 28 pixels with 28 channels.
 */
export function channelsLast<T>(inputShape: Shape, build: () => T): T {
  try {
    return build();
  } catch (error) {
    const [first, ...rest] = inputShape;
    const isFirst = rest.length > 1 && first <= 4 && rest.every((size) => size > 4 && size === rest[0]);
    if (!isFirst || !(error instanceof ModelError)) throw error;
    throw new ModelError(
      `${error.message}; channels come last here: is ${showShape(inputShape)} meant to be ${showShape([...rest, first])}? permute([2, 3, 1]) turns it`,
      { cause: error },
    );
  }
}
