// stopgap by the lead, to be replaced
import { cos2Pi4, log4, sin2Pi4 } from "./math";
export function philox4(c0: u32, c1: u32, c2: u32, c3: u32, k0: u32, k1: u32): v128 {
  for (let r = 0; r < 10; r++) {
    const p0 = <u64>0xD2511F53 * c0; const p1 = <u64>0xCD9E8D57 * c2;
    const n0 = <u32>(p1 >> 32) ^ c1 ^ k0; const n2 = <u32>(p0 >> 32) ^ c3 ^ k1;
    c1 = <u32>p1; c3 = <u32>p0; c0 = n0; c2 = n2; k0 += 0x9E3779B9; k1 += 0xBB67AE85;
  }
  return i32x4.replace_lane(i32x4.replace_lane(i32x4.replace_lane(i32x4.splat(c0), 1, c1), 2, c2), 3, c3);
}
export function uniform4(b: v128): v128 { return f32x4.mul(f32x4.convert_i32x4_u(i32x4.shr_u(b, 8)), f32x4.splat(5.9604644775390625e-8)); }
export function normal4(b: v128): v128 {
  const u = uniform4(b);
  const a = f32x4.sub(f32x4.splat(1), v128.shuffle<f32>(u, u, 0, 0, 2, 2));
  const r = f32x4.sqrt(f32x4.mul(f32x4.splat(-2), log4(a)));
  const t = v128.shuffle<f32>(u, u, 1, 1, 3, 3);
  return f32x4.mul(r, v128.shuffle<f32>(cos2Pi4(t), sin2Pi4(t), 0, 4, 2, 6));
}
