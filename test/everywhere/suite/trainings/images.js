// Networks for images and sequences: convolutions, pooling, up-sampling, normalization.
import {
  BATCH,
  batches,
  CLASSES,
  calls,
  epochs,
  first,
  IMAGE,
  images,
  LETTERS,
  labels,
  OTHER_IMAGE,
  SEQUENCE,
  sequences,
  values,
  WORD,
  words,
} from "./ways.js";

const SAME = { padding: "same" };
/** As many values as an image has. */
const VOLUME = [6, 8, 9, 1];

function describeImages(steepest) {
  const { adam, batchNorm, binaryCrossEntropy, conv2d, crossEntropy, dense, dropout, elu, flatten } = steepest;
  const { globalAveragePool, globalMaxPool, heNormal, hinge, instanceNorm, leakyRelu, maxPool2d } = steepest;
  const { relu, sequential, sgd, sigmoid, spatialDropout2d, upsample2d } = steepest;
  const input = { input: IMAGE };
  const bytes = Uint8Array.from(images, (value) => Math.floor(value * 256));
  return {
    "bytes changed at random": {
      model: sequential(
        input,
        steepest.randomFlip({ direction: "both" }),
        steepest.randomAffine({ rotation: 20, translation: [0.1, 0.2], zoom: [0.8, 1.3] }),
        steepest.randomRotation(5, { interpolation: "nearest" }),
        steepest.randomTranslation(0.05, { padding: "border" }),
        steepest.randomZoom(0.9, 1.1, { interpolation: "cubic" }),
        steepest.randomCrop({ padding: 1 }),
        steepest.colorJitter({ brightness: 0.3, contrast: 0.4, saturation: 0.5 }),
        steepest.randomErasing({ area: [0.05, 0.3] }),
        conv2d(8, 3),
        relu(),
        flatten(),
        dense(CLASSES),
      ),
      options: { loss: crossEntropy(), optimizer: adam() },
      samples: images,
      ...epochs(2, { x: bytes, y: labels, scale: 1 / 255, offset: -0.25 }, { batchSize: BATCH }),
    },
    "images mixed with each other": {
      model: sequential(input, conv2d(4, 3), relu(), flatten(), dense(CLASSES)),
      options: { loss: crossEntropy(), optimizer: adam(), mix: steepest.cutMix({ alpha: 0.5 }) },
      samples: images,
      ...epochs(2, { x: bytes, y: labels, scale: 1 / 255 }, { batchSize: BATCH }),
    },
    "images mixed pixel by pixel": {
      model: sequential(input, conv2d(4, 3), relu(), flatten(), dense(CLASSES)),
      options: { loss: crossEntropy(), optimizer: adam(), mix: steepest.mixUp({ alpha: 0.3 }) },
      samples: images,
      ...epochs(2, { x: images, y: labels }, { batchSize: BATCH }),
    },
    "convolutions with batch norm": {
      model: sequential(
        input,
        conv2d(32, 3, { ...SAME, bias: false, weightInitializer: heNormal() }),
        batchNorm(),
        relu(),
        spatialDropout2d(0.2),
        maxPool2d(2),
        conv2d(24, [3, 2], {
          padding: [
            [1, 2],
            [0, 1],
          ],
        }),
        batchNorm({ momentum: 0.3, epsilon: 1e-3 }),
        leakyRelu(),
        maxPool2d([3, 2], { stride: 2, padding: 1, dilation: [1, 2], ceilMode: true }),
        conv2d(40, 2, { dilation: 2, weightInitializer: steepest.orthogonal() }),
        globalAveragePool(),
        dropout(0.25),
        dense(CLASSES),
      ),
      options: { loss: crossEntropy(), optimizer: adam(), metrics: ["accuracy"] },
      samples: images,
      ...epochs(
        2,
        { x: images, y: labels },
        { batchSize: BATCH, validation: { x: first(40, images, IMAGE), y: labels.subarray(0, 40) } },
      ),
    },
    "depthwise and separable convolutions": {
      model: sequential(
        input,
        conv2d(24, 1, { bias: false }),
        steepest.depthwiseConv2d(3, {
          ...SAME,
          multiplier: 2,
          weightInitializer: steepest.uniform({ low: -0.5, high: 0.5 }),
        }),
        steepest.mish(),
        steepest.zeroPad2d([
          [1, 0],
          [0, 1],
        ]),
        steepest.averagePool2d(3, { stride: 2, padding: 1, countIncludePad: false }),
        steepest.separableConv2d(40, 3, { ...SAME, multiplier: 2, dilation: 2 }),
        steepest.relu6(),
        steepest.crop2d([
          [0, 1],
          [1, 0],
        ]),
        conv2d(24, 3, { ...SAME, groups: 8 }),
        steepest.adaptiveMaxPool2d([4, 3]),
        steepest.hardSwish(),
        steepest.depthwiseConv2d([2, 3], { stride: [1, 2], padding: 1 }),
        steepest.adaptiveAveragePool2d(2),
        flatten(),
        dense(CLASSES),
      ),
      options: { loss: hinge(), optimizer: sgd({ learningRate: 0.05, momentum: 0.9 }) },
      samples: images,
      ...calls([2, 2], { x: images, y: values.map((value) => (value < 0 ? -1 : 1)) }, { batchSize: BATCH }),
    },
    autoencoder: {
      model: sequential(
        input,
        conv2d(16, 3, { ...SAME, stride: 2 }),
        elu(),
        conv2d(32, 3, { stride: 2, padding: 1 }),
        relu(),
        upsample2d({ scale: 2, mode: "bilinear" }),
        steepest.convTranspose2d(16, 4, { stride: 2, padding: 1 }),
        steepest.softplus(),
        steepest.convTranspose2d(12, 3, { ...SAME, groups: 4 }),
        upsample2d({ size: [14, 13] }),
        conv2d(8, [3, 2]),
        steepest.tanh(),
        steepest.convTranspose2d(3, [1, 3], { padding: [0, 1], bias: false }),
        sigmoid(),
      ),
      options: { loss: binaryCrossEntropy({ from: "probabilities" }), optimizer: adam({ learningRate: 0.003 }) },
      samples: first(40, images, IMAGE),
      ...epochs(2, { x: images, y: images }, { batchSize: 50 }),
    },
    "images of two sizes": {
      model: sequential(
        input,
        conv2d(24, 3, { ...SAME }),
        instanceNorm({ affine: true }),
        relu(),
        maxPool2d(2, SAME),
        conv2d(32, 3),
        batchNorm(),
        relu(),
        globalMaxPool(),
        dense(CLASSES),
      ),
      options: { loss: crossEntropy(), optimizer: adam() },
      async predict(trainer) {
        const other = first(70, images, IMAGE);
        return [await trainer.predict(images), await trainer.predict(other, { inputShape: OTHER_IMAGE })];
      },
      ...batches(6, { x: images, y: labels }, { x: IMAGE, y: [1], turns: [undefined, OTHER_IMAGE, [18, 8, 3]] }),
    },
    "residual blocks": {
      model: sequential(
        input,
        conv2d(32, 3, SAME),
        steepest.residual(steepest.groupNorm(4), steepest.silu(), conv2d(32, 3, SAME)),
        steepest.residual({ name: "pointwise" }, instanceNorm(), steepest.gelu(), conv2d(32, 1)),
        steepest.residual(
          steepest.layerNorm(),
          conv2d(64, 1, { weightInitializer: steepest.heUniform() }),
          steepest.swiglu(),
        ),
        steepest.averagePool2d(2, { ceilMode: true }),
        steepest.layerNorm({ axes: 3, affine: false }),
        steepest.residual(steepest.rmsNorm(), conv2d(32, 3, { ...SAME, groups: 32 }), relu()),
        globalAveragePool({ keepDims: true }),
        flatten(),
        steepest.l2Normalize(),
        dense(CLASSES),
      ),
      options: { loss: crossEntropy({ reduction: "sum" }), optimizer: sgd({ learningRate: 0.001 }) },
      samples: images,
      ...calls([2, 2], { x: images, y: labels }, { batchSize: BATCH, shuffle: false }),
    },
    volumes: {
      model: sequential(
        { input: VOLUME },
        steepest.conv3d(12, 3, { ...SAME, bias: false }),
        batchNorm(),
        relu(),
        steepest.maxPool3d(2, { stride: [1, 2, 2] }),
        steepest.conv3d(16, [2, 3, 2], { padding: "same" }),
        elu(),
        steepest.averagePool3d([2, 1, 2]),
        flatten(),
        dense(CLASSES),
      ),
      options: { loss: crossEntropy(), optimizer: adam(), metrics: ["accuracy", steepest.topK(3)] },
      samples: images,
      ...epochs(2, { x: images, y: labels }, { batchSize: BATCH }),
    },
    "sizes, statistics and paddings": {
      model: steepest.functional(input, (x, { apply }) => {
        const convolved = apply(
          x,
          steepest.resize({ size: [14, 10], mode: "cubic" }),
          conv2d(16, 3, { ...SAME, paddingMode: "circular" }),
          batchNorm({ statistics: "cumulative" }),
          relu(),
          instanceNorm({ statistics: "running", momentum: 0.3 }),
          steepest.localResponseNorm(5, { alpha: 0.1 }),
        );
        const { values, indices } = apply(convolved, steepest.maxPoolWithIndices(2));
        const back = apply({ values: apply(values, conv2d(16, 1)), indices }, steepest.maxUnpool(2));
        const smaller = steepest.resize({ scale: [0.5, 0.4], mode: "linear", coordinates: "alignCorners" });
        return apply(back, smaller, flatten(), dense(CLASSES));
      }),
      options: { loss: crossEntropy(), optimizer: adam(), metrics: ["accuracy"] },
      samples: images,
      ...epochs(2, { x: images, y: labels }, { batchSize: BATCH }),
    },
    "volumes there and back": {
      model: sequential(
        { input: VOLUME },
        steepest.conv3d(8, 3, { stride: 2, padding: 1 }),
        steepest.tanh(),
        steepest.convTranspose3d(4, [2, 2, 3], { stride: 2, padding: [0, 0, 1] }),
        relu(),
        steepest.conv3d(1, 1),
      ),
      options: { loss: steepest.meanSquaredError(), optimizer: sgd({ learningRate: 0.1 }) },
      samples: images,
      ...calls([2, 2], { x: images, y: images }, { batchSize: BATCH }),
    },
    "pixels into channels and back": {
      model: sequential(
        input,
        steepest.pad(
          [
            [1, 1],
            [2, 0],
            [0, 0],
          ],
          { mode: "reflect" },
        ),
        conv2d(16, 3),
        steepest.pixelUnshuffle(2),
        steepest.lpPool2d(3, 2, { stride: 1 }),
        conv2d(32, 2, SAME),
        sigmoid(),
        steepest.pixelShuffle(2),
        steepest.reshape([10, 80]),
        steepest.lpPool1d(2, 2),
        flatten(),
        dense(CLASSES),
      ),
      options: { loss: crossEntropy(), optimizer: adam() },
      samples: images,
      ...calls([2, 2], { x: images, y: labels }, { batchSize: BATCH }),
    },
  };
}

function describeSequences(steepest) {
  const { adam, conv1d, crossEntropy, dense, flatten, globalAveragePool, globalMaxPool, glu } = steepest;
  const { meanSquaredError, permute, relu, sequential, sgd, swiglu, tanh } = steepest;
  const input = { input: SEQUENCE };
  return {
    sequences: {
      model: sequential(
        input,
        conv1d(64, 3, { padding: "causal" }),
        glu(),
        steepest.spatialDropout1d(0.2),
        conv1d(48, 3, { padding: "causal", dilation: 4 }),
        tanh(),
        steepest.maxPool1d(3, { stride: 2, padding: 1 }),
        conv1d(48, 3, { ...SAME, groups: 4 }),
        swiglu(),
        steepest.depthwiseConv1d(3, { multiplier: 2, padding: [2, 0] }),
        steepest.batchNorm(),
        steepest.separableConv1d(40, 3, { padding: 1, stride: 2 }),
        relu(),
        steepest.averagePool1d(2, { padding: 1, ceilMode: true }),
        globalAveragePool(),
        dense(CLASSES),
      ),
      options: { loss: crossEntropy(), optimizer: adam(), metrics: ["accuracy"] },
      samples: sequences,
      ...epochs(2, { x: sequences, y: labels }, { batchSize: BATCH }),
    },
    "sequences there and back": {
      model: sequential(
        input,
        steepest.zeroPad1d([3, 2]),
        steepest.crop1d([1, 2]),
        conv1d(32, 4),
        steepest.adaptiveMaxPool1d(24),
        relu(),
        steepest.adaptiveAveragePool1d(12),
        steepest.convTranspose1d(24, 4, { stride: 2, padding: 1, groups: 2 }),
        relu(),
        steepest.upsample1d({ scale: 2, mode: "linear" }),
        steepest.convTranspose1d(32, 3, { dilation: 2, padding: 2 }),
        permute([2, 1]),
        globalMaxPool(),
        steepest.repeatVector(8),
        permute([2, 1]),
        steepest.upsample1d({ size: 50 }),
        conv1d(8, 3),
      ),
      options: { loss: meanSquaredError(), optimizer: sgd({ learningRate: 0.1 }) },
      samples: sequences,
      ...calls([3, 3], { x: sequences, y: sequences }, { batchSize: BATCH }),
    },
    "letters by number": {
      model: sequential(
        { input: WORD, dtype: "uint32" },
        steepest.oneHot(LETTERS),
        conv1d(64, 4),
        relu(),
        steepest.reshape([-1, 32]),
        steepest.layerNorm(),
        flatten(),
        dense(CLASSES),
      ),
      options: { loss: crossEntropy(), optimizer: adam(), metrics: ["accuracy"] },
      samples: words,
      ...epochs(2, { x: words, y: labels }, { batchSize: BATCH }),
    },
  };
}

export const describePictures = (steepest) => ({ ...describeImages(steepest), ...describeSequences(steepest) });
