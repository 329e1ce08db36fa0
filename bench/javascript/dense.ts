// A dense layer, y = x·W + b, and its gradients: by blocked products, or by plain loops where it has few units.
import { gemm, rowMajor, transposed } from "./gemm.js";

export interface DenseSizes {
  readonly batch: number;
  readonly inputs: number;
  readonly units: number;
}

// Up to this many multiply-adds, packing panels costs more than it saves.
const SMALL_PRODUCT = 2048;

/** y [batch, units] = x [batch, inputs] · weight [inputs, units] + bias [units]. */
export function denseForward(
  y: Float32Array,
  x: Float32Array,
  weight: Float32Array,
  bias: Float32Array,
  { batch, inputs, units }: DenseSizes,
): void {
  if (batch * inputs * units > SMALL_PRODUCT) {
    for (let row = 0; row < y.length; row += units) y.set(bias, row);
    gemm(y, rowMajor(x, inputs), rowMajor(weight, units), batch, units, inputs);
    return;
  }
  for (let s = 0, to = 0; s < batch; s++) {
    for (let j = 0; j < units; j++, to++) {
      let sum = bias[j];
      for (let i = 0, w = j; i < inputs; i++, w += units) sum += x[s * inputs + i] * weight[w];
      y[to] = sum;
    }
  }
}

/** dweight [inputs, units] = xᵀ · dy and dbias [units] = Σ over the batch of dy [batch, units]. */
export function denseBackwardParameters(
  dweight: Float32Array,
  dbias: Float32Array,
  x: Float32Array,
  dy: Float32Array,
  { batch, inputs, units }: DenseSizes,
): void {
  for (let j = 0; j < units; j++) {
    let sum = 0;
    for (let from = j; from < dy.length; from += units) sum += dy[from];
    dbias[j] = sum;
  }
  if (batch * inputs * units > SMALL_PRODUCT) {
    dweight.fill(0);
    gemm(dweight, transposed(x, inputs), rowMajor(dy, units), inputs, units, batch);
    return;
  }
  for (let i = 0, to = 0; i < inputs; i++) {
    for (let j = 0; j < units; j++, to++) {
      let sum = 0;
      for (let s = 0, u = i, v = j; s < batch; s++, u += inputs, v += units) sum += x[u] * dy[v];
      dweight[to] = sum;
    }
  }
}

/** dx [batch, inputs] = dy [batch, units] · weightᵀ. */
export function denseBackwardInputs(
  dx: Float32Array,
  dy: Float32Array,
  weight: Float32Array,
  { batch, inputs, units }: DenseSizes,
): void {
  if (batch * inputs * units > SMALL_PRODUCT) {
    dx.fill(0);
    gemm(dx, rowMajor(dy, units), transposed(weight, units), batch, inputs, units);
    return;
  }
  for (let s = 0, to = 0; s < batch; s++) {
    for (let i = 0; i < inputs; i++, to++) {
      let sum = 0;
      for (let j = 0; j < units; j++) sum += dy[s * units + j] * weight[i * units + j];
      dx[to] = sum;
    }
  }
}
