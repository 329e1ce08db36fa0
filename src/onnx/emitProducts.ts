// Matrix products, as ONNX nodes.
import type { Tensor } from "../graph/tensor.js";
import { withNorm } from "./foldNorm.js";
import { i } from "./graphBuilder.js";
import type { At } from "./lowering.js";

type Form = "plain" | "transposedLeft" | "transposedRight";

function linear({ on, inputs: [x, weight, bias], outputs: [y] }: At<unknown>): void {
  const { build } = on;
  const { weight: w, bias: b = "" } = withNorm(on, y, { weight: on.plain(weight), bias: on.plain(bias) });
  if (x.shape.length === 2) on.set(y, build.node("Gemm", [on.plain(x), w, b]));
  else on.set(y, build.node("Add", [build.node("MatMul", [on.plain(x), w]), b]));
}

function matmul({ on, attributes: { form }, inputs: [a, b], outputs: [y] }: At<{ form: Form }>): void {
  if (form === "plain") {
    const { weight, bias } = withNorm(on, y, { weight: on.plain(b), bias: undefined });
    const operands = [on.plain(a), weight];
    on.set(y, bias === undefined ? on.build.node("MatMul", operands) : on.build.node("Gemm", [...operands, bias]));
  } else {
    const attributes = form === "transposedLeft" ? { transA: i(1) } : { transB: i(1) };
    on.set(y, on.build.node("Gemm", [on.plain(a), on.plain(b)], attributes));
  }
}

function batchedMatmul({ on, attributes: { form }, inputs: [a, b], outputs: [y] }: At<{ form: Form }>): void {
  const swapped = (tensor: Tensor): string => {
    const last = tensor.shape.length - 1;
    const axes = tensor.shape.map((_, axis) => (axis === last ? last - 1 : axis === last - 1 ? last : axis));
    return on.build.transpose(on.plain(tensor), axes);
  };
  const left = form === "transposedLeft" ? swapped(a) : on.plain(a);
  const right = form === "transposedRight" ? swapped(b) : on.plain(b);
  on.set(y, on.build.node("MatMul", [left, right]));
}

export const productEmitters = { linear, matmul, batchedMatmul } as const;
