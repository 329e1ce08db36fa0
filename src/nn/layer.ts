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

/** A layer in its place in a model. */
export interface BuiltLayer {
  /** Shape of one sample's output, without the batch axis. */
  readonly outputShape: Shape;
  readonly parameters: readonly LayerParameter[];
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

/** A layer before it has a place: what `dense(10)` returns. */
export interface Layer {
  readonly kind: string;
  /** Replaces the layer's index in parameter paths and errors. */
  readonly name?: string | undefined;
  /** Shapes are of one sample, without the batch axis. Throws ModelError where the input does not fit. */
  build(place: LayerPlace, inputShape: Shape): BuiltLayer;
}
