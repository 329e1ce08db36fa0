// The functions that make layers, initializers, regularizers and constraints, by name: what a saved model is made of again.
import { showNames, showValue } from "../engine/errors.js";
import * as activations from "../nn/activations.js";
import { multiHeadAttention } from "../nn/attention.js";
import * as augment from "../nn/augment.js";
import * as constraints from "../nn/constraints.js";
import * as conv from "../nn/conv.js";
import { convLstm2d } from "../nn/convLstm2d.js";
import { dense } from "../nn/dense.js";
import * as dropout from "../nn/dropout.js";
import { embedding, tiedDense } from "../nn/embedding.js";
import { flatten } from "../nn/flatten.js";
import * as glu from "../nn/glu.js";
import { gru } from "../nn/gru.js";
import * as initializers from "../nn/initializers.js";
import type { AnyLayer } from "../nn/layer.js";
import { lstm } from "../nn/lstm.js";
import { residual } from "../nn/merge.js";
import { gaussianDropout, gaussianNoise } from "../nn/noise.js";
import * as norm from "../nn/norm.js";
import { bilinear, cosineSimilarity, pairwiseDistance } from "../nn/pairs.js";
import { pixelShuffle, pixelUnshuffle } from "../nn/pixels.js";
import * as pool from "../nn/pool.js";
import { averagePool3d, maxPool3d } from "../nn/pool3d.js";
import { learnedPositions, sinusoidalPositions } from "../nn/positions.js";
import * as regularizers from "../nn/regularizers.js";
import * as shape from "../nn/shape.js";
import { simpleRnn } from "../nn/simpleRnn.js";
import { transformerDecoder, transformerEncoder } from "../nn/transformer.js";
import { maxPoolWithIndices, maxUnpool } from "../nn/unpool.js";
import { resize, upsample1d, upsample2d } from "../nn/upsample.js";
import { FormatError } from "./formatError.js";

type Make = (...args: never) => unknown;

/** By the `kind` of what they make. test/io/models.test.ts has a sample of each layer that the package exports. */
const LAYERS = /* @__PURE__ */ (() =>
  ({
    ...activations,
    ...augment,
    ...conv,
    ...dropout,
    ...glu,
    ...norm,
    ...pool,
    ...shape,
    ...{ averagePool3d, bilinear, convLstm2d, cosineSimilarity, dense, embedding, flatten, gaussianDropout },
    ...{ gaussianNoise, gru, learnedPositions, lstm, maxPool3d, maxPoolWithIndices, maxUnpool, multiHeadAttention },
    ...{ pairwiseDistance, pixelShuffle, pixelUnshuffle, residual, resize, simpleRnn, sinusoidalPositions, tiedDense },
    ...{ transformerDecoder, transformerEncoder, upsample1d, upsample2d },
  }) as Readonly<Record<string, Make>>)();

const PARTS = /* @__PURE__ */ (() =>
  ({ ...constraints, ...initializers, ...regularizers }) as Readonly<Record<string, Make>>)();

/** Makes a layer of this library, or a custom one. */
export function makeLayer(where: string, kind: string, args: readonly unknown[]): AnyLayer {
  const make = entry(LAYERS, kind);
  if (make !== undefined) return make(...(args as never)) as AnyLayer;
  throw new FormatError(
    `${where}: a layer must be of this library or a custom one, got ${showValue(kind)}: it was saved by a later version, or the file is damaged`,
  );
}

export function isLayerKind(kind: string): boolean {
  return entry(LAYERS, kind) !== undefined;
}

export function isPart(name: string): boolean {
  return entry(PARTS, name) !== undefined;
}

/** Makes an initializer, regularizer or constraint. */
export function makePart(where: string, name: string, args: readonly unknown[]): unknown {
  const make = entry(PARTS, name);
  if (make !== undefined) return make(...(args as never));
  throw new FormatError(
    `${where}: must be one of ${showNames(Object.keys(PARTS))}, got ${showValue(name)}: it was saved by a later version, or the file is damaged`,
  );
}

function entry(table: Readonly<Record<string, Make>>, name: string): Make | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
