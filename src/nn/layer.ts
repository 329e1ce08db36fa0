// What a layer is: it sees the shape that comes in, makes its parameters, and applies itself to a tensor.
import type { Shape, Tensor } from "../graph/tensor.js";

/** What a layer may need to know when it is applied. */
export interface LayerContext {
  /** Whether the program being built trains (dropout on) or predicts. */
  readonly training: boolean;
  /** The trainer's clock: a `uint32` leaf that holds the step. */
  readonly clock: Tensor;
  readonly seed: readonly [low: number, high: number];
  /** The next number of a stream of random numbers: each use of randomness in a model takes one of its own. */
  stream(): number;
  /** Notes a buffer's new value: it is written when the step is done. The last one counts. Ignored while predicting. */
  update(buffer: Tensor, value: Tensor): void;
}

/** A context that numbers the streams and collects the updates. */
export function layerContext(
  of: Pick<LayerContext, "training" | "clock" | "seed">,
): LayerContext & { readonly updates: ReadonlyMap<Tensor, Tensor> } {
  const updates = new Map<Tensor, Tensor>();
  let streams = 0;
  return {
    ...of,
    updates,
    stream: () => streams++,
    update(buffer, value) {
      if (of.training) updates.set(buffer, value);
    },
  };
}

/** A parameter or buffer of a layer: its name within the layer ("weight"), and its symbolic tensor. */
export interface LayerParameter {
  readonly name: string;
  readonly tensor: Tensor;
}

/** A layer that was applied, in the place of its first application. */
export interface ModelLayer extends BuiltLayer {
  readonly kind: string;
  /** Its name, or the number of its application, within what applies it. */
  readonly path: string;
}

/** What a layer is made of, where it is made of layers. */
export interface LayerParts {
  readonly layers: readonly ModelLayer[];
  /** By name, where there are several. */
  readonly outputs?: readonly { readonly key: string | undefined; readonly shape: Shape }[];
}

/** A layer in its place in a model. */
export interface BuiltLayer {
  /** Shape of one sample's output, without the batch axis. */
  readonly outputShape: Shape;
  readonly parameters: readonly LayerParameter[];
  readonly parts?: LayerParts;
  /**
   * x [batch, ...inputShape] → [batch, ...outputShape]. Sizes are taken from `x`, not from `inputShape`: what the
   * parameters leave open, as the height and width of an image, may differ from program to program.
   */
  apply(x: Tensor, context: LayerContext): Tensor;
}

/** Where a layer is built: what its errors and parameters are told apart by. */
export interface LayerPlace {
  /** `dense "hidden"` or `dense 0`: how errors begin. */
  readonly where: string;
  /** Path of the layer's parameters: its name, or its index in the model. */
  readonly path: string;
}

/**
 * A layer before it has a place: what `dense(10)` returns. `Takes` and `Gives` are the numbers of axes of one sample, for
 * the compiler alone: `"same"` gives what came in, `number` is anything.
 */
export interface Layer<Takes extends number = number, Gives extends number | "same" = number | "same"> {
  readonly kind: string;
  /** Replaces the layer's index in parameter paths and errors. */
  readonly name?: string | undefined;
  /** Never there at run time. */
  readonly axes?: { readonly takes: Takes; readonly gives: Gives };
  /** Shapes are of one sample, without the batch axis. Throws ModelError where the input does not fit. */
  build(place: LayerPlace, inputShape: Shape): BuiltLayer;
}

/** Each layer of a chain for samples of `Axes` axes; where one takes other samples, what is wrong instead of it. */
export type Chain<Axes extends number, Layers extends readonly Layer[]> = Layers extends readonly [
  infer First extends Layer,
  ...infer Rest extends readonly Layer[],
]
  ? First extends Layer<infer Takes, infer Gives>
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
