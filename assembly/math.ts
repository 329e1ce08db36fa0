import { madd, select4 } from "./simd";

// @ts-ignore: decorator
@inline
function expRest(x: v128, n: v128): v128 {
  return madd(n, f32x4.splat(-1.428606765330187e-06), madd(n, f32x4.splat(-0.693145751953125), x));
}
// @ts-ignore: decorator
@inline
function expShift(x: v128): v128 {
  return madd(x, f32x4.splat(1.4426950216293335), f32x4.splat(12583166.0));
}
// @ts-ignore: decorator
@inline
function expQ(r: v128): v128 {
  const r2 = f32x4.mul(r, r);
  let p = f32x4.splat(0.001382149406708777);
  p = madd(p, r2, f32x4.splat(0.041668254882097244));
  p = madd(p, r2, f32x4.splat(0.4999999403953552));
  let pOdd = f32x4.splat(0.008368662558495998);
  pOdd = madd(pOdd, r2, f32x4.splat(0.1666652113199234));
  p = madd(pOdd, r, p);
  return madd(r2, p, r);
}
// @ts-ignore: decorator
@inline
function expm1Q(r: v128): v128 {
  const r2 = f32x4.mul(r, r);
  let p = f32x4.splat(0.0013869807589799166);
  p = madd(p, r2, f32x4.splat(0.04166744276881218));
  p = madd(p, r2, f32x4.splat(0.4999999701976776));
  let pOdd = f32x4.splat(0.008366257883608341);
  pOdd = madd(pOdd, r2, f32x4.splat(0.1666654646396637));
  p = madd(pOdd, r, p);
  return madd(r2, p, r);
}
// @ts-ignore: decorator
@inline
function expClamp(x: v128): v128 {
  return f32x4.pmax(f32x4.pmin(x, f32x4.splat(89.0)), f32x4.splat(-104.0));
}

// @ts-ignore: decorator
@inline
export function exp4(x: v128): v128 {
  const y = expClamp(x);
  const shift = expShift(y);
  const p = f32x4.add(f32x4.splat(1.0), expQ(expRest(y, f32x4.sub(shift, f32x4.splat(12583166.0)))));
  const half = i32x4.shr_u(shift, 1);
  return f32x4.mul(f32x4.mul(p, i32x4.shl(half, 23)), i32x4.shl(i32x4.sub(shift, half), 23));
}

// @ts-ignore: decorator
@inline
export function expMinusOne4(x: v128): v128 {
  const y = f32x4.pmax(f32x4.pmin(x, f32x4.splat(89.0)), f32x4.splat(-18.0));
  const shift = expShift(y);
  const q = expm1Q(expRest(y, f32x4.sub(shift, f32x4.splat(12583166.0))));
  const half = i32x4.shr_u(shift, 1);
  const s = i32x4.shl(half, 23);
  const t = i32x4.shl(i32x4.sub(shift, half), 23);
  const e = f32x4.mul(madd(s, q, f32x4.sub(s, i32x4.sub(i32x4.splat(0x7f000000), t))), t);
  return v128.or(e, v128.and(x, f32x4.splat(-0.0)));
}

// @ts-ignore: decorator
@inline
export function sigmoid4(x: v128): v128 {
  const y = expClamp(x);
  const shift = expShift(y);
  const r = expRest(y, f32x4.sub(shift, f32x4.splat(12583166.0)));
  const r2 = f32x4.mul(r, r);
  let p = f32x4.splat(0.002069813897833228);
  p = madd(p, r2, f32x4.splat(0.06250303238630295));
  p = madd(p, r2, f32x4.splat(0.7499998807907104));
  let pOdd = f32x4.splat(0.012552812695503235);
  pOdd = madd(pOdd, r2, f32x4.splat(0.2499978393316269));
  p = madd(pOdd, r, p);
  p = f32x4.add(f32x4.splat(1.5), f32x4.add(r, madd(r2, p, f32x4.mul(r, f32x4.splat(0.5)))));
  const half = i32x4.shr_u(shift, 1);
  const z = f32x4.mul(p, i32x4.shl(half, 23));
  const inverse = i32x4.sub(i32x4.splat(0x7f400000), i32x4.shl(i32x4.sub(shift, half), 23));
  return f32x4.div(z, f32x4.add(z, inverse));
}

// @ts-ignore: decorator
@inline
export function tanh4(x: v128): v128 {
  const t = f32x4.pmin(f32x4.abs(f32x4.add(x, x)), f32x4.splat(18.5));
  const shift = madd(t, f32x4.splat(1.4426950216293335), f32x4.splat(12583039.0));
  const q = expm1Q(expRest(t, f32x4.sub(shift, f32x4.splat(12583039.0))));
  const s = i32x4.shl(shift, 23);
  const u = madd(s, q, f32x4.sub(s, f32x4.splat(1.0)));
  const v = f32x4.div(u, f32x4.add(u, f32x4.splat(2.0)));
  const z = f32x4.mul(x, x);
  let c = madd(z, f32x4.splat(-0.050814032554626465), f32x4.splat(0.13319213688373566));
  c = madd(c, z, f32x4.splat(-0.33333152532577515));
  const small = madd(f32x4.mul(x, z), c, x);
  const w = select4(f32x4.lt(t, f32x4.splat(0.56)), small, v);
  return v128.or(w, v128.and(x, f32x4.splat(-0.0)));
}

// @ts-ignore: decorator
@inline
function logRest(f: v128, z: v128): v128 {
  let p = f32x4.splat(-0.14311103522777557);
  p = madd(p, z, f32x4.splat(-0.16569899022579193));
  p = madd(p, z, f32x4.splat(-0.2500178813934326));
  p = madd(p, z, f32x4.splat(-0.49999991059303284));
  let pOdd = f32x4.splat(0.08742496371269226);
  pOdd = madd(pOdd, z, f32x4.splat(0.1491669863462448));
  pOdd = madd(pOdd, z, f32x4.splat(0.1996215134859085));
  pOdd = madd(pOdd, z, f32x4.splat(0.33333948254585266));
  p = madd(pOdd, f, p);
  return p;
}
// @ts-ignore: decorator
@inline
export function log4(x: v128): v128 {
  const denormal = v128.and(f32x4.lt(x, f32x4.splat(1.1754943508222875e-38)), i32x4.splat(23 << 23));
  const y = f32x4.mul(x, i32x4.add(denormal, i32x4.splat(0x3f800000)));
  const i = i32x4.sub(y, i32x4.splat(0x3f3504f3));
  const e = f32x4.convert_i32x4_s(i32x4.shr_s(i32x4.sub(i, denormal), 23));
  const f = f32x4.sub(i32x4.add(v128.and(i, i32x4.splat(0x7fffff)), i32x4.splat(0x3f3504f3)), f32x4.splat(1.0));
  const z = f32x4.mul(f, f);
  const low = madd(z, logRest(f, z), f32x4.mul(e, f32x4.splat(1.428606765330187e-06)));
  const r = madd(e, f32x4.splat(0.693145751953125), f32x4.add(f, low));
  const special = v128.or(
    v128.andnot(x, f32x4.lt(x, f32x4.splat(Infinity))),
    v128.and(f32x4.eq(x, f32x4.splat(0)), f32x4.splat(-Infinity)),
  );
  return v128.or(f32x4.add(r, special), f32x4.lt(x, f32x4.splat(0)));
}

// @ts-ignore: decorator
@inline
export function logOnePlus4(x: v128): v128 {
  const i = i32x4.sub(f32x4.add(x, f32x4.splat(1.0)), i32x4.splat(0x3f3504f3));
  const e = f32x4.convert_i32x4_s(i32x4.shr_s(i, 23));
  const s = i32x4.sub(i32x4.splat(0x40800000), v128.and(i, i32x4.splat(0xff800000)));
  const g = madd(s, x, f32x4.sub(s, f32x4.splat(4.0)));
  const f = f32x4.mul(g, f32x4.splat(0.25));
  const z = f32x4.mul(f, f);
  const low = madd(z, logRest(f, z), f32x4.mul(e, f32x4.splat(1.428606765330187e-06)));
  const r = madd(e, f32x4.splat(0.693145751953125), f32x4.add(f, low));
  const special = v128.or(
    v128.andnot(x, f32x4.lt(x, f32x4.splat(Infinity))),
    v128.and(f32x4.eq(x, f32x4.splat(-1)), f32x4.splat(-Infinity)),
  );
  const sign = v128.and(x, f32x4.splat(-0.0));
  return v128.or(v128.or(f32x4.add(r, special), sign), f32x4.lt(x, f32x4.splat(-1)));
}

// @ts-ignore: decorator
@inline
export function softplus4(x: v128): v128 {
  const z = exp4(v128.or(x, f32x4.splat(-0.0)));
  const w = f32x4.sub(z, f32x4.splat(0.5));
  const w2 = f32x4.mul(w, w);
  let p = f32x4.splat(0.006893772166222334);
  p = madd(p, w2, f32x4.splat(0.01666877046227455));
  p = madd(p, w2, f32x4.splat(0.05108802393078804));
  p = madd(p, w2, f32x4.splat(0.1792249083518982));
  let pOdd = f32x4.splat(-0.0032203677110373974);
  pOdd = madd(pOdd, w2, f32x4.splat(-0.010215070098638535));
  pOdd = madd(pOdd, w2, f32x4.splat(-0.02890026569366455));
  pOdd = madd(pOdd, w2, f32x4.splat(-0.09323209524154663));
  p = madd(pOdd, w, p);
  p = madd(p, w, f32x4.splat(-0.37813955545425415));
  return f32x4.add(madd(f32x4.mul(z, z), p, f32x4.pmax(x, f32x4.splat(0))), z);
}

// @ts-ignore: decorator
@inline
export function erf4(x: v128): v128 {
  const t = f32x4.abs(x);
  const z = f32x4.mul(x, x);
  const z2 = f32x4.mul(z, z);
  let a = f32x4.splat(7.23606935935095e-05);
  a = madd(a, z2, f32x4.splat(0.005167731083929539));
  a = madd(a, z2, f32x4.splat(0.11283364146947861));
  a = madd(a, z2, f32x4.splat(0.12837916612625122));
  let aOdd = f32x4.splat(-0.0007824739441275597);
  aOdd = madd(aOdd, z2, f32x4.splat(-0.026843518018722534));
  aOdd = madd(aOdd, z2, f32x4.splat(-0.37612611055374146));
  a = madd(aOdd, z, a);
  const small = madd(x, a, x);
  const c = f32x4.pmin(t, f32x4.splat(3.92));
  const c2 = f32x4.mul(c, c);
  let b = f32x4.splat(-0.0025823290925472975);
  b = madd(b, c2, f32x4.splat(-0.01250177901238203));
  b = madd(b, c2, f32x4.splat(-0.14599601924419403));
  let bOdd = f32x4.splat(0.00016032073472160846);
  bOdd = madd(bOdd, c2, f32x4.splat(0.013419236056506634));
  bOdd = madd(bOdd, c2, f32x4.splat(-0.060005322098731995));
  b = madd(bOdd, c, b);
  b = madd(b, c, f32x4.splat(1.0010863542556763));
  b = f32x4.mul(b, b);
  b = f32x4.mul(b, b);
  b = f32x4.mul(b, b);
  const large = f32x4.sub(f32x4.splat(1.0), b);
  return select4(f32x4.lt(t, f32x4.splat(1.1)), small, v128.or(large, v128.and(x, f32x4.splat(-0.0))));
}

// @ts-ignore: decorator
@inline
function sinHalfTurn(f: v128, shift: v128): v128 {
  const F = f32x4.mul(f, f32x4.splat(4.0));
  const z = f32x4.mul(F, F);
  const z2 = f32x4.mul(z, z);
  let p = f32x4.splat(0.004521957598626614);
  p = madd(p, z2, f32x4.splat(0.5707963109016418));
  let pOdd = f32x4.splat(-0.0001511778391432017);
  pOdd = madd(pOdd, z2, f32x4.splat(-0.07516729086637497));
  p = madd(pOdd, z, p);
  p = madd(f32x4.mul(F, f32x4.sub(f32x4.splat(1.0), z)), p, F);
  return v128.xor(p, i32x4.shl(shift, 31));
}

// @ts-ignore: decorator
@inline
export function sin2Pi4(u: v128): v128 {
  const shift = f32x4.add(u, f32x4.splat(6291456.0));
  return sinHalfTurn(f32x4.sub(u, f32x4.sub(shift, f32x4.splat(6291456.0))), shift);
}

// @ts-ignore: decorator
@inline
export function cos2Pi4(u: v128): v128 {
  const shift = f32x4.add(f32x4.add(u, f32x4.splat(0.25)), f32x4.splat(6291456.0));
  const h = f32x4.sub(f32x4.sub(shift, f32x4.splat(6291456.0)), f32x4.splat(0.25));
  return sinHalfTurn(f32x4.sub(u, h), shift);
}

// @ts-ignore: decorator
@inline
export function normalPdf4(x: v128): v128 {
  const a = f32x4.pmin(f32x4.abs(x), f32x4.splat(14.5));
  const h = v128.and(a, i32x4.splat(0xfffff000));
  const y = f32x4.mul(f32x4.mul(h, h), f32x4.splat(-0.5));
  const low = f32x4.mul(f32x4.mul(f32x4.sub(a, h), f32x4.add(a, h)), f32x4.splat(-0.5));
  const shift = expShift(f32x4.add(y, low));
  const q = expQ(f32x4.add(expRest(y, f32x4.sub(shift, f32x4.splat(12583166.0))), low));
  const p = madd(q, f32x4.splat(0.3989422917366028), f32x4.splat(0.3989422917366028));
  const half = i32x4.shr_u(shift, 1);
  return f32x4.mul(f32x4.mul(p, i32x4.shl(half, 23)), i32x4.shl(i32x4.sub(shift, half), 23));
}
