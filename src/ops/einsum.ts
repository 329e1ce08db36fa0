// Einstein's summation convention as diagonals, sums, transposes and matrix products of two at a time.
import { ModelError, showValue } from "../engine/errors.js";
import { showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { diagonal } from "./diagonal.js";
import { mul } from "./elementwise.js";
import { matmul } from "./matmul.js";
import { sum } from "./reduce.js";
import { reshape, transpose } from "./shape.js";

/** A tensor whose axes have names of one character, all different. */
interface Labelled {
  readonly tensor: Tensor;
  readonly labels: string;
}

/**
 * Sum of products over named axes: letters name each operand's axes, those behind `->` the result's; what is missing
 * there is summed over. A letter that stands twice in an operand takes its diagonal ("ii" is the trace); `...` stands for
 * any axes in front, between or behind, which broadcast by NumPy's rule. Without `->` the result has the axes of `...`,
 * then the letters that stand once, in alphabetical order. Of more than two operands, those two are multiplied first
 * whose product is smallest. Throws ModelError if letters and shapes do not fit.
 *
 * @example
 * einsum("bqd,bkd->bqk", input([8, 20, 64]), input([8, 30, 64])); // [8, 20, 30]
 * einsum("...ij->...ji", input([2, 3, 4])); // [2, 4, 3]
 * einsum("bi,uij,bj->bu", input([32, 5]), input([4, 5, 6]), input([32, 6])); // [32, 4]
 */
export function einsum(equation: string, ...tensors: readonly Tensor[]): Tensor {
  const { inputs, output } = parse(equation, tensors);
  const operands = inputs.map((operand) => takeDiagonals(operand, equation));
  const sizes = checkSizes(equation, operands);
  let left = operands.map((operand, index) => keepOnly(operand, othersOf(operands, [index]) + output));
  while (left.length > 1) {
    const [i, j] = smallestPair(left, output, sizes);
    const labels = resultOf(left, [i, j], output);
    const product = { tensor: pair(left[i], left[j], labels, sizes), labels };
    left = [...left.filter((_, index) => index !== i && index !== j), product];
  }
  return arrange(left[0], output);
}

/** The labels of all operands but those at `skipped`. */
function othersOf(operands: readonly Labelled[], skipped: readonly number[]): string {
  return operands.map(({ labels }, index) => (skipped.includes(index) ? "" : labels)).join("");
}

/** The labels that the product of two operands must keep, in the order of the result. */
function resultOf(operands: readonly Labelled[], two: readonly number[], output: string): string {
  const own = two.map((index) => operands[index].labels).join("");
  const wanted = output + othersOf(operands, two);
  return [...new Set(wanted)].filter((label) => own.includes(label)).join("");
}

/** The two operands whose product has the fewest elements; of equals the first. */
function smallestPair(
  operands: readonly Labelled[],
  output: string,
  sizes: ReadonlyMap<string, number>,
): [number, number] {
  let best: [number, number] = [0, 1];
  let fewest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < operands.length; i++) {
    for (let j = i + 1; j < operands.length; j++) {
      const elements = sizeOf([...resultOf(operands, [i, j], output)].map((label) => sizes.get(label) as number));
      if (elements < fewest) [best, fewest] = [[i, j], elements];
    }
  }
  return best;
}

/** With the diagonal for each label that stands twice: the axis goes last. */
function takeDiagonals({ tensor, labels }: Labelled, equation: string): Labelled {
  const second = [...labels].findIndex((label, axis) => labels.indexOf(label) < axis);
  if (second === -1) return { tensor, labels };
  const label = labels[second];
  const first = labels.indexOf(label);
  if (tensor.shape[first] !== tensor.shape[second]) {
    throw new ModelError(
      `einsum ${showValue(equation)}: axes of one letter must have one size, got ${tensor.shape[first]} and ${tensor.shape[second]} for "${label}"`,
    );
  }
  const others = [...labels].filter((_, axis) => axis !== first && axis !== second).join("");
  return takeDiagonals({ tensor: diagonal(tensor, { axes: [first, second] }), labels: others + label }, equation);
}

const ELLIPSIS = "...";

/** Labels for the axes of an ellipsis, of which the last is always the same: characters for private use. */
function ellipsisLabels(count: number): string {
  return String.fromCharCode(...Array.from({ length: count }, (_, index) => 0xe000 + count - index));
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
  const [left, right] = text.split("->");
  const term = /^[a-zA-Z]*(\.\.\.)?[a-zA-Z]*$/;
  const operands = left.split(",");
  if (text.split("->").length > 2 || ![...operands, right ?? ""].every((one) => term.test(one))) {
    fail(
      'must be letters for each operand, separated by commas, and for the result behind "->", like "ij,jk->ik", with at most one "..." in each, got something else',
    );
  }
  if (operands.length !== tensors.length) fail(`names ${operands.length} operands, got ${tensors.length} tensors`);
  const named = operands.map((labels, index) => {
    checkFloat(where, tensors[index]);
    const { name, shape } = tensors[index];
    const letters = labels.replace(ELLIPSIS, "").length;
    const more = shape.length - letters;
    if (labels.includes(ELLIPSIS) ? more < 0 : more !== 0) {
      fail(`"${labels}" must have a letter for each axis of its operand, got ${name} ${showShape(shape)}`);
    }
    return { tensor: tensors[index], labels: labels.replace(ELLIPSIS, ellipsisLabels(more)) };
  });
  const rank = Math.max(0, ...named.map(({ labels }) => labels.replace(/[a-zA-Z]/g, "").length));
  const inputs = withoutBroadcastAxes(named);
  const all = [...operands.join("").replaceAll(ELLIPSIS, "")];
  const once = all.filter((label) => all.indexOf(label) === all.lastIndexOf(label)).sort();
  const output = (right ?? ELLIPSIS + once.join("")).replace(ELLIPSIS, ellipsisLabels(rank));
  for (const label of output.replace(/[^a-zA-Z]/g, "")) {
    if (!all.includes(label)) fail(`the result's "${label}" stands in no operand`);
  }
  if (new Set(output).size !== output.length) fail(`a letter can stand once in the result, got "${right}"`);
  return { inputs, output };
}

/** Without the axes of an ellipsis of size 1, if they are longer in another operand: a product broadcasts them. */
function withoutBroadcastAxes(operands: readonly Labelled[]): Labelled[] {
  const isLonger = (label: string) =>
    operands.some(({ tensor, labels }) => labels.includes(label) && tensor.shape[labels.indexOf(label)] !== 1);
  return operands.map(({ tensor, labels }) => {
    const kept = [...labels].map(
      (label, axis) => /[a-zA-Z]/.test(label) || tensor.shape[axis] !== 1 || !isLonger(label),
    );
    if (kept.every(Boolean)) return { tensor, labels };
    const own = (_: unknown, axis: number) => kept[axis];
    return { tensor: reshape(tensor, tensor.shape.filter(own)), labels: [...labels].filter(own).join("") };
  });
}

function checkSizes(equation: string, operands: readonly Labelled[]): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const { tensor, labels } of operands) {
    [...labels].forEach((label, axis) => {
      const size = tensor.shape[axis];
      const known = sizes.get(label) ?? size;
      if (known !== size) {
        const which = /[a-zA-Z]/.test(label) ? label : ELLIPSIS;
        throw new ModelError(
          `einsum ${showValue(equation)}: axes of one letter must have one size, got ${known} and ${size} for "${which}"`,
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
