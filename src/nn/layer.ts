// What a layer is: it sees the shape that comes in, makes its parameters, and applies itself to a tensor.
import type { Shape, Tensor } from "../graph/tensor.js";

/** What a layer may need to know when it is applied. */
export interface LayerContext {
  /** Whether the program being built trains (dropout on) or predicts. */
  readonly training: boolean;
  /** The trainer's clock: a `uint32` leaf that holds the step. */
  readonly clock: Tensor;
  readonly seed: readonly [low: number, high: number];
}

/** A parameter of a layer: its name within the layer ("weight"), and its symbolic tensor. */
export interface LayerParameter {
  readonly name: string;
  readonly tensor: Tensor;
}

/** A layer in its place in a model. */
export interface BuiltLayer {
  /** Shape of one sample's output, without the batch axis. */
  readonly outputShape: Shape;
  readonly parameters: readonly LayerParameter[];
  /** x [batch, ...inputShape] → [batch, ...outputShape]. */
  apply(x: Tensor, context: LayerContext): Tensor;
}

/** Where a layer is built: what its errors and its random numbers are told apart by. */
export interface LayerPlace {
  /** `dense "hidden"` or `dense 0`: how errors begin. */
  readonly where: string;
  /** Path of the layer's parameters: its name, or its index in the model. */
  readonly path: string;
  /** Number of the layer in its model, from 0. */
  readonly index: number;
}

/** A layer before it has a place: what `dense(10)` returns. */
export interface Layer {
  readonly kind: string;
  /** Replaces the layer's index in parameter paths and errors. */
  readonly name?: string | undefined;
  /** Shapes are of one sample, without the batch axis. Throws ModelError where the input does not fit. */
  build(place: LayerPlace, inputShape: Shape): BuiltLayer;
}
