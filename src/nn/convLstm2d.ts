// A convolutional LSTM as a layer: an LSTM's steps by scan, with convolutions in the place of its products.
import { checkInteger, ModelError } from "../engine/errors.js";
import { flag, joined, number, type OptionsOf, type ReadOptions } from "../engine/options.js";
import {
  type Constraint,
  type Initializer,
  type Regularizer,
  type Shape,
  showShape,
  type Tensor,
} from "../graph/tensor.js";
import { conv2d } from "../ops/conv.js";
import { gradientRules } from "../ops/gradient.js";
import { lstmStep } from "../ops/recurrentLstm.js";
import { scan } from "../ops/scan.js";
import { reshape } from "../ops/shape.js";
import { perAxis, WINDOW, type Window2dOptions, windowOf } from "../ops/window.js";
import { layerOf } from "./defineLayer.js";
import { glorotUniform, orthogonal } from "./initializers.js";
import type { Layer } from "./layer.js";
import { forgetting } from "./lstm.js";
import { BIAS, partOptions, readLayerOptions, WEIGHT } from "./options.js";
import type { Scope } from "./scope.js";

export interface ConvLstm2dOptions extends Window2dOptions {
  /** Names the layer in parameter paths and errors. Default: its number. */
  name?: string;
  /** From the last step to the first; outputs stay at their steps. Default false. */
  reverse?: boolean;
  /** Whether all outputs are given, or the last only. Default false: the last. */
  returnSequences?: boolean;
  /** What the bias of the forget gate begins with, if `biasInitializer` is not given. Default 1. */
  forgetBias?: number;
  /** Whether a bias is added. Default true. */
  bias?: boolean;
  /** Of the weight [height, width, channels, 4 · filters]. Default `glorotUniform()`. */
  weightInitializer?: Initializer;
  /** What the weight adds to the loss: `l2(1e-4)`. Default nothing. */
  weightRegularizer?: Regularizer;
  /** What the weight is brought back to after each step: `maxNorm(3)`. Default nothing. */
  weightConstraint?: Constraint;
  /** Of the weight of the state [height, width, filters, 4 · filters]. Default `orthogonal()`. */
  recurrentWeightInitializer?: Initializer;
  /** What the weight of the state adds to the loss: `l2(1e-4)`. Default nothing. */
  recurrentWeightRegularizer?: Regularizer;
  /** What the weight of the state is brought back to after each step: `maxNorm(3)`. Default nothing. */
  recurrentWeightConstraint?: Constraint;
  /** Of the bias [4 · filters]. Default `zeros()`. */
  biasInitializer?: Initializer;
  /** What the bias adds to the loss: `l2(1e-4)`. Default nothing. */
  biasRegularizer?: Regularizer;
  /** What the bias is brought back to after each step: `maxNorm(3)`. Default nothing. */
  biasConstraint?: Constraint;
}

const OPTIONS = joined(WEIGHT, BIAS, partOptions("recurrentWeight"), WINDOW, {
  reverse: flag(false),
  returnSequences: flag(false),
  forgetBias: number(1),
}) satisfies OptionsOf<ConvLstm2dOptions>;

/**
 * An LSTM over sequences of images [batch, time, height, width, channels], whose products are convolutions (Shi et al. 2015), as
 * Keras' ConvLSTM2D: stride, dilation and padding are those of the input's; the state's has stride 1 and keeps its size. Gives
 * the last output [batch, height, width, filters], or all [batch, time, …]. Its steps are a `scan`. Parameters: weight [...window,
 * channels, 4 · filters], recurrentWeight [...window, filters, 4 · filters], bias [4 · filters], gates i, f, g, o. Throws
 * ModelError if an option or a shape does not fit.
 *
 * @example
 * const model = sequential({ input: [10, 32, 32, 1] }, convLstm2d(8, 3, { padding: "same" }), conv2d(1, 1));
 */
export function convLstm2d<const Sequences extends boolean = false>(
  filters: number,
  window: number | readonly [height: number, width: number],
  options: ConvLstm2dOptions & { returnSequences?: Sequences } = {},
): Layer<4, Sequences extends true ? 4 : 3> {
  checkInteger("convLstm2d", "filters", filters, 1);
  const read = readLayerOptions("convLstm2d", options as ConvLstm2dOptions, OPTIONS);
  const size = perAxis("convLstm2d", "window", window, 2, 1);
  windowOf("convLstm2d", 2, options);
  const about = { kind: "convLstm2d", name: read.name, options: [filters, size, options] };
  return layerOf(about, (x: Tensor, scope) => unrolled(x, scope, filters, size, read)) as unknown as Layer<
    4,
    Sequences extends true ? 4 : 3
  >;
}

function unrolled(x: Tensor, { parameter }: Scope, filters: number, size: Shape, options: ReadOptions<typeof OPTIONS>) {
  if (x.shape.length !== 5 || x.dtype !== "float32") {
    throw new ModelError(
      `input must be [batch, time, height, width, channels], got ${x.dtype} ${showShape(x.shape)}: each step is an image`,
    );
  }
  const [batch, time, height, width, channels] = x.shape;
  const make = (name: "weight" | "recurrentWeight" | "bias", shape: Shape, initializer: Initializer) =>
    parameter(name, shape, options[`${name}Initializer`] ?? initializer, {
      regularizer: options[`${name}Regularizer`],
      constraint: options[`${name}Constraint`],
    });
  const weight = make("weight", [...size, channels, 4 * filters], glorotUniform());
  const recurrentWeight = make("recurrentWeight", [...size, filters, 4 * filters], orthogonal());
  const bias = options.bias ? make("bias", [4 * filters], forgetting(options.forgetBias)) : undefined;
  // Of all steps at once, as nothing of it depends on a state.
  const given = Object.entries({ stride: options.stride, dilation: options.dilation, padding: options.padding, bias });
  const known = Object.fromEntries(given.filter(([, value]) => value !== undefined));
  const images = conv2d(reshape(x, [batch * time, height, width, channels]), weight, known);
  const projected = reshape(images, [batch, time, ...images.shape.slice(1)]);
  const zeros = gradientRules.full([batch, ...images.shape.slice(1, 3), filters], 0);
  const times = (hidden: Tensor) => conv2d(hidden, recurrentWeight, { padding: "same" });
  const [last, outputs] = scan(
    ({ hidden, cell }: { hidden: Tensor; cell: Tensor }, row: Tensor) => {
      const next = lstmStep(row, hidden, cell, { times });
      return [{ hidden: next.hidden, cell: next.cell }, next.hidden];
    },
    { hidden: zeros, cell: zeros },
    projected,
    { axis: 1, reverse: options.reverse },
  );
  return options.returnSequences ? outputs : last.hidden;
}
