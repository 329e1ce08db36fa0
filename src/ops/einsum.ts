// Einstein's summation convention for one or two tensors, as sums, transposes and one matrix product.
import { ModelError, showValue } from "../engine/errors.js";
import { showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { mul } from "./elementwise.js";
import { matmul } from "./matmul.js";
import { sum } from "./reduce.js";
import { reshape, transpose } from "./shape.js";

/** A tensor whose axes have names of one letter, all different. */
interface Labelled {
  readonly tensor: Tensor;
  readonly labels: string;
}

/**
 * Sum of products over named axes: letters name each operand's axes, those behind `->` the result's; what is missing
 * there is summed over. Without `->` the result has the letters that stand once, in alphabetical order. One or two
 * operands; a letter stands once in each. Throws ModelError where letters and shapes do not fit, or for what is not
 * supported: diagonals ("ii"), an ellipsis, more than two operands.
 *
 * @example
 * einsum("bqd,bkd->bqk", input([8, 20, 64]), input([8, 30, 64])); // [8, 20, 30]
 * einsum("ij->ji", input([3, 4])); // [4, 3]
 */
export function einsum(equation: string, ...tensors: readonly Tensor[]): Tensor {
  const { inputs, output } = parse(equation, tensors);
  const sizes = checkSizes(equation, inputs);
  const [first, second] = inputs.map((operand, index) => {
    const others = inputs[1 - index]?.labels ?? "";
    return keepOnly(operand, others + output);
  });
  if (second === undefined) return arrange(first, output);
  return pair(first, second, output, sizes);
}

function parse(equation: string, tensors: readonly Tensor[]): { inputs: Labelled[]; output: string } {
  const where = `einsum ${showValue(equation)}`;
  const fail = (rule: string): never => {
    throw new ModelError(`${where}: ${rule}`);
  };
  if (typeof equation !== "string") {
    throw new ModelError(`einsum: the equation must be a string like "ij,jk->ik", got ${showValue(equation)}`);
  }
  const text = equation.replaceAll(" ", "");
  if (text.includes("...")) fail("an ellipsis is not supported: name every axis");
  if (!/^[a-zA-Z]*(,[a-zA-Z]*)*(->[a-zA-Z]*)?$/.test(text)) {
    fail(
      'must be letters for each operand, separated by commas, and for the result behind "->", like "ij,jk->ik", got something else',
    );
  }
  const [left, right] = text.split("->");
  const operands = left.split(",");
  if (operands.length > 2) fail(`at most two operands are supported, got ${operands.length}: do it in several calls`);
  if (operands.length !== tensors.length) fail(`names ${operands.length} operands, got ${tensors.length} tensors`);
  operands.forEach((labels, index) => {
    checkFloat(where, tensors[index]);
    const { name, shape } = tensors[index];
    if (new Set(labels).size !== labels.length) fail(`a letter can stand once in an operand, got "${labels}"`);
    if (labels.length !== shape.length) {
      fail(`"${labels}" must have a letter for each axis of its operand, got ${name} ${showShape(shape)}`);
    }
  });
  const all = [...operands.join("")];
  const once = all.filter((label) => all.indexOf(label) === all.lastIndexOf(label)).sort();
  const output = right ?? once.join("");
  for (const label of output) {
    if (!all.includes(label)) fail(`the result's "${label}" stands in no operand`);
  }
  if (new Set(output).size !== output.length) fail(`a letter can stand once in the result, got "${output}"`);
  return { inputs: operands.map((labels, index) => ({ tensor: tensors[index], labels })), output };
}

function checkSizes(equation: string, operands: readonly Labelled[]): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const { tensor, labels } of operands) {
    [...labels].forEach((label, axis) => {
      const size = tensor.shape[axis];
      const known = sizes.get(label) ?? size;
      if (known !== size) {
        throw new ModelError(
          `einsum ${JSON.stringify(equation)}: axes of one letter must have one size, got ${known} and ${size} for "${label}"`,
        );
      }
      sizes.set(label, size);
    });
  }
  return sizes;
}

/** Sums over the axes that are not among `wanted`. */
function keepOnly({ tensor, labels }: Labelled, wanted: string): Labelled {
  const gone = [...labels].flatMap((label, axis) => (wanted.includes(label) ? [] : [axis]));
  if (gone.length === 0) return { tensor, labels };
  return { tensor: sum(tensor, gone), labels: [...labels].filter((label) => wanted.includes(label)).join("") };
}

/** The tensor with its axes in the order of `labels`. */
function arrange(operand: Labelled, labels: string): Tensor {
  return transpose(
    operand.tensor,
    [...labels].map((label) => operand.labels.indexOf(label)),
  );
}

function pair(a: Labelled, b: Labelled, output: string, sizes: ReadonlyMap<string, number>): Tensor {
  const only = (labels: string, wanted: (label: string) => boolean) => [...labels].filter(wanted).join("");
  const batch = only(output, (label) => a.labels.includes(label) && b.labels.includes(label));
  const left = only(output, (label) => !b.labels.includes(label));
  const right = only(output, (label) => !a.labels.includes(label));
  const summed = only(a.labels, (label) => !output.includes(label));
  if (summed === "") return spreadOver(a, b, output);
  if (left === "" && right === "") {
    const product = spreadOver(a, b, batch + summed);
    return sum(
      product,
      [...summed].map((_, index) => batch.length + index),
    );
  }
  const product = contract(a, b, { batch, left, right, summed }, sizes);
  return arrange({ tensor: product, labels: batch + left + right }, output);
}

/** The product of both, element by element, over the axes `labels`. */
function spreadOver(a: Labelled, b: Labelled, labels: string): Tensor {
  const [first, second] = [a, b].map((operand) => {
    const own = [...labels].filter((label) => operand.labels.includes(label));
    const arranged = arrange(operand, own.join(""));
    return reshape(
      arranged,
      [...labels].map((label) => (own.includes(label) ? arranged.shape[own.indexOf(label)] : 1)),
    );
  });
  return mul(first, second);
}

interface Roles {
  readonly batch: string;
  readonly left: string;
  readonly right: string;
  readonly summed: string;
}

/** The matrix product over `summed`, of shape batch + left + right. */
function contract(a: Labelled, b: Labelled, roles: Roles, sizes: ReadonlyMap<string, number>): Tensor {
  const { batch, left, right } = roles;
  const shapeOf = (labels: string) => [...labels].map((label) => sizes.get(label) as number);
  const size = (labels: string) => sizeOf(shapeOf(labels));
  // Of the forms that the product takes, the one for which the fewest elements must be moved.
  const summedAsInB = [...b.labels].filter((label) => roles.summed.includes(label)).join("");
  const forms = [roles.summed, summedAsInB].flatMap((summed) => [
    { summed, first: batch + left + summed, second: batch + summed + right, options: {} },
    { summed, first: batch + summed + left, second: batch + summed + right, options: { transposeA: true } },
    { summed, first: batch + left + summed, second: batch + right + summed, options: { transposeB: true } },
  ]);
  const moved = ({ first, second }: (typeof forms)[number]) => movedBy(a, first) + movedBy(b, second);
  const { summed, first, second, options } = forms.reduce((best, form) => (moved(form) < moved(best) ? form : best));
  const outer = batch === "" ? [] : [size(batch)];
  const matrix = (operand: Labelled, labels: string, free: string, isTransposed: boolean) => {
    const [rows, columns] = isTransposed ? [size(summed), size(free)] : [size(free), size(summed)];
    return reshape(arrange(operand, labels), [...outer, rows, columns]);
  };
  const product = matmul(
    matrix(a, first, left, "transposeA" in options),
    matrix(b, second, right, !("transposeB" in options)),
    options,
  );
  return reshape(product, [...shapeOf(batch), ...shapeOf(left), ...shapeOf(right)]);
}

/** Elements that bringing the axes into the order of `labels` moves: none where it is a view. */
function movedBy({ tensor, labels: own }: Labelled, labels: string): number {
  const order = (of: string) => [...of].filter((label) => tensor.shape[own.indexOf(label)] !== 1).join("");
  return order(own) === order(labels) ? 0 : sizeOf(tensor.shape);
}
