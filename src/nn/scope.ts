// The second argument of a function of tensors: it applies layers, and makes parameters, states and randomness.
import type { Initializer, ParameterOptions, Shape, Tensor } from "../graph/tensor.js";
import type { ForLayer, Given, Layer, LayerPorts } from "./layer.js";
import type { NamedShapes } from "./ports.js";

/** What a traced function can use. */
export interface Scope {
  /** Whether the program that is being made trains (true) or predicts. */
  readonly training: boolean;
  /** The arguments of operations with randomness: `randomNormal(shape, scope.randomness())`. */
  randomness(): { clock: Tensor; seed: readonly [number, number]; stream: number };
  /** Applies layers one after another. A layer or model that is applied twice has one set of parameters. */
  apply(x: Tensor, ...layers: readonly Layer[]): Tensor;
  /**
   * Applies a layer or model of several tensors: takes an object of them, some of which may be left out, or gives one.
   */
  apply<Takes extends LayerPorts, Gives extends LayerPorts, Optional extends NamedShapes>(
    x: Given<Takes, Optional, Tensor>,
    layer: Layer<Takes, Gives, Optional>,
  ): ForLayer<Gives, Tensor>;
  /**
   * A parameter of this function, the same in each trace. Default initializer `glorotUniform()`, for one axis
   * `zeros()`.
   */
  parameter(name: string, shape: Shape, initializer?: Initializer, options?: ParameterOptions): Tensor;
  /**
   * Values that are kept from step to step. No optimizer changes them, but `update` does. Default initializer
   * `zeros()`.
   */
  buffer(name: string, shape: Shape, initializer?: Initializer): Tensor;
  /**
   * Values that are kept from call to call, one row for each row of the batch. So the next batch continues where this
   * one stopped, while predicting too. `shape`: [batch, …], such as `[x.shape[0], 64]`. They are zeros at the start and
   * after `resetState()`, and always in an evaluation. `update` changes them. Not in the body of a `scan`.
   */
  state(name: string, shape: Shape): Tensor;
  /**
   * Sets the new value of a buffer or a state. It is written at the end of the step: buffers only in training, states
   * in prediction too. Not in the body of a `scan`.
   */
  update(target: Tensor, value: Tensor): void;
}
