// Exact gradients against finite differences, for small models of every differentiable activation and for a function.
import { expect } from "./checks.js";
import { integers, oneHot, uniform } from "./numbers.js";

const SAMPLES = 5;
const x = uniform(SAMPLES * 6, -1, 1, 21);
const values = uniform(SAMPLES * 4, -1, 1, 22);
const bits = Float32Array.from(integers(SAMPLES * 4, 2, 23));
const classes = integers(SAMPLES, 4, 24);

export async function checkAllGradients({ steepest, graph }, kit, checks) {
  const { checkGradients, dense, sequential } = steepest;
  const { engine } = kit;
  const models = {
    tanh: [[steepest.tanh()], steepest.crossEntropy(), classes],
    sigmoid: [[steepest.sigmoid()], steepest.crossEntropy({ targets: "distributions" }), oneHot(4, classes)],
    gelu: [[steepest.gelu()], steepest.meanSquaredError(), values],
    "gelu with tanh": [[steepest.gelu({ approximate: "tanh" })], steepest.halfSquaredError(), values],
    silu: [[steepest.silu(), steepest.identity()], steepest.binaryCrossEntropy(), bits],
    softplus: [[steepest.softplus()], steepest.huber({ delta: 10 }), values],
    elu: [[steepest.elu()], steepest.meanSquaredError({ reduction: "sum" }), values],
    softmax: [[steepest.softmax()], steepest.meanSquaredError(), values],
    logSoftmax: [[steepest.logSoftmax()], steepest.meanSquaredError(), values],
  };
  for (const [name, [layers, loss, y]] of Object.entries(models)) {
    await checks.check(`gradients: ${name}`, async () => {
      const model = sequential({ input: [6] }, dense(8), ...layers, dense(4));
      report(await checkGradients(model, { loss, data: { x, y }, engine }));
    });
  }
  if (graph === undefined) return;
  await checks.check("gradients: a function of matmul, max and divide", async () => {
    const f = ({ a, b }) => graph.divide(graph.matmul(a, b), graph.shift(graph.square(graph.max(a, 1, KEEP)), 1));
    const at = { a: { shape: [5, 6], values: x }, b: { shape: [6, 3], values: values.subarray(0, 18) } };
    report(await graph.checkGradients(f, { at, engine }));
  });
}

const KEEP = { keepDims: true };

function report({ passed, worst }) {
  expect(passed, `${worst.name}: ${worst.exact} against ${worst.numerical}`);
}
