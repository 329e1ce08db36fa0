// Matrix product of two square matrices, float32, operands in place.
import { matmul } from "../../src/ops/matmul.js";
import { createRandom, uniformValues } from "../data.js";
import { engineOf } from "../engines.js";
import { gemm, rowMajor } from "../javascript/gemm.js";
import { type ResidentFunction, residentFunction } from "../steepest.js";
import { type Implementation, variantOf, type Workload } from "../workload.js";
import { checkValues } from "./values.js";

const CHECKED_ROWS = 128;
const UNIT_ROUNDOFF = 2 ** -24;

export function productWorkload(n: number): Workload {
  const createOperands = () => {
    const random = createRandom(7);
    return { a: uniformValues(random, n * n), b: uniformValues(random, n * n), random };
  };
  return {
    name: `gemm-${n}`,
    description: `matrix product [${n}, ${n}] · [${n}, ${n}]`,
    metric: "gflops",
    work: 2 * n ** 3,
    async prepare(implementation) {
      const { a, b, random } = createOperands();
      const contestant = await createProduct(implementation, a, b, n);
      contestant.run(1);
      checkProduct(contestant.result(), a, b, n, random);
      return contestant;
    },
    forPeers() {
      const { a, b, random } = createOperands();
      const check = (c: readonly number[]) => checkProduct(Float32Array.from(c), a, b, n, random);
      return { task: { kind: "product", n, a, b }, check };
    },
  };
}

async function createProduct(
  implementation: Implementation,
  a: Float32Array,
  b: Float32Array,
  n: number,
): Promise<ResidentFunction> {
  const variant = variantOf(implementation);
  if (variant !== undefined) {
    const operands = [a, b].map((values) => ({ shape: [n, n], values }));
    return residentFunction(await engineOf(variant), operands, (x, y) => matmul(x, y));
  }
  const c = new Float32Array(n * n);
  const [left, right] = [rowMajor(a, n), rowMajor(b, n)];
  return {
    reset() {},
    run(steps) {
      for (let i = 0; i < steps; i++) {
        c.fill(0);
        gemm(c, left, right, n, n, n);
      }
    },
    result: () => c,
    dispose() {},
  };
}

/**
 * Compares rows (all, or a random choice of 128) with the product in float64. Tolerance 6·√k·u·Σ|a·b|: the
 * probabilistic bound of Higham & Mary 2019, "A New Approach to Probabilistic Rounding Error Analysis".
 */
export function checkProduct(c: Float32Array, a: Float32Array, b: Float32Array, n: number, random: () => number): void {
  const all = n <= CHECKED_ROWS;
  for (let i = 0; i < Math.min(n, CHECKED_ROWS); i++) {
    const row = all ? i : Math.floor(((i + random()) * n) / CHECKED_ROWS);
    const expected = new Float64Array(n);
    const magnitudes = new Float64Array(n);
    for (let p = 0; p < n; p++) {
      const x = a[row * n + p];
      for (let j = 0; j < n; j++) {
        const product = x * b[p * n + j];
        expected[j] += product;
        magnitudes[j] += Math.abs(product);
      }
    }
    const factor = 6 * Math.sqrt(n) * UNIT_ROUNDOFF;
    checkValues(`row ${row} of the product`, c.subarray(row * n, row * n + n), expected, (j) => factor * magnitudes[j]);
  }
}
