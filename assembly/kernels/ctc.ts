// Connectionist temporal classification (Graves et al. 2006): the probability of a labelling is that of all paths through
// time that give it, once repeats are merged and blanks left out. A path's states are the labels with blanks around them:
//
//   pair:      0                1                …   labels
//   state:  blank, label 0 | blank, label 1 |    …  blank, none
//
// A pair is two lanes of float64, logarithms to base 2. What cannot be reached is NEVER, which is finite: no difference of
// two of them is NaN, whatever is added stays about there, and its power of two is 0.
// Unit: a sample, one after another in a thread, so that the sums' order depends on the sizes alone.

import { expTwo2, logOf, logTwo2 } from "../doubles";
import { carried, carrying, rowDivide, rowExp, rowMax, rowScale, rowSum } from "../loops";
import { exp4 } from "../math";

const NEVER: f64 = -1e300;
/** Below this nothing is reached: NEVER and what was added to it. */
const UNREACHED: f64 = -1e299;
const LOG2_E: f64 = 1.4426950408889634;
const LN_2: f64 = 0.6931471805599453;
/** A target that is none: a label out of range, a length beyond the memory. */
const WRONG: u32 = 0xffffffff;

@unmanaged class ExpBelow {
  @inline apply(x: v128): v128 {
    return exp4(f32x4.sub(x, carried<ExpBelow>(this)));
  }
}

/** log2(2^a + 2^b + 2^c) */
function logSum(a: v128, b: v128, c: v128): v128 {
  const top = f64x2.max(f64x2.max(a, b), c);
  const sum = f64x2.add(expTwo2(f64x2.sub(a, top)), expTwo2(f64x2.sub(b, top)));
  return f64x2.add(top, logTwo2(f64x2.add(sum, expTwo2(f64x2.sub(c, top)))));
}

/** What all logits of a row lose to become logarithms of probabilities: its largest in the result, log2 Σ e^(x - largest) apart. */
function logShare(x: usize, index: u32, top: f64, logTotal: f64): f64 {
  return max((<f64>load<f32>(x + (<usize>index << 2)) - top) * LOG2_E - logTotal, NEVER);
}

/** Logarithms of the probabilities of a pair's blank and label; a label that is none has NEVER. */
function pairShares(blank: f64, x: usize, target: usize, pair: u32, labels: u32, top: f64, logTotal: f64): v128 {
  const label = pair < labels ? logShare(x, load<u32>(target + (<usize>pair << 2)), top, logTotal) : NEVER;
  return f64x2.replace_lane(f64x2.splat(blank), 1, label);
}

/** A label that is not the one before it may follow without a blank: `state` in the label's lane, else NEVER. */
function skipped(state: f64, target: usize, pair: u32, labels: u32): v128 {
  const at = target + (<usize>pair << 2);
  const skips = pair > 0 && pair < labels && load<u32>(at) != load<u32>(at - 4);
  return f64x2.replace_lane(f64x2.splat(NEVER), 1, skips ? state : NEVER);
}

/** How many labels a target has: its length, less the blanks at its end if `ends` is 1; WRONG if one of them is no label, or
 *  the length is beyond `most`. */
function labelsOf(target: usize, length: u32, most: u32, classes: u32, blank: u32, ends: u32): u32 {
  if (length > most) return WRONG;
  while (ends != 0 && length > 0 && load<u32>(target + (<usize>(length - 1) << 2)) == blank) length--;
  for (let i: u32 = 0; i < length; i++) {
    const label = load<u32>(target + (<usize>i << 2));
    if (label == blank || label >= classes) return WRONG;
  }
  return length;
}

/** alpha[0]: paths begin with a blank or the first label. */
function firstStates(alpha: usize, shares: v128, labels: u32): void {
  v128.store(alpha, shares);
  for (let pair: u32 = 1; pair <= labels; pair++) v128.store(alpha + (<usize>pair << 4), f64x2.splat(NEVER));
}

/** log2 of the probability of all paths, of the last row of alpha. */
function logLikelihood(alpha: usize, labels: u32): f64 {
  const blank = load<f64>(alpha + (<usize>labels << 4));
  if (labels == 0) return blank;
  const label = load<f64>(alpha + (<usize>labels << 4) - 8);
  const both = logSum(f64x2.splat(blank), f64x2.splat(label), f64x2.splat(NEVER));
  return f64x2.extract_lane(both, 0);
}

/** Fills alpha [steps, states] of one sample, x [steps, classes]. */
function forwardStates(
  alpha: usize, x: usize, target: usize, steps: u32, classes: u32, states: usize, labels: u32, blank: u32,
): void {
  for (let t: u32 = 0; t < steps; t++, x += <usize>classes << 2, alpha += states) {
    const top = rowMax(x, classes);
    const logTotal = logOf(<f64>rowSum<ExpBelow>(x, classes, carrying<ExpBelow>(top))) * LOG2_E;
    const blankShare = logShare(x, blank, <f64>top, logTotal);
    if (t == 0) {
      firstStates(alpha, pairShares(blankShare, x, target, 0, labels, <f64>top, logTotal), labels);
      continue;
    }
    let before = f64x2.splat(NEVER);
    for (let pair: u32 = 0; pair <= labels; pair++) {
      const at = alpha + (<usize>pair << 4);
      const stay = v128.load(at - states);
      const step = v128.shuffle<f64>(before, stay, 1, 2);
      const skip = skipped(f64x2.extract_lane(before, 1), target, pair, labels);
      const shares = pairShares(blankShare, x, target, pair, labels, <f64>top, logTotal);
      v128.store(at, f64x2.add(logSum(stay, step, skip), shares));
      before = stay;
    }
  }
}

/** losses = -ln P(target | softmax(x)) by sample, divided by the number of labels (at least 1) if `divides` is 1; alpha keeps
 *  the states for the gradient. losses [batch], alpha [batch, time, most + 1 pairs of float64], x [batch, time, classes],
 *  targets [batch, most], lengths of both [batch]. Infinity without a path, or 0 if `zeroes` is 1; NaN for a target that is
 *  none. Overwrites. */
export function ctcLoss(
  begin: u32, end: u32, losses: usize, alpha: usize, x: usize, targets: usize, inputLengths: usize, targetLengths: usize,
  time: u32, classes: u32, most: u32, blank: u32, ends: u32, zeroes: u32, divides: u32,
): void {
  const states = <usize>(most + 1) << 4;
  for (let sample = begin; sample < end; sample++) {
    const target = targets + ((<usize>sample * most) << 2);
    const steps = load<u32>(inputLengths + (<usize>sample << 2));
    const labels = labelsOf(target, load<u32>(targetLengths + (<usize>sample << 2)), most, classes, blank, ends);
    let loss: f64 = NaN;
    if (labels != WRONG && steps <= time) {
      const from = x + ((<usize>sample * time * classes) << 2);
      const rows = alpha + <usize>sample * time * states;
      forwardStates(rows, from, target, steps, classes, states, labels, blank);
      const last = steps > 0 ? logLikelihood(rows + <usize>(steps - 1) * states, labels) : labels > 0 ? NEVER : 0;
      if (last < UNREACHED) loss = zeroes != 0 ? 0 : Infinity;
      else loss = max(0, -last * LN_2);
      if (divides != 0 && labels > 1) loss /= <f64>labels;
    }
    store<f32>(losses + (<usize>sample << 2), <f32>loss);
  }
}

/** state = log2 of the probability of what follows each state, from that of the next step with its own shares: beta. */
function backwardStates(state: usize, target: usize, labels: u32): void {
  let stay = v128.load(state);
  for (let pair: u32 = 0; pair <= labels; pair++) {
    const at = state + (<usize>pair << 4);
    const next = pair < labels ? v128.load(at, 16) : f64x2.splat(NEVER);
    const step = v128.shuffle<f64>(stay, next, 1, 2);
    const skip = skipped(f64x2.extract_lane(next, 1), target, pair + 1, labels);
    v128.store(at, logSum(stay, step, skip));
    stay = next;
  }
}

/** beta of the last step: paths end with the last label or the blank behind it. */
function lastStates(state: usize, labels: u32): void {
  for (let pair: u32 = 0; pair <= labels; pair++) v128.store(state + (<usize>pair << 4), f64x2.splat(NEVER));
  const blank = state + (<usize>labels << 4);
  store<f64>(blank, 0);
  if (labels > 0) store<f64>(blank - 8, 0);
}

/** dx = scale · (softmax(x) - shares of the paths) for one step; dx may be x. `state` becomes that of the step with its own
 *  shares; posterior [states] is scratch. */
function stepGradient(
  dx: usize, x: usize, state: usize, posterior: usize, alpha: usize, target: usize, classes: u32, labels: u32, blank: u32,
  total: f64, scale: f32,
): void {
  const top = rowMax(x, classes);
  const logTotal = logOf(<f64>rowSum<ExpBelow>(x, classes, carrying<ExpBelow>(top))) * LOG2_E;
  const blankShare = logShare(x, blank, <f64>top, logTotal);
  let blanks: f64 = 0;
  for (let pair: u32 = 0; pair <= labels; pair++) {
    const at = <usize>pair << 4;
    const beta = v128.load(state + at);
    const share = expTwo2(f64x2.sub(f64x2.add(v128.load(alpha + at), beta), f64x2.splat(total)));
    blanks += f64x2.extract_lane(share, 0);
    v128.store(posterior + at, share);
    const shares = pairShares(blankShare, x, target, pair, labels, <f64>top, logTotal);
    v128.store(state + at, f64x2.add(beta, shares));
  }
  rowDivide(dx, classes, rowExp(dx, x, classes, top));
  for (let pair: u32 = 0; pair < labels; pair++) {
    const label = load<u32>(target + (<usize>pair << 2));
    lessen(dx + (<usize>label << 2), load<f64>(posterior + (<usize>pair << 4), 8));
  }
  lessen(dx + (<usize>blank << 2), blanks);
  rowScale(dx, dx, classes, scale);
}

function lessen(at: usize, by: f64): void {
  store<f32>(at, <f32>(<f64>load<f32>(at) - by));
}

function fill(y: usize, n: u32, value: f32): void {
  for (let i: u32 = 0; i < n; i++) store<f32>(y + (<usize>i << 2), value);
}

/** dx [batch, time, classes] = dlosses · (softmax(x) - shares of the paths), divided as the loss; 0 behind a sample's length,
 *  and where `zeroes` makes its loss 0; NaN where the loss is infinite or NaN. scratch [batch, 2, most + 1 pairs of float64];
 *  the others as in ctcLoss, which filled alpha. Overwrites; dx may be x. */
export function ctcLossGradient(
  begin: u32, end: u32, dx: usize, states: usize, dlosses: usize, alpha: usize, x: usize, targets: usize,
  inputLengths: usize, targetLengths: usize, time: u32, classes: u32, most: u32, blank: u32, ends: u32, zeroes: u32,
  divides: u32,
): void {
  const width = <usize>(most + 1) << 4;
  const line = <usize>classes << 2;
  for (let sample = begin; sample < end; sample++) {
    const target = targets + ((<usize>sample * most) << 2);
    const given = load<u32>(inputLengths + (<usize>sample << 2));
    const labels = labelsOf(target, load<u32>(targetLengths + (<usize>sample << 2)), most, classes, blank, ends);
    const to = dx + <usize>sample * time * line;
    if (labels == WRONG || given > time) {
      fill(to, time * classes, NaN);
      continue;
    }
    fill(to + <usize>given * line, (time - given) * classes, 0);
    if (given == 0) continue;
    const rows = alpha + <usize>sample * time * width;
    const total = logLikelihood(rows + <usize>(given - 1) * width, labels);
    if (total < UNREACHED) {
      fill(to, given * classes, zeroes != 0 ? 0 : NaN);
      continue;
    }
    const dloss = load<f32>(dlosses + (<usize>sample << 2));
    const scale = divides != 0 && labels > 1 ? dloss / <f32>labels : dloss;
    const state = states + <usize>sample * 2 * width;
    lastStates(state, labels);
    for (let t = given; t-- > 0; ) {
      if (t + 1 < given) backwardStates(state, target, labels);
      const at = <usize>t * line;
      const from = x + <usize>sample * time * line + at;
      stepGradient(
        to + at, from, state, state + width, rows + <usize>t * width, target, classes, labels, blank, total, scale,
      );
    }
  }
}
