// Activations, forward and backward side by side. Unit: a vector of four elements (the last one may be
// partial). A kernel reads an element before it writes it: y may be x's buffer, dx may be dy's or that
// of the other input. Backward kernels overwrite dx = dy·f'(x). Each activation is a class without fields,
// whose methods are resolved and inlined when compiled; see `carrying` for those that have a scalar.
//
// Errors are the largest found against float64 among every third float32 number with 1/8 ≤ |x| < 6 and 15 million
// of all magnitudes, in ULP of the result; where a derivative crosses zero they are absolute, for dy = 1.

import { loadLanes, storeLanes } from "../lanes";
import { carried, carrying } from "../loops";
import { expBounded4, expMinusOneBelow4, line, normalPdf4, sigmoid4, softplus4, tanh4 } from "../math";
import { LANES, loadPart, madd, select4, storePart } from "../simd";

// Two vectors a round share the constants, of which there are more than registers, and become one of twice the width in
// the wide build.
const PAIR: u32 = 2 * LANES;

/** y[i] = op.apply(x[i]) for i in [4·begin, min(4·end, n)). */
export function forward<Op>(begin: u32, end: u32, y: usize, x: usize, n: u32, op: Op): void {
  const stop = min(end * LANES, n);
  let i = begin * LANES;
  for (; i + PAIR <= stop; i += PAIR) {
    const at = <usize>i << 2;
    const low = op.apply(v128.load(x + at));
    const high = op.apply(v128.load(x + at, 16));
    v128.store(y + at, low);
    v128.store(y + at, high, 16);
  }
  for (; i < stop; i += LANES) {
    const at = <usize>i << 2;
    const lanes = min(LANES, stop - i);
    storeLanes(y + at, op.apply(loadLanes(x + at, lanes)), lanes);
  }
}

/** dx[i] = op.backward(dy[i], v[i]); v is x or y, whichever the op asks for. */
export function backward<Op>(begin: u32, end: u32, dx: usize, dy: usize, v: usize, n: u32, op: Op): void {
  const stop = min(end * LANES, n);
  let i = begin * LANES;
  for (; i + PAIR <= stop; i += PAIR) {
    const at = <usize>i << 2;
    const low = op.backward(v128.load(dy + at), v128.load(v + at));
    const high = op.backward(v128.load(dy + at, 16), v128.load(v + at, 16));
    v128.store(dx + at, low);
    v128.store(dx + at, high, 16);
  }
  for (; i < stop; i += LANES) {
    const at = <usize>i << 2;
    const lanes = min(LANES, stop - i);
    storeLanes(dx + at, op.backward(loadLanes(dy + at, lanes), loadLanes(v + at, lanes)), lanes);
  }
}

/** y[i] = op.apply(x[i], a, b), as `forward`, for those with two scalars. */
function forwardOfTwo<Op>(begin: u32, end: u32, y: usize, x: usize, n: u32, a: f32, b: f32, op: Op): void {
  const first = f32x4.splat(a);
  const second = f32x4.splat(b);
  const stop = min(end * LANES, n);
  let i = begin * LANES;
  for (; i + PAIR <= stop; i += PAIR) {
    const at = <usize>i << 2;
    const low = op.apply(v128.load(x + at), first, second);
    const high = op.apply(v128.load(x + at, 16), first, second);
    v128.store(y + at, low);
    v128.store(y + at, high, 16);
  }
  for (; i < stop; i += LANES) {
    const at = <usize>i << 2;
    const lanes = min(LANES, stop - i);
    storeLanes(y + at, op.apply(loadLanes(x + at, lanes), first, second), lanes);
  }
}

/** x within ±most, beyond which the activation no longer bends; so that no 0·Infinity arises. NaN stays NaN. */
// @ts-ignore: decorator
@inline
function within(x: v128, most: f32): v128 {
  return f32x4.pmax(f32x4.pmin(x, f32x4.splat(most)), f32x4.splat(-most));
}

// ——— What the gemm fuses into its last pass ———

/** max(x, 0), NaN stays NaN. */
// @ts-ignore: decorator
@inline
export function reluLanes(x: v128): v128 {
  return f32x4.pmax(x, f32x4.splat(0));
}

/** 1 / (1 + e^-x). */
// @ts-ignore: decorator
@inline
export function sigmoidLanes(x: v128): v128 {
  return sigmoid4(x);
}

/** tanh x. */
// @ts-ignore: decorator
@inline
export function tanhLanes(x: v128): v128 {
  return tanh4(x);
}

// ——— Piecewise linear ———

@unmanaged class Step {
  @inline apply(x: v128): v128 {
    const one = v128.and(f32x4.ge(x, f32x4.splat(0)), f32x4.splat(1));
    return select4(f32x4.eq(x, x), one, x);
  }
}

/** y = 1 where x ≥ 0, else 0, NaN stays NaN; shapes [n]. Exact. Its gradient is zero: there is no backward kernel. */
export function step(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  forward<Step>(begin, end, y, x, n, changetype<Step>(0));
}

@unmanaged
export class Relu {
  @inline apply(x: v128): v128 {
    return reluLanes(x);
  }
  @inline backward(dy: v128, y: v128): v128 {
    return v128.andnot(dy, f32x4.le(y, f32x4.splat(0)));
  }
}

/** y = max(x, 0), shapes [n]. Exact. */
export function relu(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  forward<Relu>(begin, end, y, x, n, changetype<Relu>(0));
}

/** dx = dy where y > 0 (or NaN), else 0, as PyTorch; shapes [n]. Exact. */
export function reluGradient(begin: u32, end: u32, dx: usize, dy: usize, y: usize, n: u32): void {
  backward<Relu>(begin, end, dx, dy, y, n, changetype<Relu>(0));
}

@unmanaged class LeakyRelu {
  @inline apply(x: v128): v128 {
    return select4(f32x4.gt(x, f32x4.splat(0)), x, f32x4.mul(x, carried<LeakyRelu>(this)));
  }
  @inline backward(dy: v128, y: v128): v128 {
    return select4(f32x4.gt(y, f32x4.splat(0)), dy, f32x4.mul(dy, carried<LeakyRelu>(this)));
  }
}

/** y = x where x > 0, else negativeSlope·x, negativeSlope ≥ 0; shapes [n]. 0.5 ULP. */
export function leakyRelu(begin: u32, end: u32, y: usize, x: usize, n: u32, negativeSlope: f32): void {
  forward<LeakyRelu>(begin, end, y, x, n, carrying<LeakyRelu>(negativeSlope));
}

/** dx = dy where y > 0, else negativeSlope·dy; shapes [n]. 0.5 ULP. */
export function leakyReluGradient(
  begin: u32, end: u32, dx: usize, dy: usize, y: usize, n: u32, negativeSlope: f32,
): void {
  backward<LeakyRelu>(begin, end, dx, dy, y, n, carrying<LeakyRelu>(negativeSlope));
}

@unmanaged class HardTanh {
  @inline apply(x: v128, least: v128, most: v128): v128 {
    return f32x4.pmax(f32x4.pmin(x, most), least);
  }
}

/** y = x within [least, most], NaN stays NaN; shapes [n]. Exact. */
export function hardTanh(begin: u32, end: u32, y: usize, x: usize, n: u32, least: f32, most: f32): void {
  forwardOfTwo<HardTanh>(begin, end, y, x, n, least, most, changetype<HardTanh>(0));
}

// @ts-ignore: decorator
@inline
function slopeBetween(dy: v128, v: v128, least: v128, most: v128): v128 {
  return v128.andnot(dy, v128.or(f32x4.le(v, least), f32x4.ge(v, most)));
}

/** dx = dy where least < v < most (or a bound or v is NaN), else 0; v is x or y, shapes [n]. Exact. */
export function hardTanhGradient(
  begin: u32, end: u32, dx: usize, dy: usize, v: usize, n: u32, least: f32, most: f32,
): void {
  const low = f32x4.splat(least);
  const high = f32x4.splat(most);
  const stop = min(end * LANES, n);
  let i = begin * LANES;
  for (; i + PAIR <= stop; i += PAIR) {
    const at = <usize>i << 2;
    const first = slopeBetween(v128.load(dy + at), v128.load(v + at), low, high);
    const second = slopeBetween(v128.load(dy + at, 16), v128.load(v + at, 16), low, high);
    v128.store(dx + at, first);
    v128.store(dx + at, second, 16);
  }
  for (; i < stop; i += LANES) {
    const at = <usize>i << 2;
    const lanes = min(LANES, stop - i);
    storeLanes(dx + at, slopeBetween(loadLanes(dy + at, lanes), loadLanes(v + at, lanes), low, high), lanes);
  }
}

@unmanaged class Threshold {
  @inline apply(x: v128, threshold: v128, value: v128): v128 {
    return select4(f32x4.le(x, threshold), value, x);
  }
}

/** y = value where x ≤ threshold, else x (NaN too); shapes [n]. Exact. Its backward kernel is hardTanhGradient. */
export function threshold(begin: u32, end: u32, y: usize, x: usize, n: u32, threshold: f32, value: f32): void {
  forwardOfTwo<Threshold>(begin, end, y, x, n, threshold, value, changetype<Threshold>(0));
}

@unmanaged class HardSigmoid {
  @inline apply(x: v128): v128 {
    const six = f32x4.splat(6);
    return f32x4.div(f32x4.pmax(f32x4.pmin(f32x4.add(x, f32x4.splat(3)), six), f32x4.splat(0)), six);
  }
  @inline backward(dy: v128, x: v128): v128 {
    return v128.andnot(f32x4.div(dy, f32x4.splat(6)), f32x4.ge(f32x4.abs(x), f32x4.splat(3)));
  }
}

/** y = min(max(x + 3, 0), 6)/6, shapes [n]. 1 ULP. */
export function hardSigmoid(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  forward<HardSigmoid>(begin, end, y, x, n, changetype<HardSigmoid>(0));
}

/** dx = dy/6 where |x| < 3 (or NaN), else 0; shapes [n]. 0.5 ULP. */
export function hardSigmoidGradient(begin: u32, end: u32, dx: usize, dy: usize, x: usize, n: u32): void {
  backward<HardSigmoid>(begin, end, dx, dy, x, n, changetype<HardSigmoid>(0));
}

@unmanaged class HardSwish {
  @inline apply(x: v128): v128 {
    return f32x4.mul(f32x4.pmax(x, f32x4.splat(-3)), changetype<HardSigmoid>(0).apply(x));
  }
  @inline backward(dy: v128, x: v128): v128 {
    const line = f32x4.div(f32x4.add(x, f32x4.splat(1.5)), f32x4.splat(3));
    const slope = select4(f32x4.ge(x, f32x4.splat(3)), f32x4.splat(1), line);
    return v128.andnot(f32x4.mul(dy, slope), f32x4.le(x, f32x4.splat(-3)));
  }
}

/** y = x·hardSigmoid(x), shapes [n]; -0 at -Infinity. Howard et al. 2019. 2 ULP. */
export function hardSwish(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  forward<HardSwish>(begin, end, y, x, n, changetype<HardSwish>(0));
}

/** dx = 0 where x ≤ -3, dy where x ≥ 3, dy·(x + 1.5)/3 between; shapes [n]. 1.5 ULP. */
export function hardSwishGradient(begin: u32, end: u32, dx: usize, dy: usize, x: usize, n: u32): void {
  backward<HardSwish>(begin, end, dx, dy, x, n, changetype<HardSwish>(0));
}

@unmanaged class Softsign {
  @inline apply(x: v128): v128 {
    const u = within(x, 1e38); // Infinity / Infinity is NaN
    return f32x4.div(u, f32x4.add(f32x4.splat(1), f32x4.abs(u)));
  }
  @inline backward(dy: v128, x: v128): v128 {
    const share = f32x4.div(f32x4.splat(1), f32x4.add(f32x4.splat(1), f32x4.abs(x)));
    return f32x4.mul(dy, f32x4.mul(share, share));
  }
}

/** y = x/(1 + |x|), shapes [n]. 1.5 ULP. */
export function softsign(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  forward<Softsign>(begin, end, y, x, n, changetype<Softsign>(0));
}

/** dx = dy/(1 + |x|)², shapes [n]. 4 ULP. */
export function softsignGradient(begin: u32, end: u32, dx: usize, dy: usize, x: usize, n: u32): void {
  backward<Softsign>(begin, end, dx, dy, x, n, changetype<Softsign>(0));
}

/** y = v where x > 0, else slope·v: PReLU where v is x, its gradient where v is dy. v, x and y [n]; element i has slope
 *  i mod `columns`, or the only one where strideOfSlopes is 0. Unit: `columns` elements (the last one may have fewer).
 *  y may be v's or x's buffer. He et al. 2015. 0.5 ULP. */
export function prelu(
  begin: u32, end: u32, y: usize, v: usize, x: usize, slopes: usize, n: u32, columns: u32, strideOfSlopes: u32,
): void {
  const only = v128.load32_splat(slopes);
  for (let unit = begin; unit < end; unit++) {
    const first = unit * columns;
    const stop = min(columns, n - first);
    for (let i: u32 = 0; i < stop; i += LANES) {
      const at = <usize>(first + i) << 2;
      const count = stop - i;
      const whole = count >= LANES;
      const from = slopes + (<usize>i << 2);
      const slope = strideOfSlopes == 0 ? only : whole ? v128.load(from) : loadPart(from, count);
      const value = whole ? v128.load(v + at) : loadPart(v + at, count);
      const positive = f32x4.gt(whole ? v128.load(x + at) : loadPart(x + at, count), f32x4.splat(0));
      const result = select4(positive, value, f32x4.mul(slope, value));
      if (whole) v128.store(y + at, result);
      else storePart(y + at, result, count);
    }
  }
}

// ——— Exponential, from the output ———
//
// A slope out of the rounded y has the error of 1 - y, up to 2^-24, as in PyTorch; far out, where it is as small itself,
// nothing of it is left. Out of x it would take an exponential in the backward pass, and keep x beside y.

@unmanaged
export class Sigmoid {
  @inline apply(x: v128): v128 {
    return sigmoidLanes(x);
  }
  @inline backward(dy: v128, y: v128): v128 {
    return f32x4.mul(dy, f32x4.mul(y, f32x4.sub(f32x4.splat(1), y)));
  }
}

/** y = 1 / (1 + e^-x), shapes [n]. 1.9 ULP. */
export function sigmoid(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  forward<Sigmoid>(begin, end, y, x, n, changetype<Sigmoid>(0));
}

/** dx = dy·y·(1 - y), shapes [n]. 1.5 ULP for the y that is given. */
export function sigmoidGradient(begin: u32, end: u32, dx: usize, dy: usize, y: usize, n: u32): void {
  backward<Sigmoid>(begin, end, dx, dy, y, n, changetype<Sigmoid>(0));
}

@unmanaged class Tanh {
  @inline apply(x: v128): v128 {
    return tanhLanes(x);
  }
  @inline backward(dy: v128, y: v128): v128 {
    const one = f32x4.splat(1);
    return f32x4.mul(dy, f32x4.mul(f32x4.sub(one, y), f32x4.add(one, y)));
  }
}

/** y = tanh x, shapes [n]. 1.5 ULP. */
export function tanh(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  forward<Tanh>(begin, end, y, x, n, changetype<Tanh>(0));
}

/** dx = dy·(1 - y)·(1 + y), shapes [n]. 2 ULP for the y that is given. */
export function tanhGradient(begin: u32, end: u32, dx: usize, dy: usize, y: usize, n: u32): void {
  backward<Tanh>(begin, end, dx, dy, y, n, changetype<Tanh>(0));
}

// ——— Exponential, from the input ———

@unmanaged class Elu {
  @inline apply(x: v128): v128 {
    return select4(f32x4.gt(x, f32x4.splat(0)), x, f32x4.mul(expMinusOneBelow4(x), carried<Elu>(this)));
  }
  @inline backward(dy: v128, x: v128): v128 {
    return select4(f32x4.gt(x, f32x4.splat(0)), dy, f32x4.mul(dy, f32x4.mul(expBounded4(x), carried<Elu>(this))));
  }
}

/** y = x where x > 0, else alpha·(e^x - 1), alpha ≥ 0; shapes [n]. 1.7 ULP. Clevert et al. 2015. */
export function elu(begin: u32, end: u32, y: usize, x: usize, n: u32, alpha: f32): void {
  forward<Elu>(begin, end, y, x, n, carrying<Elu>(alpha));
}

/** dx = dy where x > 0, else dy·alpha·e^x; shapes [n]. 2 ULP. */
export function eluGradient(begin: u32, end: u32, dx: usize, dy: usize, x: usize, n: u32, alpha: f32): void {
  backward<Elu>(begin, end, dx, dy, x, n, carrying<Elu>(alpha));
}

const SELU_SCALE: f32 = 1.0507009873554805;
// Scale times alpha, 1.6732632423543772.
const SELU_LEAST: f32 = 1.7580993408473766;

@unmanaged class Selu {
  @inline apply(x: v128): v128 {
    const below = f32x4.mul(expMinusOneBelow4(x), f32x4.splat(SELU_LEAST));
    return select4(f32x4.gt(x, f32x4.splat(0)), f32x4.mul(x, f32x4.splat(SELU_SCALE)), below);
  }
  @inline backward(dy: v128, x: v128): v128 {
    const below = f32x4.mul(expBounded4(x), f32x4.splat(SELU_LEAST));
    return f32x4.mul(dy, select4(f32x4.gt(x, f32x4.splat(0)), f32x4.splat(SELU_SCALE), below));
  }
}

/** y = scale·(x where x > 0, else alpha·(e^x - 1)), shapes [n]. Klambauer et al. 2017. 2 ULP. */
export function selu(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  forward<Selu>(begin, end, y, x, n, changetype<Selu>(0));
}

/** dx = dy·(scale where x > 0, else scale·alpha·e^x), shapes [n]. 2.5 ULP. */
export function seluGradient(begin: u32, end: u32, dx: usize, dy: usize, x: usize, n: u32): void {
  backward<Selu>(begin, end, dx, dy, x, n, changetype<Selu>(0));
}

@unmanaged class Celu {
  @inline apply(x: v128): v128 {
    const alpha = carried<Celu>(this);
    return select4(f32x4.gt(x, f32x4.splat(0)), x, f32x4.mul(expMinusOneBelow4(f32x4.div(x, alpha)), alpha));
  }
  @inline backward(dy: v128, x: v128): v128 {
    const below = expBounded4(f32x4.div(x, carried<Celu>(this)));
    return f32x4.mul(dy, select4(f32x4.gt(x, f32x4.splat(0)), f32x4.splat(1), below));
  }
}

/** y = x where x > 0, else alpha·(e^(x/alpha) - 1), alpha > 0; shapes [n]. Barron 2017. 2 ULP. */
export function celu(begin: u32, end: u32, y: usize, x: usize, n: u32, alpha: f32): void {
  forward<Celu>(begin, end, y, x, n, carrying<Celu>(alpha));
}

/** dx = dy where x > 0, else dy·e^(x/alpha); shapes [n]. 1.5 ULP, and |x/alpha|/2 where x/alpha is rounded. */
export function celuGradient(begin: u32, end: u32, dx: usize, dy: usize, x: usize, n: u32, alpha: f32): void {
  backward<Celu>(begin, end, dx, dy, x, n, carrying<Celu>(alpha));
}

/** d/dx of x·σ(u) is σ(u)·(1 + x·u'·σ(-u)); both σ come from one e^-|u|, so neither cancels. */
// @ts-ignore: decorator
@inline
function gateSlope(u: v128, xdu: v128): v128 {
  const one = f32x4.splat(1);
  const e = expBounded4(v128.or(u, f32x4.splat(-0.0)));
  const inverse = f32x4.div(one, f32x4.add(one, e));
  const positive = f32x4.ge(u, f32x4.splat(0));
  const open = f32x4.mul(select4(positive, one, e), inverse);
  const closed = f32x4.mul(select4(positive, e, one), inverse);
  return f32x4.mul(open, madd(xdu, closed, one));
}

@unmanaged class Softplus {
  @inline apply(x: v128): v128 {
    return softplus4(x);
  }
  @inline backward(dy: v128, x: v128): v128 {
    return f32x4.mul(dy, sigmoid4(x));
  }
}

/** y = log(1 + e^x), shapes [n]. 2 ULP. */
export function softplus(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  forward<Softplus>(begin, end, y, x, n, changetype<Softplus>(0));
}

/** dx = dy·σ(x), shapes [n]. 2.6 ULP. */
export function softplusGradient(begin: u32, end: u32, dx: usize, dy: usize, x: usize, n: u32): void {
  backward<Softplus>(begin, end, dx, dy, x, n, changetype<Softplus>(0));
}

// σ(±110) is exactly 0 or 1 in float32.
const SILU_MOST: f32 = 110;

@unmanaged
export class Silu {
  @inline apply(x: v128): v128 {
    return f32x4.mul(f32x4.pmax(x, f32x4.splat(-SILU_MOST)), sigmoid4(x));
  }
  @inline backward(dy: v128, x: v128): v128 {
    const u = within(x, SILU_MOST);
    return f32x4.mul(dy, gateSlope(u, u));
  }
}

/** y = x·σ(x), shapes [n]; -0 at -Infinity. Ramachandran et al. 2017. 3.2 ULP for x > -87; below, where σ(x) is
 *  denormal, less than 1e-43. */
export function silu(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  forward<Silu>(begin, end, y, x, n, changetype<Silu>(0));
}

/** dx = dy·σ(x)·(1 + x·σ(-x)), shapes [n]. Absolute error 2.4e-7. */
export function siluGradient(begin: u32, end: u32, dx: usize, dy: usize, x: usize, n: u32): void {
  backward<Silu>(begin, end, dx, dy, x, n, changetype<Silu>(0));
}

@unmanaged class LogSigmoid {
  @inline apply(x: v128): v128 {
    return f32x4.neg(softplus4(f32x4.neg(x)));
  }
  @inline backward(dy: v128, x: v128): v128 {
    return f32x4.mul(dy, sigmoid4(f32x4.neg(x)));
  }
}

/** y = log σ(x) = -log(1 + e^-x), shapes [n]. 2 ULP. */
export function logSigmoid(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  forward<LogSigmoid>(begin, end, y, x, n, changetype<LogSigmoid>(0));
}

/** dx = dy·σ(-x), shapes [n]. 2 ULP. */
export function logSigmoidGradient(begin: u32, end: u32, dx: usize, dy: usize, x: usize, n: u32): void {
  backward<LogSigmoid>(begin, end, dx, dy, x, n, changetype<LogSigmoid>(0));
}

// From here on tanh(log(1 + e^x)) is 1 in float32, and the squares below stay finite.
const MISH_MOST: f32 = 20;

/** With e = e^x and k = e·(e + 2): tanh(log(1 + e)) = k/(k + 2), and its slope is 4e·(e + 1)/(k + 2)². */
@unmanaged class Mish {
  @inline apply(x: v128): v128 {
    const e = expBounded4(f32x4.pmin(x, f32x4.splat(MISH_MOST)));
    const k = f32x4.mul(e, f32x4.add(e, f32x4.splat(2)));
    return f32x4.mul(f32x4.pmax(x, f32x4.splat(-SILU_MOST)), f32x4.div(k, f32x4.add(k, f32x4.splat(2))));
  }
  @inline backward(dy: v128, x: v128): v128 {
    const u = f32x4.pmax(f32x4.pmin(x, f32x4.splat(MISH_MOST)), f32x4.splat(-SILU_MOST));
    const e = expBounded4(u);
    const k = f32x4.mul(e, f32x4.add(e, f32x4.splat(2)));
    const below = f32x4.add(k, f32x4.splat(2));
    const rise = f32x4.div(f32x4.mul(f32x4.mul(f32x4.splat(4), e), f32x4.add(e, f32x4.splat(1))), below);
    return f32x4.mul(dy, f32x4.div(madd(u, rise, k), below));
  }
}

/** y = x·tanh(log(1 + e^x)), shapes [n]; -0 at -Infinity. Misra 2019. 4.5 ULP for x > -87; below, less than 1e-42. */
export function mish(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  forward<Mish>(begin, end, y, x, n, changetype<Mish>(0));
}

/** dx = dy·d/dx(x·tanh(log(1 + e^x))), shapes [n]. Absolute error 2.1e-7. */
export function mishGradient(begin: u32, end: u32, dx: usize, dy: usize, x: usize, n: u32): void {
  backward<Mish>(begin, end, dx, dy, x, n, changetype<Mish>(0));
}

// φ(15) is 0 in float32, and with it Φ(-15).
const GELU_MOST: f32 = 15;

/** Φ(x), the normal distribution's area left of x, out of its density: Φ(-a) = φ(a)·M(a) for a ≥ 0. The Mills
 *  ratio M is t·P(1 - t), t = 1/(1 + 0.3a): our own minimax fit on [0, 14.5], coefficients rounded to float32 one
 *  after another, relative error 2^-27.8. 1 - t comes as 0.3a·t, which is accurate for small a too. */
// @ts-ignore: decorator
@inline
function normalArea(x: v128, density: v128): v128 {
  const one = f32x4.splat(1);
  const a = f32x4.mul(f32x4.abs(x), f32x4.splat(0.3));
  const t = f32x4.div(one, f32x4.add(one, a));
  const s = f32x4.mul(a, t);
  const s2 = f32x4.mul(s, s);
  let p = madd(line(s, -0.18382616341114044, 0.05185084789991379), s2, line(s, 0.025395505130290985, 0.17871862649917603));
  p = madd(p, s2, line(s, -0.3501359224319458, 0.05836833640933037));
  p = madd(p, s2, line(s, 1.5494645833969116, -0.20312054455280304));
  p = madd(p, s2, line(s, 1.2533141374588013, -2.0800182819366455));
  const tail = f32x4.mul(density, f32x4.mul(p, t));
  return select4(f32x4.ge(x, f32x4.splat(0)), f32x4.sub(one, tail), tail);
}

@unmanaged
export class Gelu {
  @inline apply(x: v128): v128 {
    const u = within(x, GELU_MOST);
    return f32x4.mul(f32x4.pmax(x, f32x4.splat(-GELU_MOST)), normalArea(u, normalPdf4(u)));
  }
  @inline backward(dy: v128, x: v128): v128 {
    // Not normalPdf4: beside the area a rounded square is accurate enough.
    const u = within(x, GELU_MOST);
    const e = expBounded4(f32x4.mul(f32x4.mul(u, u), f32x4.splat(-0.5)));
    const density = f32x4.mul(e, f32x4.splat(0.3989423));
    return f32x4.mul(dy, madd(u, density, normalArea(u, density)));
  }
}

/** y = x·Φ(x) = x/2·(1 + erf(x/√2)), shapes [n]; -0 at -Infinity. Hendrycks & Gimpel 2016. 7 ULP for x > -5, 8 for
 *  x > -13; below, where y is near denormal, less than 1e-43. */
export function gelu(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  forward<Gelu>(begin, end, y, x, n, changetype<Gelu>(0));
}

/** dx = dy·(Φ(x) + x·φ(x)), shapes [n]. Absolute error 2e-7. */
export function geluGradient(begin: u32, end: u32, dx: usize, dy: usize, x: usize, n: u32): void {
  backward<Gelu>(begin, end, dx, dy, x, n, changetype<Gelu>(0));
}

const GELU_CUBIC: f32 = 0.044715;
// 2·√(2/π)
const GELU_SCALE: f32 = 1.5957691216057308;

@unmanaged
export class GeluTanh {
  @inline apply(x: v128): v128 {
    const u = within(x, GELU_MOST);
    const bend = madd(f32x4.mul(u, u), f32x4.splat(GELU_CUBIC), f32x4.splat(1));
    const gate = sigmoid4(f32x4.mul(f32x4.mul(u, f32x4.splat(GELU_SCALE)), bend));
    return f32x4.mul(f32x4.pmax(x, f32x4.splat(-GELU_MOST)), gate);
  }
  @inline backward(dy: v128, x: v128): v128 {
    const u = within(x, GELU_MOST);
    const square = f32x4.mul(u, u);
    const line = f32x4.mul(u, f32x4.splat(GELU_SCALE));
    const argument = f32x4.mul(line, madd(square, f32x4.splat(GELU_CUBIC), f32x4.splat(1)));
    const rise = f32x4.mul(line, madd(square, f32x4.splat(3 * GELU_CUBIC), f32x4.splat(1)));
    return f32x4.mul(dy, gateSlope(argument, rise));
  }
}

/** y = x/2·(1 + tanh u) = x·σ(2u), u = √(2/π)·(x + 0.044715x³), shapes [n]; -0 at -Infinity. 4 ULP for x > -1,
 *  growing with |u| to 200 at -10, where y is 1e-22; absolute error below 0 at most 6e-8. */
export function geluTanh(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  forward<GeluTanh>(begin, end, y, x, n, changetype<GeluTanh>(0));
}

/** dx = dy·d/dx(x·σ(2u)), shapes [n]. Absolute error 2.5e-7. */
export function geluTanhGradient(begin: u32, end: u32, dx: usize, dy: usize, x: usize, n: u32): void {
  backward<GeluTanh>(begin, end, dx, dy, x, n, changetype<GeluTanh>(0));
}
