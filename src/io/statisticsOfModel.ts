// Normalizations by the statistics of what they are given, as operations of a saved model. What a file says of one must be what the
// function that a user calls makes of the same input: that checks shapes, groups and epsilon too.
import { showValue } from "../engine/errors.js";
import { apply, applyAll } from "../graph/operation.js";
import { type Node, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { alike } from "../nn/alike.js";
import * as ops from "../ops/index.js";
import { type AttributesOf, operations } from "../ops/operations.js";
import { FormatError } from "./formatError.js";

type Normalization = AttributesOf<"normalize">;
type Affine = Parameters<typeof ops.groupNorm>[2];

/** The normalization that the function of this name makes. */
function madeBy({ name, groups }: Pick<Normalization, "name" | "groups">, x: Tensor, affine: Affine): Node {
  const functions: Readonly<Record<string, () => Tensor>> = {
    batchNorm: () => ops.batchNorm(x, affine),
    groupNorm: () => ops.groupNorm(x, groups, affine),
    instanceNorm: () => ops.instanceNorm(x, affine),
  };
  if (typeof name === "string" && Object.hasOwn(functions, name)) return nodeOf(functions[name]());
  throw new FormatError(
    `normalization: name must be one of ${Object.keys(functions).join(", ")}, got ${showValue(name)}: the file is damaged`,
  );
}

function nodeOf({ source }: Tensor): Node {
  if (source.kind === "result") return source.node;
  throw new FormatError("normalization: statistics must be calculated, got values: the file is damaged");
}

/** Mean and variance, of x as [outer, length, channels]. */
export function statisticsOf([x]: readonly Tensor[], attributes: AttributesOf<"statistics">): Tensor {
  const [, mean] = madeBy(attributes, x, {}).inputs;
  return applyAll(operations.statistics, [x], nodeOf(mean).attributes as AttributesOf<"statistics">)[0];
}

/** By the statistics of x itself, which the operation before has given. */
export function normalizedByOwn([x, mean, variance, ...rest]: readonly Tensor[], attributes: Normalization): Tensor {
  const { epsilon, hasWeight, hasBias } = attributes;
  const affine = { epsilon, ...(hasWeight && { weight: rest[0] }), ...(hasBias && { bias: rest[rest.length - 1] }) };
  const made = madeBy(attributes, x, affine);
  const [given, wanted] = [nodeOf(mean), nodeOf(made.inputs[1])];
  const [of] = given.inputs;
  const isOfX = of === x || (of.source.kind === "result" && of.source.node.inputs[0] === x);
  const isBoth = given.outputs[0] === mean && given.outputs[1] === variance;
  const isSame = given.operation === operations.statistics && alike(given.attributes, wanted.attributes);
  if (!(isOfX && isBoth && isSame)) {
    throw new FormatError(
      "normalization: statistics must be those of what is normalized, got others: the file is damaged",
    );
  }
  return apply(operations.normalize, [x, mean, variance, ...rest], made.attributes as Normalization);
}

/** Rows of the last axes, by their own statistics. Weights have the shape of a row as the kernel reads it, without axes. */
export function normalizedRows([x, ...rest]: readonly Tensor[], attributes: AttributesOf<"normalizeRows">): Tensor {
  const { centered, columns, epsilon, hasWeight, hasBias } = attributes;
  const axes = x.shape.findLastIndex((_, axis) => sizeOf(x.shape.slice(axis)) === columns);
  const isFlat = ({ dtype, shape }: Tensor) => dtype === "float32" && sameShape(shape, [columns]);
  const count = Number(hasWeight === true) + Number(hasBias === true);
  if (axes < 0 || rest.length !== count || !rest.every(isFlat)) {
    throw new FormatError(
      `normalization: its rows and weights must have the size of the last axes of ${showShape(x.shape)}, got ${showValue(columns)}: the file is damaged`,
    );
  }
  const norm = centered ? ops.layerNorm : ops.rmsNorm;
  const { attributes: plain } = nodeOf(norm(x, { axes: x.shape.length - axes, epsilon }));
  const own = plain as AttributesOf<"normalizeRows">;
  return apply(operations.normalizeRows, [x, ...rest], { ...own, hasWeight, hasBias: hasBias && own.centered });
}
