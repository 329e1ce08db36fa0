// What a user's function of tensors gets besides them: layers to apply, parameters, states, randomness.
import type { Initializer, ParameterOptions, Shape, Tensor } from "../graph/tensor.js";
import type { ForLayer, Given, Layer, LayerPorts } from "./layer.js";
import type { NamedShapes } from "./ports.js";

/** What a traced function can use. */
export interface Scope {
  /** Whether the program being made trains or predicts. */
  readonly training: boolean;
  /** The clock, seed and streams that operations with randomness take: `randomNormal(shape, scope.randomness())`. */
  randomness(): { clock: Tensor; seed: readonly [number, number]; stream: number };
  /** Applies layers one after another. A layer or model that is applied twice has one set of parameters. */
  apply(x: Tensor, ...layers: readonly Layer[]): Tensor;
  /** Applies a layer or model of several tensors: takes an object of them, some of which may be left out, or gives one. */
  apply<Takes extends LayerPorts, Gives extends LayerPorts, Optional extends NamedShapes>(
    x: Given<Takes, Optional, Tensor>,
    layer: Layer<Takes, Gives, Optional>,
  ): ForLayer<Gives, Tensor>;
  /** A parameter of this function's own, the same each time. Default initializer `glorotUniform()`, for one axis `zeros()`. */
  parameter(name: string, shape: Shape, initializer?: Initializer, options?: ParameterOptions): Tensor;
  /** Values that stay from step to step and that no optimizer changes: see `update`. Default initializer `zeros()`. */
  buffer(name: string, shape: Shape, initializer?: Initializer): Tensor;
  /**
   * Values that stay from call to call, a row for each row of the batch, so that the next batch goes on where this one
   * stopped: while predicting too. `shape`: [batch, …], as `[x.shape[0], 64]`. Zeros at first, and after `resetState()`;
   * while evaluating always. `update` changes them.
   */
  state(name: string, shape: Shape): Tensor;
  /** The new value of a buffer (written in training) or of a state (in predicting too), once the step is done. */
  update(target: Tensor, value: Tensor): void;
}
