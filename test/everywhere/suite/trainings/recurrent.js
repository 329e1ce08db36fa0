// What goes through sequences step by step, or looks at all of them at once: recurrent layers, attention, embeddings, with
// lengths, masks, weights and dropout; sequences of labels without their times.
import { integers, uniform } from "../numbers.js";
import { BATCH, bits, CLASSES, calls, epochs, first, LETTERS, labels, SAMPLES, SEQUENCE, WORD, words } from "./ways.js";

const TIME = 16;
/** As many values as an image has. */
const FILM = [4, 12, 9, 1];
const film = uniform(SAMPLES * 4 * 12 * 9, -1, 1, 42);
const strokes = uniform(SAMPLES * TIME * SEQUENCE[1], -1, 1, 43);
/** How many steps each sequence has: 1 to all. */
const lengths = integers(SAMPLES, TIME, 44).map((length) => length + 1);
const mask = Float32Array.from({ length: SAMPLES * TIME }, (_, i) => Number(i % TIME < lengths[Math.floor(i / TIME)]));
/** Of samples: some count for nothing. */
const shares = Float32Array.from(integers(SAMPLES, 4, 45));
const positions = integers(SAMPLES * TIME, 6, 46);
/** Up to four labels a sample, then the blank: as the strokes have time for. */
const texts = integers(SAMPLES * 4, 5, 47).map((label, i) => (i % 4 < 1 + (lengths[i >> 2] >> 3) ? label : 5));
const input = { input: [TIME, SEQUENCE[1]] };

function describeRecurrent(steepest) {
  const { adam, crossEntropy, dense, functional, gru, lstm, sequential, sgd, simpleRnn } = steepest;
  const batch = { batchSize: BATCH };
  const parts = { x: [TIME, SEQUENCE[1]], lengths: [], mask: [TIME] };
  const padded = { x: strokes, lengths, mask };
  const held = { x: first(30, strokes, parts.x), lengths: lengths.subarray(0, 30), mask: first(30, mask, parts.mask) };
  return {
    "LSTM of padded sequences": {
      model: functional({ input: parts, dtype: { lengths: "uint32" } }, ({ x, lengths }, { apply }) => {
        const inner = lstm(20, { layers: 2, dropout: 0.2, returnSequences: true });
        const outer = lstm(16, { recurrentDropout: 0.1, returnSequences: true, peepholes: true });
        return apply(apply({ x, lengths }, inner), outer, dense(6));
      }),
      options: { loss: crossEntropy(), weights: "mask", optimizer: adam(), metrics: ["accuracy"] },
      samples: padded,
      ...epochs(
        2,
        { x: padded, y: positions },
        { ...batch, validation: { x: held, y: first(30, positions, parts.mask) } },
      ),
    },
    "GRU in both directions, of weighted samples": {
      model: sequential(
        input,
        gru(20, { layers: 2, dropout: 0.2, bidirectional: "sum", returnSequences: true, truncate: 6 }),
        gru(16, { reset: "before", reverse: true }),
        dense(CLASSES),
      ),
      options: { loss: crossEntropy(), weights: true, optimizer: adam(), metrics: ["accuracy"] },
      samples: strokes,
      ...epochs(2, { x: strokes, y: labels, weights: shares }, batch),
    },
    "labels without their times": {
      model: sequential(input, simpleRnn(32, { returnSequences: true, dropout: 0.1, layers: 2 }), dense(6)),
      options: {
        loss: steepest.ctc({ labels: 4, blank: 5, zeroInfinity: true }),
        optimizer: sgd({ learningRate: 0.02, momentum: 0.9 }),
      },
      samples: strokes,
      ...calls([2, 2], { x: strokes, y: texts }, batch),
    },
    "LSTM of convolutions": {
      model: sequential(
        { input: FILM },
        steepest.convLstm2d(8, 3, { padding: "same", stride: 2 }),
        steepest.globalAveragePool(),
        dense(CLASSES),
      ),
      options: { loss: crossEntropy(), optimizer: adam() },
      samples: film,
      ...calls([1, 1], { x: film, y: labels }, batch),
    },
  };
}

function describeAttention(steepest) {
  const { adam, crossEntropy, dense, embedding, functional, multiHeadAttention, sequential, sgd } = steepest;
  const { transformerDecoder, transformerEncoder } = steepest;
  const batch = { batchSize: BATCH };
  const letters = words.map((letter, i) => (i % WORD[0] < 1 + (Math.floor(i / WORD[0]) % WORD[0]) ? letter : 0));
  const both = { source: letters, target: words };
  return {
    "transformer, lazy": {
      model: functional(
        { input: { source: WORD, target: WORD }, dtype: { source: "uint32", target: "uint32" } },
        ({ source, target }, { apply }) => {
          const table = embedding(LETTERS, 32, { paddingIndex: 0 });
          const seen = apply(source, table, steepest.sinusoidalPositions(), transformerEncoder(4, { dropout: 0.1 }));
          const asked = apply(target, table, steepest.learnedPositions(WORD[0]));
          const block = transformerDecoder(2, { norm: "pre", activation: "gelu", hidden: 48, dropout: 0.1 });
          return apply(apply({ x: asked, memory: seen }, block), steepest.tiedDense(table));
        },
      ),
      options: {
        loss: crossEntropy({ ignoreIndex: 0 }),
        optimizer: adam({ lazy: true, learningRate: 0.002 }),
        metrics: [steepest.perplexity()],
      },
      samples: both,
      ...epochs(2, { x: both, y: words }, batch),
    },
    "heads that look back": {
      model: sequential(
        { input: WORD, dtype: "uint32" },
        embedding(LETTERS, 32),
        multiHeadAttention(4, { causal: true, rotary: true, keyHeads: 2, dropout: 0.2 }),
        multiHeadAttention(2, { causal: true, window: 5, alibi: true, outputFeatures: 24 }),
        steepest.flatten(),
        dense(CLASSES),
      ),
      options: {
        loss: steepest.binaryCrossEntropy(),
        optimizer: sgd({ lazy: true, learningRate: 0.1, momentum: 0.9 }),
        weights: true,
      },
      samples: words,
      ...calls([2, 2], { x: words, y: bits, weights: shares }, batch),
    },
  };
}

export const describeRecurrence = (steepest) => ({ ...describeRecurrent(steepest), ...describeAttention(steepest) });
