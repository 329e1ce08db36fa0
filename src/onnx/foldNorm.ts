// Batch normalization of a prediction is a factor and a term for each channel: the product before it can have them in its
// weights.
import type { Node, Tensor } from "../graph/tensor.js";
import type { Normalization } from "../ops/norm.js";
import { normalizeOp } from "../ops/norm.js";
import { reshapeOp } from "../ops/shape.js";
import type { Lowering } from "./lowering.js";

/** The operands of a product [..., channels]. */
interface Operands {
  readonly weight: string;
  /** None: the product adds nothing. */
  readonly bias: string | undefined;
  /** The channel of each element of the weight. Default: its last axis. */
  readonly channelOf?: (index: number) => number;
}

/**
 * The weight and the bias of a product whose result is `y`, with those of the batch normalization that alone reads it, if that is
 * asked for and all of it is known.
 */
export function withNorm(on: Lowering, y: Tensor, { weight, bias, channelOf }: Operands): Omit<Operands, "channelOf"> {
  const channels = y.shape[y.shape.length - 1];
  const norm = on.around.folds ? readerOf(on, y) : undefined;
  const lines = norm && linesOf(on, norm, channels);
  const known = on.build.known(weight);
  const before = bias === undefined ? new Float32Array(channels) : on.build.known(bias)?.data;
  if (norm === undefined || lines === undefined || known === undefined || before === undefined) return { weight, bias };
  const { factors, means, beta } = lines;
  const channel = channelOf ?? ((index: number) => index % channels);
  const data = Float32Array.from(known.data, (one, index) => one * factors[channel(index)]);
  const terms = Float32Array.from(before, (one, index) => (one - means[index]) * factors[index] + beta[index]);
  on.folded.add(norm);
  return {
    weight: on.build.initializer(weight, { ...known, data }),
    bias: on.build.initializer(bias ?? `${weight}.bias`, { dims: [channels], type: "float", data: terms }),
  };
}

/** The normalization that alone reads `y`, in whatever shape: a channel stays every so many elements. */
function readerOf(on: Lowering, y: Tensor): Node | undefined {
  const [reader, ...others] = on.readersOf(y);
  if (reader === undefined || others.length > 0 || on.ends.includes(y) || reader.inputs[0] !== y) return undefined;
  if (reader.operation.name === normalizeOp.name) return reader;
  return reader.operation.name === reshapeOp.name ? readerOf(on, reader.outputs[0]) : undefined;
}

/** What a normalization does to each channel, if its statistics are no part of the prediction. */
function linesOf(on: Lowering, { attributes, inputs: [, ...operands] }: Node, channels: number) {
  const { fixed, epsilon, hasWeight, hasBias, channels: ownChannels } = attributes as Normalization;
  if (!fixed || ownChannels !== channels) return undefined;
  const [means, variances, ...rest] = operands.map((tensor) => on.knownOf(tensor)?.data);
  const gamma = hasWeight ? rest[0] : new Float32Array(channels).fill(1);
  const beta = hasBias ? rest[Number(hasWeight)] : new Float32Array(channels);
  if (!means || !variances || !gamma || !beta) return undefined;
  const factors = Array.from(gamma, (one, channel) => one / Math.sqrt(variances[channel] + epsilon));
  return { factors, means, beta };
}
