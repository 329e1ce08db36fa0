// Formulas in float64, as plain as possible.

/** [m, k] · [k, n]; a transposed operand lies as [k, m] or [n, k]. */
export function matrixProduct(a, b, { m, k, n, transposeA = false, transposeB = false }) {
  const y = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let p = 0; p < k; p++) {
        sum += a[transposeA ? p * m + i : i * k + p] * b[transposeB ? j * k + p : p * n + j];
      }
      y[i * n + j] = sum;
    }
  }
  return y;
}

/** `f` of each row, behind one another. */
export function rowWise(values, columns, f) {
  const y = new Float64Array(values.length);
  for (let start = 0; start < values.length; start += columns) {
    y.set(f(Float64Array.from(values.subarray(start, start + columns))), start);
  }
  return y;
}

export function softmaxOf(row) {
  const largest = row.reduce((a, b) => Math.max(a, b));
  const powers = row.map((x) => Math.exp(x - largest));
  const total = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / total);
}

/** The error function by its Maclaurin series: within 1e-12 for |x| ≤ 3. */
export function erf(x) {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 && n < 200; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

const sizeOf = (shape) => shape.reduce((product, size) => product * size, 1);

/** `f(...index)` for each element of a shape, row-major. */
export function tabulate(shape, f) {
  const index = shape.map(() => 0);
  return Float64Array.from({ length: sizeOf(shape) }, () => {
    const value = f(...index);
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
    return value;
  });
}

/** Gives the element at an index of row-major values, 0 outside of them. */
export function reader(values, shape) {
  return (...index) => {
    let place = 0;
    for (let axis = 0; axis < shape.length; axis++) {
      if (!(index[axis] >= 0 && index[axis] < shape[axis])) return 0;
      place = place * shape[axis] + index[axis];
    }
    return values[place];
  };
}

/** Whole numbers from 0 on. */
export const range = (count) => Array.from({ length: count }, (_, i) => i);

/** The sum of `f` of the numbers from 0 to `count` - 1. */
export function sumOf(count, f) {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += f(i);
  return sum;
}

/** The mean and the (biased) variance of an array. */
export function momentsOf(values) {
  const mean = sumOf(values.length, (i) => values[i]) / values.length;
  return { mean, variance: sumOf(values.length, (i) => (values[i] - mean) ** 2) / values.length };
}
