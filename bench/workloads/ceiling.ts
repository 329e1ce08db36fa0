// What one core gives at best: multiplications and additions on registers alone.

import { type CeilingLoop, compileCeiling, javascriptCeiling, ROUND_WORK } from "../ceiling.js";
import { engineOf } from "../engines.js";
import { type Implementation, LeftOut, variantOf, type Workload } from "../workload.js";
import { checkValues } from "./values.js";

/** Floating-point operations of a step: 4096 rounds of the fused loop. */
const WORK = 4096 * ROUND_WORK.fast;

type Kind = keyof typeof ROUND_WORK;

/** What kernels are held against: products are made of multiply-adds. */
export function ceilingWorkload(): Workload {
  return {
    name: "ceiling",
    description: "multiply-adds on twelve registers alone: what the core gives",
    metric: "gflops",
    work: WORK,
    async prepare(implementation) {
      const kind = kindOf(implementation);
      // Its engine has V8 join operations from then on.
      if (kind === "wide") await engineOf({ build: "wide", threads: 1 });
      const loop = kind === "javascript" ? javascriptCeiling : compileCeiling(kind);
      checkCeiling(loop, kind);
      const rounds = WORK / ROUND_WORK[kind];
      return {
        reset() {},
        run(steps) {
          // No whole number, which V8 would add up as such.
          for (let i = 0; i < steps; i++) loop(0.5, 1, 1, rounds);
        },
        dispose() {},
      };
    },
  };
}

function kindOf(implementation: Implementation): Kind {
  const variant = variantOf(implementation);
  if (variant === undefined) return "javascript";
  if (variant.threads > 1) throw new LeftOut("it is one core's ceiling");
  return variant.build;
}

/** Throws CheckError unless three rounds give what they must; all of it exact in float32, fused or not. */
export function checkCeiling(loop: CeilingLoop, kind: Kind): void {
  const [start, factor, summand, rounds] = [6, 0.5, 1, 3];
  // 6 → 4 → 3 → 2.5
  const expected = { strict: 48 * 2.5, fast: 48 * 2.5, wide: 96 * 2.5, javascript: 12 * 2.5 }[kind];
  checkValues("sum of all values", [loop(start, factor, summand, rounds)], [expected], () => 0);
}
