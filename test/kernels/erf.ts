/** erf by its all-positive series, erf x = 2/√π · e^(-x²) · Σ 2^n x^(2n+1) / (1·3·…·(2n+1)) (DLMF 7.6.2). */
export function erf(x: number): number {
  const square = x * x;
  if (square > 36) return Math.sign(x);
  let term = 1;
  let sum = 1;
  for (let n = 1; term > 1e-17 * sum; n++) {
    term *= (2 * square) / (2 * n + 1);
    sum += term;
  }
  return x * sum * Math.exp(-square) * (2 / Math.sqrt(Math.PI));
}
