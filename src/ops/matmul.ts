// Matrix products, with bias: all forms run on the gemm kernel (assembly/kernels/gemm.ts).
import { A_TRANSPOSED, B_TRANSPOSED, PANEL_DEPTH, PARTS_OFFSET, STRIP_COLUMNS } from "../engine/constants.js";
import { ModelError } from "../engine/errors.js";
import { type Pointer, rows } from "../engine/instructions.js";
import { flag, type OptionsOf, readOptions } from "../engine/options.js";
import type { Recorder } from "../engine/recorder.js";
import { apply, type BackwardContext, type Operation } from "../graph/operation.js";
import { type Shape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { broadcastShape, checkFloat, fitsFourAxes, fourAxes, stridesOf } from "./axes.js";
import { broadcastTo, reshape, transpose } from "./shape.js";

/** Which operand lies transposed in memory; the numbers are the kernel's. */
const FORM = { plain: 0, transposedLeft: A_TRANSPOSED, transposedRight: B_TRANSPOSED } as const;
type Form = keyof typeof FORM;

// With a single row, or with so few multiply-adds (none, where the inner size is 0), tiles and packing cost more than they save.
const SMALL_PRODUCT = 48;

function sizesOf(a: Shape, b: Shape, form: Form): { m: number; n: number; k: number; kOfB: number } {
  const [m, k] = form === "transposedLeft" ? [a[1], a[0]] : a;
  const [n, kOfB] = form === "transposedRight" ? b : [b[1], b[0]];
  return { m, n, k, kOfB };
}

function isSmall(m: number, n: number, k: number): boolean {
  return m === 1 || m * n * k <= SMALL_PRODUCT;
}

function recordProduct(
  record: Recorder,
  to: Pointer,
  from: readonly Pointer[],
  { m, n, k }: { m: number; n: number; k: number },
  form: Form,
  epilogue: number,
  scratch: Pointer,
): void {
  const cost = m * n * k * 0.5;
  const [a, b, bias = 0] = from;
  const blocks = blocksApart(m, n, k);
  if (isSmall(m, n, k)) {
    record.gemmSmall(rows(m, cost), to, a, b, bias, m, n, k, FORM[form], epilogue, 0);
  } else if (blocks > 1) {
    record.gemmParts(rows(blocks * m, cost), to, scratch, a, b, bias, m, n, k, FORM[form], epilogue);
    record.addParts(rows(m, m * n * blocks), to, scratch, bias, m, n, blocks - 1, epilogue);
  } else recordGemm(record, [to, a, b, bias], [m, n, k], FORM[form], epilogue);
}

// What a block of a sum stores is small beside what it reads if the product has at most so many elements for each of its
// rows and columns; and two threads are worth waking from so many multiply-adds on.
const [SMALL_RESULT, MIN_PRODUCT] = [96, 2 ** 18];

/**
 * How many blocks of the sums are products of their own, so that threads share the sums: 1 if threads share the rows. Weights'
 * gradients are such products: over all rows of a batch, few elements. If threads shared their rows, each would pack all of one
 * operand, and read from another's cache what that has written.
 */
function blocksApart(m: number, n: number, k: number): number {
  const isShared = m > 1 && n <= STRIP_COLUMNS && m * n <= SMALL_RESULT * (m + n) && m * n * k >= MIN_PRODUCT;
  return isShared ? Math.ceil(k / PANEL_DEPTH) : 1;
}

/** Temporary bytes of a product: what blocks of its sums give, but the first. */
function partsBytes({ m, n, k }: { m: number; n: number; k: number }): number {
  const blocks = blocksApart(m, n, k);
  return blocks === 1 ? 0 : PARTS_OFFSET + (blocks - 1) * m * n * 4;
}

// Sums of at least so many terms, over at most so many rows.
const [DEEP, FEW_ROWS] = [1024, 128];

/**
 * Columns of a strip. A thread packs b for each strip that it has rows of. If all columns are one strip, each thread packs all of b:
 * for few rows and long sums that takes as long as the product, and a second thread gains nothing. Half as wide, each has its own.
 * (Other products of this kind share their sums; convolutions of one pixel come here.)
 */
function stripWidth(m: number, n: number, k: number): number {
  const half = 8 * Math.ceil(n / 16);
  return n <= STRIP_COLUMNS && half >= 32 && m <= FEW_ROWS && k >= DEEP ? half : STRIP_COLUMNS;
}

/** Records a product c [m, n] of a and b over k, with a bias [n] where its address is not 0: rows by strips of columns. */
export function recordGemm(
  record: Recorder,
  [c, a, b, bias]: readonly Pointer[],
  [m, n, k]: readonly [number, number, number],
  form: number,
  epilogue: number,
): void {
  const width = stripWidth(m, n, k);
  const work = rows(m * Math.ceil(n / width), m * n * k * 0.5);
  record.gemm(work, c, a, b, bias, m, n, k, form, epilogue, 0, width);
}

export const matmulOp: Operation<{ form: Form }> = {
  name: "matmul",
  infer(inputs, { form }) {
    const [a, b] = inputs;
    checkFloat("matmul", a, b);
    const { m, n } = checkedSizes(a.shape, b.shape, form);
    return [{ shape: [m, n] }];
  },
  scratchBytes: ([a, b], { form }) => partsBytes(sizesOf(a.shape, b.shape, form)),
  forward: (record, { attributes: { form }, inputs: [a, b], from, to, epilogue, scratch }) =>
    recordProduct(record, to[0], from, sizesOf(a.shape, b.shape, form), form, epilogue, scratch),
  backward: productGradients,
  ofNothing: "forward",
  acceptsEpilogue: true,
};

function productGradients({
  attributes: { form },
  inputs: [a, b],
  gradient,
  needs,
}: BackwardContext<{ form: Form }>): readonly (Tensor | undefined)[] {
  const toA = {
    plain: () => multiply(gradient, b, "transposedRight"),
    transposedLeft: () => multiply(b, gradient, "transposedRight"),
    transposedRight: () => multiply(gradient, b, "plain"),
  };
  const toB = {
    plain: () => multiply(a, gradient, "transposedLeft"),
    transposedLeft: () => multiply(a, gradient, "plain"),
    transposedRight: () => multiply(gradient, a, "transposedLeft"),
  };
  return [needs[0] ? toA[form]() : undefined, needs[1] ? toB[form]() : undefined];
}

// ——— Batches of matrices ———

/** Batch axes: distances in matrices. */
function batchStrides(of: Shape, batch: Shape): number[] {
  return stridesOf(of.slice(0, -2), batch);
}

export const batchedMatmulOp: Operation<{ form: Form }> = {
  name: "batchedMatmul",
  infer([a, b], { form }) {
    checkFloat("matmul", a, b);
    const { m, n } = checkedSizes(a.shape, b.shape, form);
    return [{ shape: [...broadcastShape("matmul", a.shape.slice(0, -2), b.shape.slice(0, -2)), m, n] }];
  },
  forward(record, { attributes: { form }, inputs: [a, b], outputs: [{ shape }], from, to }) {
    const { m, n, k } = checkedSizes(a.shape, b.shape, form);
    const batch = shape.slice(0, -2);
    const axes = fourAxes("matmul", batch, [batchStrides(a.shape, batch), batchStrides(b.shape, batch)]);
    const small = isSmall(m, n, k);
    const units = sizeOf(batch) * (small ? m : m * Math.ceil(n / STRIP_COLUMNS));
    const work = rows(units, sizeOf(shape) * k * 0.5);
    const [, n1, n2, n3] = axes.sizes;
    const [left, right] = axes.strides;
    record.gemmBatched(
      work,
      to[0],
      from[0],
      from[1],
      m,
      n,
      k,
      FORM[form],
      Number(small),
      n1,
      n2,
      n3,
      ...left,
      ...right,
    );
  },
  backward: productGradients,
  ofNothing: "forward",
};

function multiply(a: Tensor, b: Tensor, form: Form): Tensor {
  if (a.shape.length <= 2 && b.shape.length <= 2) return apply(matmulOp, [a, b], { form });
  const batch = broadcastShape("matmul", a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (fitsFourAxes(batch, [batchStrides(a.shape, batch), batchStrides(b.shape, batch)])) {
    return apply(batchedMatmulOp, [a, b], { form });
  }
  const whole = (x: Tensor) => broadcastTo(x, [...batch, ...x.shape.slice(-2)]);
  return apply(batchedMatmulOp, [whole(a), whole(b)], { form });
}

/** Sizes of the matrices in the last two axes. */
function checkedSizes(a: Shape, b: Shape, form: Form): { m: number; n: number; k: number } {
  const { m, n, k, kOfB } = sizesOf(a.slice(-2), b.slice(-2), form);
  if (k === kOfB) return { m, n, k };
  throw new ModelError(
    `matmul: inner sizes must agree, got ${showShape([m, k])} · ${showShape([kOfB, n])} (after transposing)`,
  );
}

export interface MatmulOptions {
  /** Multiply by the transpose of `a`, which then is [..., k, m]. Default false. */
  transposeA?: boolean;
  /** Multiply by the transpose of `b`, which then is [..., n, k]. Default false. */
  transposeB?: boolean;
}

const MATMUL = { transposeA: flag(false), transposeB: flag(false) } satisfies OptionsOf<MatmulOptions>;

/**
 * Matrix product [m, k] · [k, n] → [m, n]. With more axes, products of the matrices in the last two, the axes before them
 * broadcast by NumPy's rule. A vector [k] on the left is a row, on the right a column, and the result is without its axis,
 * as in NumPy and PyTorch: two vectors give a scalar. With an inner size of 0 it is 0. Throws ModelError if ranks, inner
 * sizes or batch axes do not fit.
 *
 * @example
 * matmul(input([8, 20, 64]), input([8, 30, 64]), { transposeB: true }); // [8, 20, 30]
 * matmul(input([8, 20, 64]), input([64, 10])); // [8, 20, 10]
 * matmul(input([8, 20, 64]), input([64])); // [8, 20]
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeA, transposeB } = readOptions("matmul", options, MATMUL);
  checkFloat("matmul", a, b);
  if (a.shape.length < 2 || b.shape.length < 2) return withVectors(a, b, transposeA, transposeB);
  if (transposeA && transposeB) return swapLast(matmul(b, a));
  const form = transposeA ? "transposedLeft" : transposeB ? "transposedRight" : "plain";
  if (transposeA || a.shape.length === 2 || b.shape.length > 2) return multiply(a, b, form);
  // One matrix for all: a single product, whose gradient for b then is one, too.
  const [m, k] = a.shape.slice(-2);
  const flat = multiply(reshape(a, [sizeOf(a.shape.slice(0, -1)), k]), b, form);
  return reshape(flat, [...a.shape.slice(0, -2), m, flat.shape[1]]);
}

/** The product where one operand or both are vectors. */
function withVectors(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor {
  const scalar = [a, b].find(({ shape }) => shape.length === 0);
  if (scalar !== undefined) {
    throw new ModelError(
      `matmul: operands must be vectors or matrices, got ${showShape(a.shape)} and ${showShape(b.shape)}: use mul()`,
    );
  }
  const [isRow, isColumn] = [a.shape.length === 1, b.shape.length === 1];
  if ((isRow && transposeA) || (isColumn && transposeB)) {
    const [name, shape] = isRow && transposeA ? ["transposeA", a.shape] : ["transposeB", b.shape];
    throw new ModelError(`matmul: ${name} is for matrices, got a vector ${showShape(shape)}: leave it out`);
  }
  const left = isRow ? reshape(a, [1, a.shape[0]]) : a;
  const right = isColumn ? reshape(b, [b.shape[0], 1]) : b;
  const product = matmul(left, right, { transposeA, transposeB });
  const kept = (axis: number) =>
    !(isRow && axis === product.shape.length - 2) && !(isColumn && axis === product.shape.length - 1);
  return reshape(
    product,
    product.shape.filter((_, axis) => kept(axis)),
  );
}

function swapLast(x: Tensor): Tensor {
  const last = x.shape.length - 1;
  return transpose(
    x,
    x.shape.map((_, axis) => (axis === last ? last - 1 : axis === last - 1 ? last : axis)),
  );
}

/** The shape of a matrix of all positions: [a, b, c] → [a·b, c]. */
function rowsOf(shape: Shape): Shape {
  return [sizeOf(shape.slice(0, -1)), shape[shape.length - 1]];
}

export const linearOp: Operation = {
  name: "linear",
  infer([x, weight, bias]) {
    checkFloat("linear", x, weight, bias);
    const fits = x.shape.length >= 2 && weight.shape.length === 2 && x.shape.at(-1) === weight.shape[0];
    if (!fits) {
      throw new ModelError(
        `linear: input must be [batch, …, ${weight.shape[0]}], got ${showShape(x.shape)}: its last axis must be the weight's first, [inputs, units]`,
      );
    }
    if (bias.shape.length !== 1 || bias.shape[0] !== weight.shape[1]) {
      throw new ModelError(`linear: bias must be [${weight.shape[1]}], got ${showShape(bias.shape)}`);
    }
    return [{ shape: [...x.shape.slice(0, -1), weight.shape[1]] }];
  },
  scratchBytes: ([x, weight]) => partsBytes(sizesOf(rowsOf(x.shape), weight.shape, "plain")),
  forward: (record, { inputs: [x, weight], from, to, epilogue, scratch }) =>
    recordProduct(record, to[0], from, sizesOf(rowsOf(x.shape), weight.shape, "plain"), "plain", epilogue, scratch),
  backward({ inputs: [x, weight], gradient, needs }) {
    const dy = reshape(gradient, rowsOf(gradient.shape));
    return [
      needs[0] ? reshape(multiply(dy, weight, "transposedRight"), x.shape) : undefined,
      needs[1] ? multiply(reshape(x, rowsOf(x.shape)), dy, "transposedLeft") : undefined,
      gradient,
    ];
  },
  ofNothing: "forward",
  acceptsEpilogue: true,
};

/** x·weight + bias: x [batch, in], weight [in, out], bias [out] → [batch, out]; of x [batch, …, in] on its last axis. */
export function linear(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  return apply(linearOp, [x, weight, bias], undefined);
}
