// stopgap by the lead, to be replaced
import { philox4 } from "../random";
/** stopgap */
export function shuffle(begin: u32, end: u32, permutation: usize, n: u32, seed0: u32, seed1: u32, stream: u32): void {
  for (let i: u32 = 0; i < n; i++) store<u32>(permutation + (<usize>i << 2), i);
  for (let i: u32 = n - 1; i > 0; i--) {
    const w = <u32>i32x4.extract_lane(philox4(i, 0, stream, 2, seed0, seed1), 0);
    const j = <u32>((<u64>w * (i + 1)) >> 32);
    const a = permutation + (<usize>i << 2), b = permutation + (<usize>j << 2);
    const t = load<u32>(a); store<u32>(a, load<u32>(b)); store<u32>(b, t);
  }
}
