// One loop for each function of assembly/math.ts: y[i] = f(x[i]); n is a positive multiple of four.
import {
  cos2Pi4,
  erf4,
  exp4,
  expBounded4,
  expMinusOne4,
  expMinusOneBelow4,
  log4,
  logNormal4,
  logOnePlus4,
  normalPdf4,
  sigmoid4,
  sin2Pi4,
  softplus4,
  tanh4,
} from "../../assembly/math";

export function exp(y: usize, x: usize, n: u32): void {
  const end = y + 4 * n;
  do {
    v128.store(y, exp4(v128.load(x)));
    x += 16;
    y += 16;
  } while (y < end);
}

export function expMinusOne(y: usize, x: usize, n: u32): void {
  const end = y + 4 * n;
  do {
    v128.store(y, expMinusOne4(v128.load(x)));
    x += 16;
    y += 16;
  } while (y < end);
}

export function expBounded(y: usize, x: usize, n: u32): void {
  for (let i: usize = 0; i < 4 * n; i += 16) v128.store(y + i, expBounded4(v128.load(x + i)));
}

export function expMinusOneBelow(y: usize, x: usize, n: u32): void {
  for (let i: usize = 0; i < 4 * n; i += 16) v128.store(y + i, expMinusOneBelow4(v128.load(x + i)));
}

export function sigmoid(y: usize, x: usize, n: u32): void {
  const end = y + 4 * n;
  do {
    v128.store(y, sigmoid4(v128.load(x)));
    x += 16;
    y += 16;
  } while (y < end);
}

export function tanh(y: usize, x: usize, n: u32): void {
  const end = y + 4 * n;
  do {
    v128.store(y, tanh4(v128.load(x)));
    x += 16;
    y += 16;
  } while (y < end);
}

export function log(y: usize, x: usize, n: u32): void {
  const end = y + 4 * n;
  do {
    v128.store(y, log4(v128.load(x)));
    x += 16;
    y += 16;
  } while (y < end);
}

export function logNormal(y: usize, x: usize, n: u32): void {
  const end = y + 4 * n;
  do {
    v128.store(y, logNormal4(v128.load(x)));
    x += 16;
    y += 16;
  } while (y < end);
}

export function logOnePlus(y: usize, x: usize, n: u32): void {
  const end = y + 4 * n;
  do {
    v128.store(y, logOnePlus4(v128.load(x)));
    x += 16;
    y += 16;
  } while (y < end);
}

export function softplus(y: usize, x: usize, n: u32): void {
  const end = y + 4 * n;
  do {
    v128.store(y, softplus4(v128.load(x)));
    x += 16;
    y += 16;
  } while (y < end);
}

export function erf(y: usize, x: usize, n: u32): void {
  const end = y + 4 * n;
  do {
    v128.store(y, erf4(v128.load(x)));
    x += 16;
    y += 16;
  } while (y < end);
}

export function normalPdf(y: usize, x: usize, n: u32): void {
  const end = y + 4 * n;
  do {
    v128.store(y, normalPdf4(v128.load(x)));
    x += 16;
    y += 16;
  } while (y < end);
}

export function sin2Pi(y: usize, x: usize, n: u32): void {
  const end = y + 4 * n;
  do {
    v128.store(y, sin2Pi4(v128.load(x)));
    x += 16;
    y += 16;
  } while (y < end);
}

export function cos2Pi(y: usize, x: usize, n: u32): void {
  const end = y + 4 * n;
  do {
    v128.store(y, cos2Pi4(v128.load(x)));
    x += 16;
    y += 16;
  } while (y < end);
}
