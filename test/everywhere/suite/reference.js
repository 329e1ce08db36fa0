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
