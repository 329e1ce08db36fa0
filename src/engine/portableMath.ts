// Functions in float64 that have the same bits in every engine: ECMAScript leaves the rounding of Math.exp and Math.log to
// the implementation, and engines differ. Additions, multiplications and divisions are exact to the last bit everywhere.

// ln 2 in two parts: the first has 32 bits, so that its products with small integers are exact.
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

const word = new Float64Array(1);
const halves = new Uint32Array(word.buffer);
// Which half of a float64 has its sign and exponent.
word[0] = 1;
const TOP = halves[1] === 0 ? 0 : 1;

/** 2^exponent, for whole exponents from -1022 to 1023. */
function powerOfTwo(exponent: number): number {
  halves[1 - TOP] = 0;
  halves[TOP] = (exponent + 1023) << 20;
  return word[0];
}

/** e^x, at most 2 ULP off in float64; results below 2^-1022 become 0. */
export function exp(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x > 709.78271289338397) return Infinity;
  if (x < -708.39641853226408) return 0;
  const k = Math.round(x / (LN2_HIGH + LN2_LOW));
  // |r| ≤ ln 2 / 2; its Taylor series ends after the 14th term, whose value is below 2^-56.
  const r = x - k * LN2_HIGH - k * LN2_LOW;
  let sum = 1;
  for (let n = 14; n > 1; n--) sum = 1 + (sum * r) / n;
  const power = 1 + r * sum;
  // 2^1024 is no number, 2^1023 · 2 is: the largest results need two factors.
  return k > 1023 ? power * 2 * powerOfTwo(k - 1) : power * powerOfTwo(k);
}

/** ln x, at most 2 ULP off in float64. NaN for negative numbers, -Infinity for 0. */
export function log(x: number): number {
  if (!(x > 0)) return x === 0 ? -Infinity : NaN;
  if (x === Infinity) return x;
  if (x < 2 ** -1022) return log(x * 2 ** 54) - 54 * LN2_HIGH - 54 * LN2_LOW;
  word[0] = x;
  let exponent = (halves[TOP] >>> 20) - 1023;
  halves[TOP] = (halves[TOP] & 0xfffff) | (1023 << 20);
  let mantissa = word[0];
  if (mantissa > Math.SQRT2) {
    mantissa /= 2;
    exponent += 1;
  }
  // ln m = 2 artanh s = 2 (s + s³/3 + s⁵/5 …) with s = (m - 1) / (m + 1), |s| ≤ 0.172: the term of s²³ is below 2^-60.
  const s = (mantissa - 1) / (mantissa + 1);
  const square = s * s;
  let sum = 1 / 23;
  for (let n = 21; n >= 3; n -= 2) sum = sum * square + 1 / n;
  return exponent * LN2_HIGH + (exponent * LN2_LOW + 2 * s * square * sum + 2 * s);
}

/** b^n for b of at least 0: whole exponents by squaring, others by way of `exp` and `log`. */
export function power(base: number, exponent: number): number {
  if (!Number.isSafeInteger(exponent)) return base === 0 ? 0 : exp(exponent * log(base));
  let result = 1;
  let square = exponent < 0 ? 1 / base : base;
  for (let rest = Math.abs(exponent); rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result *= square;
    square *= square;
  }
  return result;
}

/** cos πx for x from 0 to 1, at most 2^-52 off: exactly 1, 0 and -1 at 0, 1/2 and 1. */
export function cosPi(x: number): number {
  if (x > 0.5) return -cosPi(1 - x);
  // Up to a quarter the cosine's series, beyond it the sine's of what is left to a half.
  const isNear = x <= 0.25;
  const angle = Math.PI * (isNear ? x : 0.5 - x);
  const square = angle * angle;
  let sum = 1;
  for (let n = isNear ? 18 : 19; n > 1; n -= 2) sum = 1 - (sum * square) / (n * (n - 1));
  return isNear ? sum : angle * sum;
}
