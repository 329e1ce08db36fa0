import { madd, select4 } from "./simd";

// @ts-ignore: decorator

// @ts-ignore: decorator
@inline
function poly6(x: v128, c0: f32, c1: f32, c2: f32, c3: f32, c4: f32, c5: f32): v128 {
  let p = madd(f32x4.splat(c5), x, f32x4.splat(c4));
  p = madd(p, x, f32x4.splat(c3));
  p = madd(p, x, f32x4.splat(c2));
  p = madd(p, x, f32x4.splat(c1));
  return madd(p, x, f32x4.splat(c0));
}

// @ts-ignore: decorator
@inline
function poly5(x: v128, c0: f32, c1: f32, c2: f32, c3: f32, c4: f32): v128 {
  let p = madd(f32x4.splat(c4), x, f32x4.splat(c3));
  p = madd(p, x, f32x4.splat(c2));
  p = madd(p, x, f32x4.splat(c1));
  return madd(p, x, f32x4.splat(c0));
}
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
  const p = poly5(r, 0.4999999403953552, 0.1666652113199234, 0.041668254882097244, 0.008368662558495998, 0.001382149406708777);
  return madd(f32x4.mul(r, r), p, r);
}
// @ts-ignore: decorator
@inline
function expm1Q(r: v128): v128 {
  const p = poly5(r, 0.4999999701976776, 0.1666654646396637, 0.04166744276881218, 0.008366257883608341, 0.0013869807589799166);
  return madd(f32x4.mul(r, r), p, r);
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

// full range variant
// @ts-ignore: decorator
@inline
export function expFull4(x: v128): v128 {
  const y = expClamp(x);
  const shift = madd(y, f32x4.splat(0.7213475108146667), f32x4.splat(12583039.0));
  const m = f32x4.sub(shift, f32x4.splat(12583039.0));
  const r = madd(m, f32x4.splat(-2.857213530660374e-06), madd(m, f32x4.splat(-1.38629150390625), y));
  const p = f32x4.add(f32x4.splat(1.0), madd(f32x4.mul(r, r), poly6(r, 0.5000003576278687, 0.166666179895401, 0.041661228984594345, 0.008335930295288563, 0.0014104763977229595, 0.00019630753376986831), r));
  const s = i32x4.shl(shift, 23);
  return f32x4.mul(f32x4.mul(p, s), s);
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
  const p = f32x4.add(f32x4.splat(1.0), expQ(r));
  const half = i32x4.shr_u(shift, 1);
  const s = i32x4.shl(half, 23);
  const z = f32x4.mul(p, s);
  const inverse = i32x4.sub(i32x4.splat(0x7f000000), i32x4.shl(i32x4.sub(shift, half), 23));
  return f32x4.div(z, f32x4.add(z, inverse));
}

// @ts-ignore: decorator
@inline
export function sigmoidC4(x: v128): v128 {
  const y = expClamp(x);
  const shift = expShift(y);
  const r = expRest(y, f32x4.sub(shift, f32x4.splat(12583166.0)));
  const p = madd(f32x4.splat(1.75), expQ(r), f32x4.splat(1.75));
  const half = i32x4.shr_u(shift, 1);
  const s = i32x4.shl(half, 23);
  const z = f32x4.mul(p, s);
  const inverse = i32x4.sub(i32x4.splat(0x7f600000), i32x4.shl(i32x4.sub(shift, half), 23));
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
  const h = f32x4.mul(u, f32x4.splat(0.5));
  const w = select4(f32x4.lt(u, f32x4.splat(0.0)), f32x4.sub(h, f32x4.mul(h, v)), v);
  return v128.or(w, v128.and(x, f32x4.splat(-0.0)));
}

// @ts-ignore: decorator
@inline
function logRest(f: v128): v128 {
  let p = madd(f32x4.splat(0.14020492136478424), f, f32x4.splat(-0.15383654832839966));
  p = madd(p, f, f32x4.splat(0.13997144997119904));
  p = madd(p, f, f32x4.splat(-0.16417023539543152));
  p = madd(p, f, f32x4.splat(0.20011073350906372));
  p = madd(p, f, f32x4.splat(-0.250077486038208));
  p = madd(p, f, f32x4.splat(0.33333200216293335));
  return madd(p, f, f32x4.splat(-0.49999937415122986));
}

// @ts-ignore: decorator
@inline
export function log4(x: v128): v128 {
  const denormal = v128.and(f32x4.lt(x, f32x4.splat(1.1754943508222875e-38)), i32x4.splat(23 << 23));
  const y = f32x4.mul(x, i32x4.add(denormal, i32x4.splat(0x3f800000)));
  const i = i32x4.sub(y, i32x4.splat(0x3f2aaaab));
  const e = f32x4.convert_i32x4_s(i32x4.shr_s(i32x4.sub(i, denormal), 23));
  const f = f32x4.sub(i32x4.add(v128.and(i, i32x4.splat(0x7fffff)), i32x4.splat(0x3f2aaaab)), f32x4.splat(1.0));
  const low = madd(f32x4.mul(f, f), logRest(f), f32x4.mul(e, f32x4.splat(1.428606765330187e-06)));
  let r = madd(e, f32x4.splat(0.693145751953125), f32x4.add(f, low));
  r = select4(f32x4.lt(x, f32x4.splat(Infinity)), r, x);
  r = f32x4.add(r, v128.and(f32x4.eq(x, f32x4.splat(0)), f32x4.splat(-Infinity)));
  return v128.or(r, f32x4.lt(x, f32x4.splat(0)));
}

// @ts-ignore: decorator
@inline
export function logOnePlus4(x: v128): v128 {
  const i = i32x4.sub(f32x4.add(x, f32x4.splat(1.0)), i32x4.splat(0x3f2aaaab));
  const e = f32x4.convert_i32x4_s(i32x4.shr_s(i, 23));
  const s = i32x4.sub(i32x4.splat(0x40800000), v128.and(i, i32x4.splat(0xff800000)));
  const g = madd(s, x, f32x4.sub(s, f32x4.splat(4.0)));
  const f = f32x4.mul(g, f32x4.splat(0.25));
  const low = madd(f32x4.mul(f, f), logRest(f), f32x4.mul(e, f32x4.splat(1.428606765330187e-06)));
  let r = madd(e, f32x4.splat(0.693145751953125), f32x4.add(f, low));
  r = select4(f32x4.lt(x, f32x4.splat(Infinity)), r, x);
  r = f32x4.add(r, v128.and(f32x4.eq(x, f32x4.splat(-1)), f32x4.splat(-Infinity)));
  r = v128.or(r, v128.and(x, f32x4.splat(-0.0)));
  return v128.or(r, f32x4.lt(x, f32x4.splat(-1)));
}

// @ts-ignore: decorator
@inline
export function softplus4(x: v128): v128 {
  const z = exp4(v128.or(x, f32x4.splat(-0.0)));
  let p = madd(z, f32x4.splat(-0.003324920078739524), f32x4.splat(0.020235136151313782));
  p = madd(p, z, f32x4.splat(-0.05772523954510689));
  p = madd(p, z, f32x4.splat(0.10687144845724106));
  p = madd(p, z, f32x4.splat(-0.15359611809253693));
  p = madd(p, z, f32x4.splat(0.1969701051712036));
  p = madd(p, z, f32x4.splat(-0.24958939850330353));
  p = madd(p, z, f32x4.splat(0.3333055078983307));
  p = madd(p, z, f32x4.splat(-0.49999934434890747));
  return f32x4.add(f32x4.pmax(x, f32x4.splat(0)), madd(f32x4.mul(z, z), p, z));
}

// @ts-ignore: decorator
@inline
export function erf4(x: v128): v128 {
  const t = f32x4.abs(x);
  const small = madd(x, poly6(f32x4.mul(x, x), 0.12837915122509003, -0.37612465023994446, 0.11281435191631317, -0.02675168402493, 0.004970562644302845, -0.0005874183843843639), x);
  const c = f32x4.pmin(t, f32x4.splat(3.92));
  const p = madd(c, poly6(c, -0.14461766183376312, -0.0621287077665329, -0.01079300045967102, 0.012662244960665703, -0.002407422987744212, 0.00014386340626515448), f32x4.splat(1.0007208585739136));
  const p2 = f32x4.mul(p, p);
  const p4 = f32x4.mul(p2, p2);
  const large = f32x4.sub(f32x4.splat(1.0), f32x4.mul(p4, p4));
  return select4(f32x4.lt(t, f32x4.splat(0.95)), small, v128.or(large, v128.and(x, f32x4.splat(-0.0))));
}

// @ts-ignore: decorator
@inline
function sinHalfTurn(f: v128, shift: v128): v128 {
  const F = f32x4.mul(f, f32x4.splat(4.0));
  const z = f32x4.mul(F, F);
  let p = madd(z, f32x4.splat(-0.0001511778391432017), f32x4.splat(0.004521957598626614));
  p = madd(p, z, f32x4.splat(-0.07516729086637497));
  p = madd(p, z, f32x4.splat(0.5707963109016418));
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
