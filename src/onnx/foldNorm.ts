// Batch normalization of a prediction is a factor and a term for each channel: the product before it can have them in its
// weights.
import type { Tensor } from "../graph/tensor.js";
import type { Normalization } from "../ops/norm.js";
import { normalizeOp } from "../ops/norm.js";
import type { Lowering } from "./lowering.js";

/**
 * The weight [..., channels] and the bias of a product whose result is `y`, with those of the batch normalization that alone reads
 * it, if that is asked for and all of it is known.
 */
export function withNorm(
  on: Lowering,
  y: Tensor,
  weight: string,
  bias: string | undefined,
): [weight: string, bias: string | undefined] {
  const unchanged: [string, string | undefined] = [weight, bias];
  const [reader, ...others] = on.readersOf(y);
  if (!on.around.folds || others.length > 0 || reader?.operation.name !== normalizeOp.name) return unchanged;
  const { fixed, epsilon, channels, hasWeight, hasBias } = reader.attributes as Normalization;
  const [x, mean, variance, ...rest] = reader.inputs;
  if (!fixed || x !== y || on.around.trace.outputs.includes(y)) return unchanged;
  const dataOf = (name: string | undefined) => (name === undefined ? undefined : on.build.known(name)?.data);
  const read = (tensor: Tensor | undefined) => (tensor === undefined ? undefined : dataOf(on.plain(tensor)));
  const [means, variances] = [read(mean), read(variance)];
  const gamma = hasWeight ? read(rest[0]) : ones(channels);
  const beta = hasBias ? read(rest[Number(hasWeight)]) : new Float32Array(channels);
  const known = on.build.known(weight);
  const before = bias === undefined ? new Float32Array(channels) : dataOf(bias);
  if (!known || !before || !means || !variances || !gamma || !beta) return unchanged;
  const factors = gamma.map((one, channel) => one / Math.sqrt(variances[channel] + epsilon));
  const data = known.data.map((one, index) => one * factors[index % channels]);
  const terms = Float32Array.from(before, (one, channel) => (one - means[channel]) * factors[channel] + beta[channel]);
  on.folded.add(reader);
  return [
    on.build.initializer(weight, { ...known, data }),
    on.build.initializer(bias ?? `${weight}.bias`, { dims: [channels], type: "float", data: terms }),
  ];
}

const ones = (count: number): Float32Array => new Float32Array(count).fill(1);
