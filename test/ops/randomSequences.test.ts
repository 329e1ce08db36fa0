// Attention and recurrence over random shapes, lengths, masks and options: everything that the battery holds of a sample row
// (float64, gradients, the same bits however units are split). STEEPEST_EXHAUSTIVE=1 draws ten times as many.
import { describe, expect, test } from "vitest";
import { checkCase, engineOf } from "./battery.js";
import { type Case, createRandom } from "./cases.js";
import { attentionCase } from "./samples/attention.js";
import { gruCase, lstmCase, rnnCase } from "./samples/recurrent.js";

const COUNT = process.env.STEEPEST_EXHAUSTIVE === "1" ? 400 : 40;
// A derivative costs four passes of the reference: few single elements, and directions that miss none.
const DERIVATIVES = { places: 16, directions: 3 };

interface Draw {
  /** A whole number from `min` to `max`. */
  from(min: number, max: number): number;
  /** True so often. */
  chance(share: number): boolean;
}

function createDraw(seed: number): Draw {
  const { uniform } = createRandom(seed);
  return {
    from: (min, max) => min + Math.floor(uniform() * (max - min + 1)),
    chance: (share) => uniform() < share,
  };
}

const list = (count: number, one: () => number): number[] => Array.from({ length: count }, one);

function drawAttention({ from, chance }: Draw): Case {
  const batch = from(1, 3);
  const keyHeads = from(1, 3);
  const heads = keyHeads * from(1, 3);
  // Where all queries see one key, gradients are 0 but for rounding, which has no scale.
  const queries = from(3, chance(0.2) ? 100 : 20);
  const own = chance(0.5);
  const keys = own ? queries : from(3, chance(0.2) ? 100 : 20);
  return attentionCase({
    batch,
    queries,
    keys,
    heads,
    keyHeads,
    depth: from(1, 20),
    width: from(1, 20),
    causal: own && chance(0.5),
    slopes: chance(0.3),
    ...(chance(0.3) ? { window: from(2, 20) } : {}),
    ...(chance(0.3) ? { scale: 0.1 * from(1, 9) } : {}),
    ...(chance(0.3) ? { lengths: list(batch, () => from(3, keys)) } : {}),
    ...(chance(0.3) ? { mask: list(batch * keys, () => (chance(0.6) ? 1 : 0)) } : {}),
    ...(chance(0.3) ? { bias: chance(0.5) ? "shared" : "each" } : {}),
  });
}

function drawRecurrence({ from, chance }: Draw): Case {
  const sizes = { batch: from(1, chance(0.2) ? 70 : 9), time: from(1, 12), units: from(1, chance(0.2) ? 40 : 12) };
  const direction = { reverse: chance(0.5), lengths: chance(0.5) };
  const kind = from(0, 2);
  if (kind === 0) return rnnCase(sizes, direction, chance(0.5) ? "tanh" : "relu");
  if (kind === 1) {
    // A projection of many units makes states of many sizes, whose rounding grows from step to step.
    const projected = chance(0.4);
    const few = projected ? { ...sizes, units: from(1, 6), time: from(1, 6) } : sizes;
    return lstmCase(few, { ...direction, peepholes: chance(0.4), ...(projected ? { states: from(1, 4) } : {}) });
  }
  const reset = chance(0.5) ? "after" : "before";
  return gruCase(sizes, { ...direction, reset, bias: reset === "after" && chance(0.5) });
}

describe.each([
  ["attention", drawAttention],
  ["recurrence", drawRecurrence],
] as const)("%s", (_, drawCase) => {
  const drawn = Array.from({ length: COUNT }, (_, index) => drawCase(createDraw(9000 + index)));

  test.each(drawn.map((one, index) => [one.name, one, index] as const))("%s", (_, one, index) => {
    checkCase(engineOf("strict"), one, index + 1, DERIVATIVES);
  });

  test("cases differ", () => {
    expect(new Set(drawn.map(({ name }) => name)).size).toBe(COUNT);
  });
});
