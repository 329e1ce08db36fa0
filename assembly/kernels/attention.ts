// Scaled dot-product attention in blocks of queries and keys (Dao et al. 2022, "FlashAttention"): the matrix of scores is never
// there as a whole. Of each row the forward pass keeps the logarithm of its sum, from which the backward pass has the weights
// again. Rows are those of [batch, positions, heads · features], so many numbers apart.
//
//   forward, one block:    S[key][query] = K·Qᵀ          a vector is one key of four queries: maxima and sums need no shuffling
//                          O[query][c]  += Sᵀ·V          S is read as it is, key by key
//   backward, one block:   P[query][key] = e^(Q·Kᵀ - logSum),  dP = dO·Vᵀ,  dS = P·(dP - Σ dO·O)
//                          dV += Pᵀ·dO,  dK += dSᵀ·Q     P and dS are read as they are, query by query
//                          dQ += dS·K                    of dS a transpose is made
//
// Sums go in the order of the keys (queries), in blocks that begin at multiples of the block's size: no number depends on how
// many queries are computed at once, or on the units' shares. Behind a causal mask nothing is computed, eight columns at a time.

import {
  across, areWhole, blockOf, choose, drawDropped, endOfKeys, Head, hideKeys, isPlain, maskScores, padRows, startOfKeys, strip,
  stripBytes, takeRows, tileBytes, tileHeight, tiles, whole8, within,
} from "../attention";
import { expBounded4, log4 } from "../math";
import { horizontalSum, loadPart, madd, select4, storePart } from "../simd";
import { packPanelAcross } from "../tiles";

// In scratch: a Head, then rows of a number for each query or key, then planes of features, then planes of scores. Each plane has
// room for the rows that a tile may be too high.
const HEAD_BYTES: usize = 512;
const ROW_BYTES: usize = 320;
const SPARE_ROWS: u32 = 8;
const MAXIMA: usize = 0;
const SUMS: usize = 1;
const FADES: usize = 2;
const DELTAS: usize = 0;
const HIDDEN: usize = 3;
const ROWS: usize = 4;
// Planes of features.
const QUERIES_ACROSS: u32 = 0;
const KEYS_ACROSS: u32 = 1;
const VALUES: u32 = 2;
const OUTPUT: u32 = 3;
const SCORES: u32 = 4;
// Of the backward pass.
const SLOPES_ACROSS: u32 = 2;
const VALUES_ACROSS: u32 = 3;
const QUERIES: u32 = 4;
const SLOPES: u32 = 5;
const KEYS: u32 = 6;
const KEY_GRADIENT: u32 = 7;
const VALUE_GRADIENT: u32 = 8;
const QUERY_GRADIENT: u32 = 9;
const WEIGHTS: u32 = 10;

function rowOf(head: Head, index: usize): usize {
  return changetype<usize>(head) + HEAD_BYTES + ROW_BYTES * index;
}

/** [≤ block][whole features] or [features][≤ block]. */
function plane(head: Head, index: u32): usize {
  const features = max(head.depth, head.width);
  const block = blockOf(head.depth, head.width);
  return rowOf(head, ROWS) + (<usize>((block + SPARE_ROWS) * whole8(features) * index) << 2);
}

/** [≤ block][≤ block], behind `planes` planes of features. */
function scoresOf(head: Head, planes: u32, index: u32): usize {
  const block = blockOf(head.depth, head.width);
  return plane(head, planes) + (<usize>((block + SPARE_ROWS) * block * index) << 2);
}

function describe(
  head: Head, q: usize, k: usize, v: usize, mask: usize, lengths: usize, bias: usize, slopes: usize, start: usize, clock: usize,
  heads: u32, groups: u32, queries: u32, keys: u32, depth: u32, width: u32, stepQ: u32, stepK: u32, stepV: u32, causal: u32,
  window: u32, biasBatch: u32, biasHead: u32, seed0: u32, seed1: u32, stream: u32, scale: f32, rate: f32,
): void {
  head.allQ = q;
  head.allK = k;
  head.allV = v;
  head.allMask = mask;
  head.lengths = lengths;
  head.allBias = bias;
  head.slopes = slopes;
  head.start = start;
  head.clock = clock;
  head.heads = heads;
  head.groups = groups;
  head.queries = queries;
  head.keys = keys;
  head.depth = depth;
  head.width = width;
  head.lineQ = <usize>stepQ << 2;
  head.lineK = <usize>stepK << 2;
  head.lineV = <usize>stepV << 2;
  head.lineY = <usize>(heads * width) << 2;
  head.causal = causal;
  head.window = window;
  head.biasBatch = biasBatch;
  head.biasHead = biasHead;
  head.seed0 = seed0;
  head.seed1 = seed1;
  head.stream = stream;
  head.scale = scale;
  head.rate = rate;
}

/** y[b, i, h, :] = Σ_j w_j·v[b, j, g, :]: w the softmax over the visible keys j of q[b, i, h]·k[b, j, g]·scale + bias[b, h, i, j] -
 *  slopes[h]·|distance|, dropped and scaled as in dropout; zeros if no key is visible. g = h / (heads / groups). logSum[b, h, i] =
 *  log Σ e^score, +Infinity if no key is visible. A mask of 0 hides keys [batch, keys], as do lengths, u32 [batch]; `start` [batch]:
 *  position of query 0, NaN comes out if keys end before the last query. Addresses may be 0 from logSum on, but for q, k and v.
 *  Unit: a block of queries of a head. */
export function attention(
  begin: u32, end: u32, scratch: usize, y: usize, logSum: usize, q: usize, k: usize, v: usize, mask: usize, lengths: usize,
  bias: usize, slopes: usize, start: usize, clock: usize, heads: u32, groups: u32, queries: u32, keys: u32, depth: u32, width: u32,
  stepQ: u32, stepK: u32, stepV: u32, causal: u32, window: u32, biasBatch: u32, biasHead: u32, seed0: u32, seed1: u32, stream: u32,
  scale: f32, rate: f32,
): void {
  const head = changetype<Head>(scratch);
  describe(
    head, q, k, v, mask, lengths, bias, slopes, start, clock, heads, groups, queries, keys, depth, width, stepQ, stepK, stepV, causal,
    window, biasBatch, biasHead, seed0, seed1, stream, scale, rate,
  );
  head.allY = y;
  head.allLogSum = logSum;
  const block = blockOf(depth, width);
  const blocks = (queries + block - 1) / block;
  for (let unit = begin; unit < end; unit++) {
    const first = (unit % blocks) * block;
    choose(head, unit / blocks / heads, (unit / blocks) % heads);
    attendBlock(head, block, first, min(block, queries - first));
  }
}

/** A block of queries, over all keys. */
function attendBlock(head: Head, block: u32, first: u32, count: u32): void {
  const columns = whole8(count);
  const line = <usize>columns << 2;
  memory.fill(plane(head, OUTPUT), 0, <usize>(columns * whole8(head.width)) << 2);
  memory.fill(rowOf(head, SUMS), 0, line);
  for (let i: usize = 0; i < line; i += 4) store<f32>(rowOf(head, MAXIMA) + i, -Infinity);
  across(plane(head, QUERIES_ACROSS), head.q + <usize>first * head.lineQ, head.lineQ, count, head.depth, columns, head.scale);
  const stop = endOfKeys(head, first + count - 1);
  for (let key = (startOfKeys(head, first) / block) * block; key < stop; key += block) {
    attendKeys(head, first, count, key, min(block, stop - key));
  }
  const isPast = head.start != 0 && head.offset + head.queries > head.keys;
  for (let i: usize = 0; isPast && i < line; i += 4) store<f32>(rowOf(head, SUMS) + i, NaN);
  finishBlock(head, first, count);
}

/** What a block of keys adds to a block of queries. */
function attendKeys(head: Head, first: u32, count: u32, key: u32, keys: u32): void {
  const columns = whole8(count);
  const line = <usize>columns << 2;
  const keyColumns = whole8(keys);
  const queriesAcross = plane(head, QUERIES_ACROSS);
  const keysAcross = plane(head, KEYS_ACROSS);
  across(keysAcross, head.k + <usize>key * head.lineK, head.lineK, keys, head.depth, keyColumns, 1);
  hideKeys(rowOf(head, HIDDEN), head, key, keys);
  const scores = scoresOf(head, SCORES, 0);
  let dropped: usize = 0;
  if (head.rate > 0) {
    dropped = scoresOf(head, SCORES, 1);
    drawDropped(dropped, line, head, key, keys, first, columns);
  }
  for (let i: u32 = 0; i < columns; i += 8) {
    const at = <usize>i << 2;
    const end = within(endOfKeys(head, first + i + 7), key, keys);
    const bytes = stripBytes(head, i, columns);
    if (bytes != 0) strip(scores + at, line, keysAcross, <usize>keyColumns << 2, queriesAcross + at, line, bytes, end, head.depth);
    if (head.causal != 0 || !isPlain(head)) {
      // Under a causal mask alone, keys up to the first query are seen by all.
      const from = isPlain(head) ? within(head.offset + first + i + 1, key, end) : 0;
      const hidden = head.hidden != 0 ? head.hidden + (<usize>from << 2) : 0;
      maskScores(head, scores + at + <usize>from * line, line, end - from, first + i, key + from, false, hidden);
    }
    weigh(head, scores + at, line, end, at, dropped != 0 ? dropped + at : 0);
    weigh(head, scores + at + 16, line, end, at + 16, dropped != 0 ? dropped + at + 16 : 0);
    clearRows(scores + at, line, end, min(end + 8, keys));
  }
  addValues(head, first, count, key, keys);
}

/** Eight columns of 0 in rows from … to - 1. */
function clearRows(at: usize, line: usize, from: u32, to: u32): void {
  const zero = f32x4.splat(0);
  for (let i = from; i < to; i++) {
    v128.store(at + <usize>i * line, zero);
    v128.store(at + <usize>i * line, zero, 16);
  }
}

/** Scores of four queries become weights e^(score - maximum so far); sums go on; `row`: where the queries' numbers are. */
function weigh(head: Head, scores: usize, line: usize, keys: u32, row: usize, dropped: usize): void {
  const before = v128.load(rowOf(head, MAXIMA) + row);
  const stop = scores + <usize>keys * line;
  let top = before;
  for (let at = scores; at < stop; at += line) top = f32x4.max(top, v128.load(at));
  // If all is hidden so far, the weights are 0 all the same.
  const base = select4(f32x4.eq(top, f32x4.splat(-Infinity)), f32x4.splat(0), top);
  const fade = expBounded4(f32x4.sub(before, base));
  let sum = f32x4.splat(0);
  if (dropped == 0) {
    for (let at = scores; at < stop; at += line) {
      const weight = expBounded4(f32x4.sub(v128.load(at), base));
      v128.store(at, weight);
      sum = f32x4.add(sum, weight);
    }
  } else {
    for (let at = scores; at < stop; at += line, dropped += line) {
      const weight = expBounded4(f32x4.sub(v128.load(at), base));
      v128.store(at, f32x4.mul(weight, v128.load(dropped)));
      sum = f32x4.add(sum, weight);
    }
  }
  v128.store(rowOf(head, MAXIMA) + row, top);
  v128.store(rowOf(head, FADES) + row, fade);
  v128.store(rowOf(head, SUMS) + row, f32x4.add(f32x4.mul(v128.load(rowOf(head, SUMS) + row), fade), sum));
}

/** O = O · fade + Sᵀ·V. */
function addValues(head: Head, first: u32, count: u32, key: u32, keys: u32): void {
  const line = <usize>whole8(count) << 2;
  const wide = whole8(head.width);
  const lineO = <usize>wide << 2;
  const output = plane(head, OUTPUT);
  for (let i: u32 = 0; i < count; i++) {
    const fade = v128.load32_splat(rowOf(head, FADES) + (<usize>i << 2));
    const row = output + <usize>i * lineO;
    for (let c: usize = 0; c < lineO; c += 16) v128.store(row + c, f32x4.mul(v128.load(row + c), fade));
  }
  let values = head.v + <usize>key * head.lineV;
  let lineV = head.lineV;
  if (!areWhole(head.width)) {
    padRows(plane(head, VALUES), values, lineV, keys, head.width);
    values = plane(head, VALUES);
    lineV = lineO;
  }
  const scores = scoresOf(head, SCORES, 0);
  for (let c: usize = 0, bytes: usize = 0; c < lineO; c += bytes) {
    bytes = tileBytes(lineO - c);
    for (let i: u32 = 0; i < count; ) {
      const height = tileHeight(count - i);
      const end = within(endOfKeys(head, first + min(i + height, count) - 1), key, keys);
      tiles(output + <usize>i * lineO + c, lineO, scores + (<usize>i << 2), line, values + c, lineV, bytes, height, end, true);
      i += height;
    }
  }
}

/** y = O / sum, 0 where that is 0; and the logarithms of the sums. */
function finishBlock(head: Head, first: u32, count: u32): void {
  const wide = <usize>whole8(head.width) << 2;
  const whole = head.width & ~3;
  const part = head.width - whole;
  let to = head.y + <usize>first * head.lineY;
  let from = plane(head, OUTPUT);
  for (let i: u32 = 0; i < count; i++, to += head.lineY, from += wide) {
    const sum = v128.load32_splat(rowOf(head, SUMS) + (<usize>i << 2));
    const isNone = f32x4.eq(sum, f32x4.splat(0));
    const divisor = select4(isNone, f32x4.splat(1), sum);
    let c: usize = 0;
    for (; c < <usize>whole << 2; c += 16) v128.store(to + c, f32x4.div(v128.load(from + c), divisor));
    if (part != 0) storePart(to + c, f32x4.div(v128.load(from + c), divisor), part);
  }
  if (head.allLogSum == 0) return;
  for (let i: u32 = 0; i < count; i += 4) {
    const at = <usize>i << 2;
    const sum = v128.load(rowOf(head, SUMS) + at);
    const log = f32x4.add(v128.load(rowOf(head, MAXIMA) + at), log4(sum));
    const kept = select4(f32x4.eq(sum, f32x4.splat(0)), f32x4.splat(Infinity), log);
    const place = head.logSum + (<usize>first << 2) + at;
    if (count - i >= 4) v128.store(place, kept);
    else storePart(place, kept, count - i);
  }
}

/** What a unit of the gradient is. */
export const ATTENTION_PARTS_ALL: u32 = 0;
export const ATTENTION_PARTS_KEYS: u32 = 1;
export const ATTENTION_PARTS_QUERIES: u32 = 2;

/** dq, dk, dv of `attention` for dy, laid out as q, k and v; parameters as there, y and logSum what it gave. Overwrites. parts 0:
 *  all three, unit: a group of a sample; 1: dk and dv alone, unit: a block of keys of a group; 2: dq alone, unit: a block of
 *  queries of a head. The bits do not depend on which. */
export function attentionGradient(
  begin: u32, end: u32, scratch: usize, dq: usize, dk: usize, dv: usize, dy: usize, y: usize, logSum: usize, q: usize, k: usize,
  v: usize, mask: usize, lengths: usize, bias: usize, slopes: usize, start: usize, clock: usize, heads: u32, groups: u32,
  queries: u32, keys: u32, depth: u32, width: u32, stepQ: u32, stepK: u32, stepV: u32, causal: u32, window: u32, biasBatch: u32,
  biasHead: u32, seed0: u32, seed1: u32, stream: u32, parts: u32, scale: f32, rate: f32,
): void {
  const head = changetype<Head>(scratch);
  describe(
    head, q, k, v, mask, lengths, bias, slopes, start, clock, heads, groups, queries, keys, depth, width, stepQ, stepK, stepV, causal,
    window, biasBatch, biasHead, seed0, seed1, stream, scale, rate,
  );
  head.allDq = dq;
  head.allDk = dk;
  head.allDv = dv;
  head.allDy = dy;
  head.allY = y;
  head.allLogSum = logSum;
  const block = blockOf(depth, width);
  const keyBlocks: u32 = parts == ATTENTION_PARTS_KEYS ? (keys + block - 1) / block : 1;
  const queryBlocks: u32 = parts == ATTENTION_PARTS_QUERIES ? (queries + block - 1) / block : 1;
  const perGroup = heads / groups;
  for (let unit = begin; unit < end; unit++) {
    const query = (unit % queryBlocks) * block;
    const key = (unit % keyBlocks) * block;
    const lastQuery = parts == ATTENTION_PARTS_QUERIES ? min(query + block, queries) : queries;
    const lastKey = parts == ATTENTION_PARTS_KEYS ? min(key + block, keys) : keys;
    const owner = unit / queryBlocks / keyBlocks;
    if (parts == ATTENTION_PARTS_QUERIES) {
      gradientOf(head, owner / heads, owner % heads, owner % heads + 1, query, lastQuery, 0, keys, parts);
    } else {
      const first = (owner % groups) * perGroup;
      gradientOf(head, owner / groups, first, first + perGroup, 0, queries, key, lastKey, parts);
    }
  }
}

/** For heads of one group, and ranges of queries and keys. */
function gradientOf(
  head: Head, sample: u32, firstHead: u32, lastHead: u32, firstQuery: u32, lastQuery: u32, firstKey: u32, lastKey: u32, parts: u32,
): void {
  const block = blockOf(head.depth, head.width);
  const planeBytes = plane(head, 1) - plane(head, 0);
  for (let h = firstHead; parts != ATTENTION_PARTS_KEYS && h < lastHead; h++) {
    choose(head, sample, h);
    for (let i = firstQuery; i < lastQuery; i++) memory.fill(head.dq + <usize>i * head.lineQ, 0, <usize>head.depth << 2);
  }
  for (let key = firstKey; key < lastKey; key += block) {
    const keys = min(block, lastKey - key);
    choose(head, sample, firstHead);
    takeKeys(head, key, keys);
    memory.fill(plane(head, KEY_GRADIENT), 0, planeBytes * 2);
    for (let h = firstHead; h < lastHead; h++) {
      choose(head, sample, h);
      for (let query = firstQuery; query < lastQuery; query += block) {
        const count = min(block, lastQuery - query);
        const seen = within(endOfKeys(head, query + count - 1), key, keys);
        if (seen != 0 && startOfKeys(head, query) < key + keys) gradientOfBlock(head, query, count, key, seen, keys, parts);
      }
    }
    if (parts == ATTENTION_PARTS_QUERIES) continue;
    const lineD = <usize>whole8(head.depth) << 2;
    const lineW = <usize>whole8(head.width) << 2;
    takeRows(head.dk + <usize>key * head.lineK, head.lineK, plane(head, KEY_GRADIENT), lineD, keys, head.depth, false);
    takeRows(head.dv + <usize>key * head.lineV, head.lineV, plane(head, VALUE_GRADIENT), lineW, keys, head.width, false);
  }
}

/** What all queries need of a block of keys. */
function takeKeys(head: Head, key: u32, keys: u32): void {
  const columns = whole8(keys);
  const k = head.k + <usize>key * head.lineK;
  across(plane(head, KEYS_ACROSS), k, head.lineK, keys, head.depth, columns, 1);
  across(plane(head, VALUES_ACROSS), head.v + <usize>key * head.lineV, head.lineV, keys, head.width, columns, 1);
  if (!areWhole(head.depth)) padRows(plane(head, KEYS), k, head.lineK, keys, head.depth);
  hideKeys(rowOf(head, HIDDEN), head, key, keys);
}

/** The first of `count` queries from `query` on that sees a key from `key` on. */
function firstToSee(head: Head, query: u32, count: u32, key: u32): u32 {
  return head.causal != 0 ? within(key, head.offset + query, count) : 0;
}

/** What a block of queries adds; of `keys` keys, which were taken, the first `seen` are seen. */
function gradientOfBlock(head: Head, query: u32, count: u32, key: u32, seen: u32, keys: u32, parts: u32): void {
  const columns = whole8(seen);
  const line = <usize>whole8(keys) << 2;
  const rows = whole8(count);
  const lineT = <usize>rows << 2;
  const queriesAcross = plane(head, QUERIES_ACROSS);
  const slopesAcross = plane(head, SLOPES_ACROSS);
  const dy = head.dy + <usize>query * head.lineY;
  across(queriesAcross, head.q + <usize>query * head.lineQ, head.lineQ, count, head.depth, rows, head.scale);
  across(slopesAcross, dy, head.lineY, count, head.width, rows, 1);
  takeDeltas(head, query, count);
  const weights = scoresOf(head, WEIGHTS, 0);
  const slopes = scoresOf(head, WEIGHTS, 1);
  let dropped: usize = 0;
  if (head.rate > 0) {
    dropped = scoresOf(head, WEIGHTS, 4);
    drawDropped(scoresOf(head, WEIGHTS, 3), lineT, head, key, seen, query, rows);
    packPanelAcross(dropped, scoresOf(head, WEIGHTS, 3), lineT, seen, count, whole8(keys));
  }
  for (let j: u32 = 0; j < columns; j += 8) {
    const from = firstToSee(head, query, count, key + j);
    const at = (<usize>j << 2) + <usize>from * line;
    const left = count - from;
    const after = <usize>from << 2;
    const column = <usize>j << 2;
    const bytes = stripBytes(head, j, columns);
    if (bytes != 0) {
      strip(weights + at, line, queriesAcross + after, lineT, plane(head, KEYS_ACROSS) + column, line, bytes, left, head.depth);
      strip(slopes + at, line, slopesAcross + after, lineT, plane(head, VALUES_ACROSS) + column, line, bytes, left, head.width);
    }
    if (head.causal != 0 || !isPlain(head)) {
      // Under a causal mask alone, queries from the last key on see all.
      const masked = isPlain(head) ? within(key + j + 7, head.offset + query + from, left) : left;
      const hidden = head.hidden != 0 ? head.hidden + column : 0;
      maskScores(head, weights + at, line, masked, query + from, key + j, true, hidden);
    }
    slopeStrip(head, weights + at, slopes + at, line, query + from, after, left, dropped != 0 ? dropped + at : 0);
    const first: u32 = from > 8 ? from - 8 : 0;
    clearRows(weights + column, line, first, from);
    clearRows(slopes + column, line, first, from);
  }
  if (seen < keys) {
    clearColumns(weights, line, seen, keys, count);
    clearColumns(slopes, line, seen, keys, count);
  }
  if (parts != ATTENTION_PARTS_QUERIES) addKeyGradients(head, query, count, key, seen, line);
  if (parts != ATTENTION_PARTS_KEYS) addQueryGradients(head, query, count, key, seen, line);
}

/** 0 in the columns behind the keys that are seen, as far as tiles read. */
function clearColumns(scores: usize, line: usize, seen: u32, keys: u32, rows: u32): void {
  const stop = <usize>min(whole8(seen) + 8, whole8(keys)) << 2;
  for (let i: u32 = 0; i < rows; i++, scores += line) {
    memory.fill(scores + (<usize>seen << 2), 0, stop - (<usize>seen << 2));
  }
}

/** Σ dO·O of each query. */
function takeDeltas(head: Head, query: u32, count: u32): void {
  const whole = <usize>(head.width & ~3) << 2;
  const part = head.width & 3;
  let dy = head.dy + <usize>query * head.lineY;
  let y = head.y + <usize>query * head.lineY;
  const to = rowOf(head, DELTAS);
  for (let i: u32 = 0; i < count; i++, dy += head.lineY, y += head.lineY) {
    let sum = f32x4.splat(0);
    let c: usize = 0;
    for (; c < whole; c += 16) sum = madd(v128.load(dy + c), v128.load(y + c), sum);
    if (part != 0) sum = madd(loadPart(dy + c, part), loadPart(y + c, part), sum);
    store<f32>(to + (<usize>i << 2), horizontalSum(sum));
  }
}

/** Eight columns of scores become weights, those of dP become dS; `row`: where the deltas of the first query are. */
function slopeStrip(
  head: Head, weights: usize, slopes: usize, line: usize, query: u32, row: usize, rows: u32, dropped: usize,
): void {
  const scale = f32x4.splat(head.scale);
  let logSum = head.logSum + (<usize>query << 2);
  let deltas = rowOf(head, DELTAS) + row;
  for (let i: u32 = 0; i < rows; i++, weights += line, slopes += line, logSum += 4, deltas += 4) {
    const log = v128.load32_splat(logSum);
    const delta = v128.load32_splat(deltas);
    const w0 = expBounded4(f32x4.sub(v128.load(weights), log));
    const w1 = expBounded4(f32x4.sub(v128.load(weights, 16), log));
    let d0 = v128.load(slopes);
    let d1 = v128.load(slopes, 16);
    let kept0 = w0;
    let kept1 = w1;
    if (dropped != 0) {
      const f0 = v128.load(dropped);
      const f1 = v128.load(dropped, 16);
      kept0 = f32x4.mul(w0, f0);
      kept1 = f32x4.mul(w1, f1);
      d0 = f32x4.mul(d0, f0);
      d1 = f32x4.mul(d1, f1);
      dropped += line;
    }
    v128.store(weights, kept0);
    v128.store(weights, kept1, 16);
    v128.store(slopes, f32x4.mul(f32x4.mul(w0, f32x4.sub(d0, delta)), scale));
    v128.store(slopes, f32x4.mul(f32x4.mul(w1, f32x4.sub(d1, delta)), scale), 16);
  }
}

/** dV += Pᵀ·dO and dK += dSᵀ·Q. */
function addKeyGradients(head: Head, query: u32, count: u32, key: u32, keys: u32, line: usize): void {
  let dy = head.dy + <usize>query * head.lineY;
  let lineDy = head.lineY;
  const lineW = <usize>whole8(head.width) << 2;
  if (!areWhole(head.width)) {
    padRows(plane(head, SLOPES), dy, lineDy, count, head.width);
    dy = plane(head, SLOPES);
    lineDy = lineW;
  }
  let q = head.q + <usize>query * head.lineQ;
  let lineQ = head.lineQ;
  const lineD = <usize>whole8(head.depth) << 2;
  if (!areWhole(head.depth)) {
    padRows(plane(head, QUERIES), q, lineQ, count, head.depth);
    q = plane(head, QUERIES);
    lineQ = lineD;
  }
  const weights = scoresOf(head, WEIGHTS, 0);
  const slopes = scoresOf(head, WEIGHTS, 1);
  for (let j: u32 = 0; j < keys; ) {
    const height = tileHeight(keys - j);
    const from = firstToSee(head, query, count, key + (j & ~7));
    const at = <usize>from * line + (<usize>j << 2);
    const dv = plane(head, VALUE_GRADIENT) + <usize>j * lineW;
    const dk = plane(head, KEY_GRADIENT) + <usize>j * lineD;
    const left = count - from;
    tiles(dv, lineW, weights + at, line, dy + <usize>from * lineDy, lineDy, lineW, height, left, true);
    tiles(dk, lineD, slopes + at, line, q + <usize>from * lineQ, lineQ, lineD, height, left, true);
    j += height;
  }
}

/** dQ += dS·K. */
function addQueryGradients(head: Head, query: u32, count: u32, key: u32, keys: u32, line: usize): void {
  const rows = whole8(count);
  const lineT = <usize>rows << 2;
  const lineD = <usize>whole8(head.depth) << 2;
  const slopes = scoresOf(head, WEIGHTS, 2);
  packPanelAcross(slopes, scoresOf(head, WEIGHTS, 1), line, count, keys, rows);
  const isWhole = areWhole(head.depth);
  const k = isWhole ? head.k + <usize>key * head.lineK : plane(head, KEYS);
  const lineK = isWhole ? head.lineK : lineD;
  const dq = plane(head, QUERY_GRADIENT);
  for (let i: u32 = 0; i < count; ) {
    const height = tileHeight(count - i);
    const end = within(endOfKeys(head, query + min(i + height, count) - 1), key, keys);
    tiles(dq + <usize>i * lineD, lineD, slopes + (<usize>i << 2), lineT, k, lineK, lineD, height, end, false);
    i += height;
  }
  takeRows(head.dq + <usize>query * head.lineQ, head.lineQ, dq, lineD, count, head.depth, true);
}
