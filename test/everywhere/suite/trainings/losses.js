// Every loss and metric that is made of operations: outputs of one trunk, each with a loss and metrics of its own.
import { integers, oneHot, uniform } from "../numbers.js";
import { BATCH, bits, CLASSES, epochs, FEATURES, labels, SAMPLES, values, x } from "./ways.js";

const input = { input: [FEATURES] };
const signs = bits.map((bit) => 2 * bit - 1);
const sign = signs.subarray(0, SAMPLES);
const counts = Float32Array.from(integers(SAMPLES * CLASSES, 5, 43));
const positive = uniform(SAMPLES * CLASSES, 0.1, 2, 44);
const distributions = oneHot(CLASSES, labels).map((one) => 0.9 * one + 0.1 / CLASSES);

/** A model with an output for each head, and how it is compiled and trained. */
function train({ adam, dense, functional, relu }, heads) {
  const of = (take) => Object.fromEntries(Object.entries(heads).map(([name, head]) => [name, take(head)]));
  const model = functional(input, (x, { apply }) => {
    const trunk = apply(x, dense(512), relu());
    return of(({ layers }) => apply(trunk, ...layers));
  });
  const options = { loss: of(({ loss }) => loss), metrics: of(({ metrics = [] }) => metrics), optimizer: adam() };
  return { model, options, ...epochs(2, { x, y: of(({ y }) => y) }, { batchSize: BATCH }) };
}

/** Each: a model, how it is compiled, and how it is trained. */
export function describeLosses(steepest) {
  const { binaryCrossEntropy, crossEntropy, dense, l2Normalize, logSoftmax, meanSquaredError, reshape } = steepest;
  const plain = () => [dense(CLASSES)];
  const by = (y, loss, ...metrics) => ({ layers: plain(), y, loss, metrics });
  const pair = (count) => [dense(count * 8), reshape([count, 8])];
  const vector = (loss) => ({ layers: [dense(8), l2Normalize()], y: labels, loss });
  return {
    "losses of values": train(steepest, {
      smooth: by(
        values,
        steepest.smoothL1({ beta: 0.5 }),
        ...[steepest.rootMeanSquaredError(), steepest.rSquared(), steepest.explainedVariance(), steepest.pearson()],
      ),
      logCosh: by(values, steepest.logCosh()),
      ignored: by(counts, meanSquaredError({ ignoreValue: 3 })),
      logarithmic: by(positive, steepest.meanSquaredLogarithmicError()),
      share: by(positive, steepest.meanAbsolutePercentageLoss(), steepest.meanAbsolutePercentageError()),
      poisson: by(counts, steepest.poissonNegativeLogLikelihood({ full: true })),
      gaussian: { layers: [dense(2 * CLASSES)], y: values, loss: steepest.gaussianNegativeLogLikelihood() },
      quantiles: {
        layers: [dense(3)],
        y: values.subarray(0, SAMPLES),
        loss: steepest.quantile({ quantiles: [0.1, 0.5, 0.9] }),
      },
      direction: by(values, steepest.cosineSimilarityLoss()),
      squaredHinge: by(signs, steepest.squaredHinge()),
      softMargin: by(signs, steepest.softMargin()),
      distance: by(signs, steepest.hingeEmbedding()),
    }),
    "losses of classes": train(steepest, {
      weighted: by(
        labels,
        crossEntropy({ classWeights: [1, 2, 1, 1, 0.5, 1, 3, 1, 1, 1], labelSmoothing: 0.1, ignoreIndex: 7 }),
        ...[
          steepest.precision(),
          steepest.recall(),
          steepest.specificity(),
          steepest.f1(),
          steepest.fBeta({ beta: 2 }),
        ],
        ...[steepest.balancedAccuracy(), steepest.cohenKappa(), steepest.matthews(), steepest.intersectionOverUnion()],
        ...[steepest.logLoss(), steepest.rocAuc(), steepest.prAuc(), steepest.expectedCalibrationError()],
      ),
      likelihood: { layers: [...plain(), logSoftmax()], y: labels, loss: steepest.negativeLogLikelihood() },
      divergence: { layers: [...plain(), logSoftmax()], y: distributions, loss: steepest.klDivergence() },
      margins: by(labels, steepest.multiMargin({ p: 2 })),
      focal: by(labels, steepest.focal()),
      ordinal: { layers: [dense(CLASSES - 1)], y: labels, loss: steepest.ordinal() },
      several: by(bits, steepest.multiLabelMargin()),
      soft: by(bits, steepest.multiLabelSoftMargin()),
      rare: by(
        bits,
        binaryCrossEntropy({ positiveWeight: 2, labelSmoothing: 0.1 }),
        ...[steepest.binaryAccuracy(), steepest.brier(), steepest.averagePrecision()],
      ),
      dice: by(bits, steepest.diceLoss()),
      jaccard: by(bits, steepest.jaccardLoss()),
      tversky: by(bits, steepest.tverskyLoss({ alpha: 0.3, beta: 0.7 })),
    }),
    "losses of pairs": train(steepest, {
      cosine: { layers: pair(2), y: sign, loss: steepest.cosineEmbedding() },
      contrastive: { layers: pair(2), y: sign, loss: steepest.contrastive() },
      triple: { layers: pair(3), y: sign, loss: steepest.tripletMargin() },
      ranking: { layers: [dense(2)], y: sign, loss: steepest.marginRanking({ margin: 0.5 }) },
      mined: vector(steepest.batchTriplet({ margin: 0.2 })),
      supervised: vector(steepest.supervisedContrastive()),
    }),
  };
}
