// Matrix products, with bias: all forms run on the gemm kernel (assembly/kernels/gemm.ts).
import { ModelError } from "../engine/errors.js";
import { type Pointer, rows } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import { apply, type Operation } from "../graph/operation.js";
import { showShape, type Tensor } from "../graph/tensor.js";

/** Which operand lies transposed in memory; the numbers are the kernel's. */
const FORM = { plain: 0, transposedLeft: 1, transposedRight: 2 } as const;
type Form = keyof typeof FORM;

// Columns of a strip, as in the kernel.
const STRIP = 256;
// With a single row, or with so few multiply-adds, tiles and packing cost more than they save.
const SMALL_PRODUCT = 48;

function sizes([a, b]: readonly Tensor[], form: Form): { m: number; n: number; k: number; kOfB: number } {
  const [m, k] = form === "transposedLeft" ? [a.shape[1], a.shape[0]] : a.shape;
  const [n, kOfB] = form === "transposedRight" ? b.shape : [b.shape[1], b.shape[0]];
  return { m, n, k, kOfB };
}

function recordProduct(
  record: Recorder,
  to: Pointer,
  from: readonly Pointer[],
  { m, n, k }: { m: number; n: number; k: number },
  form: Form,
  epilogue: number,
): void {
  const cost = m * n * k * 0.5;
  const bias = from[2] ?? 0;
  if (m === 1 || m * n * k <= SMALL_PRODUCT) {
    record.gemmSmall(rows(m, cost), to, from[0], from[1], bias, m, n, k, FORM[form], epilogue, 0);
  } else {
    record.gemm(rows(m * Math.ceil(n / STRIP), cost), to, from[0], from[1], bias, m, n, k, FORM[form], epilogue, 0);
  }
}

const product: Operation<{ form: Form }> = {
  name: "matmul",
  infer(inputs, { form }) {
    const [a, b] = inputs;
    if (a.shape.length !== 2 || b.shape.length !== 2) {
      throw new ModelError(
        `matmul: both operands must be matrices, got ${showShape(a.shape)} and ${showShape(b.shape)}: reshape() them first`,
      );
    }
    const { m, n, k, kOfB } = sizes(inputs, form);
    if (k !== kOfB) {
      throw new ModelError(
        `matmul: inner sizes must agree, got ${showShape([m, k])} · ${showShape([kOfB, n])} (after transposing)`,
      );
    }
    return [{ shape: [m, n] }];
  },
  forward: (record, { attributes: { form }, inputs, from, to, epilogue }) =>
    recordProduct(record, to[0], from, sizes(inputs, form), form, epilogue),
  backward({ attributes: { form }, inputs: [a, b], gradient, needs }) {
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
  },
  acceptsEpilogue: true,
};

function multiply(a: Tensor, b: Tensor, form: Form): Tensor {
  return apply(product, [a, b], { form });
}

export interface MatmulOptions {
  /** Multiply by the transpose of `a`, which then is [k, m]. Default false. */
  transposeA?: boolean;
  /** Multiply by the transpose of `b`, which then is [n, k]. Default false. */
  transposeB?: boolean;
}

/** Matrix product [m, k] · [k, n] → [m, n]. Throws ModelError where ranks or inner sizes do not fit, or both are transposed. */
export function matmul(a: Tensor, b: Tensor, { transposeA = false, transposeB = false }: MatmulOptions = {}): Tensor {
  if (transposeA && transposeB) {
    throw new ModelError("matmul: at most one operand can be transposed: use transpose(matmul(b, a)) instead");
  }
  return multiply(a, b, transposeA ? "transposedLeft" : transposeB ? "transposedRight" : "plain");
}

const affine: Operation = {
  name: "linear",
  infer([x, weight, bias]) {
    const fits = x.shape.length === 2 && weight.shape.length === 2 && x.shape[1] === weight.shape[0];
    if (!fits) {
      throw new ModelError(
        `linear: input must be [batch, ${weight.shape[0]}], got ${showShape(x.shape)}: add flatten() before it`,
      );
    }
    if (bias.shape.length !== 1 || bias.shape[0] !== weight.shape[1]) {
      throw new ModelError(`linear: bias must be [${weight.shape[1]}], got ${showShape(bias.shape)}`);
    }
    return [{ shape: [x.shape[0], weight.shape[1]] }];
  },
  forward: (record, { inputs, from, to, epilogue }) =>
    recordProduct(record, to[0], from, sizes(inputs, "plain"), "plain", epilogue),
  backward: ({ inputs: [x, weight], gradient, needs }) => [
    needs[0] ? multiply(gradient, weight, "transposedRight") : undefined,
    needs[1] ? multiply(x, gradient, "transposedLeft") : undefined,
    gradient,
  ],
  acceptsEpilogue: true,
};

/** x·weight + bias: x [batch, in], weight [in, out], bias [out] → [batch, out]. */
export function linear(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  return apply(affine, [x, weight, bias], undefined);
}
