// What happens once a training step: the clock moves on, the loss is written down. Unit: the one
// instruction, so one thread does it. The clock is a block of whole lines of 64 bytes, mostly one, one a trainer:
//
//   byte 0        4            8       12          16      20
//   ┌────────────┬────────────┬───────┬───────────┬───────┬─────────────────────────────────┬──────────┐
//   │ step   u32 │ position   │ row   │ nextRow   │ round │ learning rates, one a group of  │ free     │
//   │            │        u32 │   u32 │       u32 │   u32 │ the optimizer's parameters, f32 │          │
//   └────────────┴────────────┴───────┴───────────┴───────┴─────────────────────────────────┴──────────┘
//
// `step` counts the optimizer steps from the start of training, `position` those of this call, both with
// the running one; `row` is where this batch begins in the shuffled order, `nextRow` where the next will. `round` is 0 but in a
// repeat within the step, which may count in it: random numbers are others in each round, as in each step.

export const CLOCK_STEP: usize = 0;
export const CLOCK_POSITION: usize = 4;
export const CLOCK_ROW: usize = 8;
export const CLOCK_NEXT_ROW: usize = 12;
export const CLOCK_ROUND: usize = 16;
export const CLOCK_LEARNING_RATES: usize = 20;
export const CLOCK_BYTES: usize = 64;

/** Word 3 of the counter of random numbers, in this round: tells rounds and uses (below 256) apart. */
export function useInRound(clock: usize, use: u32): u32 {
  return use | (load<u32>(clock, CLOCK_ROUND) << 8);
}

/** The next step begins: step and position += 1, row = nextRow, nextRow += batch, in place; the `count` learning rates
 *  are rates[position before], which has `count` float32 for each step of this call. */
export function advance(begin: u32, end: u32, clock: usize, rates: usize, count: u32, batch: u32): void {
  const position = load<u32>(clock, CLOCK_POSITION);
  const row = load<u32>(clock, CLOCK_NEXT_ROW);
  store<u32>(clock, load<u32>(clock, CLOCK_STEP) + 1, CLOCK_STEP);
  store<u32>(clock, position + 1, CLOCK_POSITION);
  store<u32>(clock, row, CLOCK_ROW);
  store<u32>(clock, row + batch, CLOCK_NEXT_ROW);
  const due = rates + ((<usize>position * count) << 2);
  for (let i: usize = 0; i < <usize>count << 2; i += 4) {
    store<f32>(clock + i, load<f32>(due + i), CLOCK_LEARNING_RATES);
  }
}

/** The next batch of the same step: row += batch, round += 1, in place. */
export function nextBatch(begin: u32, end: u32, clock: usize, batch: u32): void {
  store<u32>(clock, load<u32>(clock, CLOCK_ROW) + batch, CLOCK_ROW);
  store<u32>(clock, load<u32>(clock, CLOCK_ROUND) + 1, CLOCK_ROUND);
}

/** trace[position - 1] = loss: the running step's loss, one float32. Overwrites. */
export function traceLoss(begin: u32, end: u32, trace: usize, clock: usize, loss: usize): void {
  store<f32>(trace + ((<usize>load<u32>(clock, CLOCK_POSITION) - 1) << 2), load<f32>(loss));
}

/** totals[i] += values[i] · weight for n of them: float64 sums of float32 values, rounded once an addition. Accumulates. */
export function addTotals(begin: u32, end: u32, totals: usize, values: usize, weight: f32, n: u32): void {
  let i: u32 = 0;
  const factor = f64x2.splat(<f64>weight);
  for (; i + 2 <= n; i += 2) {
    const added = f64x2.mul(f64x2.promote_low_f32x4(v128.load64_zero(values + (<usize>i << 2))), factor);
    const to = totals + (<usize>i << 3);
    v128.store(to, f64x2.add(v128.load(to), added));
  }
  for (; i < n; i++) {
    const to = totals + (<usize>i << 3);
    store<f64>(to, load<f64>(to) + <f64>load<f32>(values + (<usize>i << 2)) * <f64>weight);
  }
}
