// Exact gradients against finite differences, for small models of the differentiable activations and layers, and for
// functions. What has corners is left out: differences of float32 losses cannot tell them from slopes.
import { expect } from "./checks.js";
import { integers, oneHot, uniform } from "./numbers.js";

const SAMPLES = 5;
const x = uniform(SAMPLES * 6, -1, 1, 21);
const values = uniform(SAMPLES * 4, -1, 1, 22);
const bits = Float32Array.from(integers(SAMPLES * 4, 2, 23));
const classes = integers(SAMPLES, 4, 24);
const images = uniform(SAMPLES * 6 * 5 * 4, -1, 1, 25);

/** Activations between two dense layers. */
function activations(steepest) {
  const { meanSquaredError } = steepest;
  const squared = (layer) => [[layer], meanSquaredError(), values];
  return {
    tanh: [[steepest.tanh()], steepest.crossEntropy(), classes],
    sigmoid: [[steepest.sigmoid()], steepest.crossEntropy({ targets: "distributions" }), oneHot(4, classes)],
    gelu: squared(steepest.gelu()),
    "gelu with tanh": [[steepest.gelu({ approximate: "tanh" })], steepest.halfSquaredError(), values],
    silu: [[steepest.silu(), steepest.identity()], steepest.binaryCrossEntropy(), bits],
    softplus: [[steepest.softplus()], steepest.huber({ delta: 10 }), values],
    elu: [[steepest.elu()], meanSquaredError({ reduction: "sum" }), values],
    celu: squared(steepest.celu({ alpha: 0.8 })),
    mish: squared(steepest.mish()),
    logSigmoid: squared(steepest.logSigmoid()),
    softsign: squared(steepest.softsign()),
    tanhShrink: squared(steepest.tanhShrink()),
    softmax: squared(steepest.softmax()),
    logSoftmax: squared(steepest.logSoftmax()),
    glu: squared(steepest.glu()),
    swiglu: squared(steepest.swiglu()),
    geglu: squared(steepest.geglu()),
    layerNorm: squared(steepest.layerNorm()),
    rmsNorm: squared(steepest.rmsNorm()),
    batchNorm: squared(steepest.batchNorm()),
    l2Normalize: squared(steepest.l2Normalize()),
    residual: squared(steepest.residual(steepest.dense(8, { weightRegularizer: steepest.l2(0.1) }), steepest.tanh())),
  };
}

/** Chains for images [6, 5, 4]; each ends in a dense layer of 4. */
function networks(steepest) {
  const { conv2d, depthwiseConv2d, gelu, globalAveragePool, tanh } = steepest;
  const { conv1d, reshape } = steepest;
  return {
    conv2d: [conv2d(5, 3, { stride: 2, padding: 1 }), tanh(), conv2d(4, 2, { dilation: 2, padding: 1 })],
    "conv2d in groups": [conv2d(6, [2, 3], { groups: 2 }), gelu(), depthwiseConv2d(3, { padding: "same" })],
    separableConv2d: [steepest.separableConv2d(5, 2, { multiplier: 2 }), tanh(), steepest.averagePool2d(2)],
    convTranspose2d: [steepest.convTranspose2d(3, 3, { stride: 2, padding: 1 }), tanh(), steepest.averagePool2d(3)],
    "maximum and mean": [steepest.maxPool2d(2), steepest.adaptiveAveragePool2d([2, 3]), conv2d(3, 1), tanh()],
    "up-sampling": [steepest.upsample2d({ scale: 2, mode: "bilinear" }), conv2d(3, 3), tanh(), globalAveragePool()],
    "norms of images": [steepest.groupNorm(2), conv2d(4, 2), steepest.instanceNorm({ affine: true }), tanh()],
    sequences: [
      reshape([30, 4]),
      conv1d(6, 3, { padding: "causal", dilation: 2 }),
      tanh(),
      steepest.convTranspose1d(2, 2),
    ],
  };
}

export async function checkAllGradients({ steepest, graph }, kit, checks) {
  const { checkGradients, dense, flatten, meanSquaredError, sequential } = steepest;
  const { engine } = kit;
  for (const [name, [layers, loss, y]] of Object.entries(activations(steepest))) {
    await checks.check(`gradients: ${name}`, async () => {
      const model = sequential({ input: [6] }, dense(8), ...layers, dense(4));
      report(await checkGradients(model, { loss, data: { x, y }, engine }));
    });
  }
  for (const [name, layers] of Object.entries(networks(steepest))) {
    await checks.check(`gradients: ${name}`, async () => {
      const model = sequential({ input: [6, 5, 4] }, ...layers, flatten(), dense(4));
      report(await checkGradients(model, { loss: meanSquaredError(), data: { x: images, y: values }, engine }));
    });
  }
  if (graph === undefined) return;
  await checks.check("gradients: a function of matmul, max and divide", async () => {
    const f = ({ a, b }) => graph.div(graph.matmul(a, b), graph.shift(graph.square(graph.max(a, 1, KEEP)), 1));
    const at = { a: { shape: [5, 6], values: x }, b: { shape: [6, 3], values: values.subarray(0, 18) } };
    report(await graph.checkGradients(f, { at, engine }));
  });
  await checks.check("gradients: a gradient of a convolution", async () => {
    const f = ({ picture, weight }) => {
      const y = graph.sum(graph.tanh(graph.conv2d(picture, weight, { stride: 2, padding: 1 })));
      return graph.sum(graph.square(graph.gradient(y, picture)));
    };
    const picture = { shape: [1, 6, 5, 4], values: images.subarray(0, 120) };
    const weight = { shape: [3, 3, 4, 2], values: images.subarray(120, 192) };
    report(await graph.checkGradients(f, { at: { picture, weight }, engine }));
  });
}

const KEEP = { keepDims: true };

function report({ passed, worst }) {
  expect(passed, `${worst.name}: ${worst.exact} against ${worst.numerical}`);
}
