// Every operation of steepest/graph by the rows of the sample table (test/ops/samples), forward against float64 and
// backward; large random models, in which several threads take part; and what draws random numbers.
import { expect } from "./checks.js";
import { RANDOM } from "./kernels/random.js";
import { createDigest } from "./numbers.js";
import { createRows } from "./rows.js";

const LARGE = { moves: 8, axes: [130, 193, 260], elements: 60_000 };
const SEEDS = [1, 2, 3, 4];
/** See test/graph/random/check.ts. */
const TOLERANCE = 5e-5;

/** Made once a process: a row's float64 takes longer than its kernels. */
let rows;
const references = new Map();
const models = new Map();

function once(map, key, make) {
  if (!map.has(key)) map.set(key, make());
  return map.get(key);
}

/** The result of a case, and the gradients of a random sum of it. */
async function runCase(one, seed, graph, { engine }, digest) {
  const random = rows.createRandom(seed);
  const values = rows.drawInputs(one, random);
  const dtypeOf = (data) => (data instanceof Uint32Array ? "uint32" : "float32");
  const shapes = one.inputs.map(({ shape }, i) => graph.input(shape, { name: `x${i}`, dtype: dtypeOf(values[i]) }));
  const wanted = rows.differentiable(one).flatMap((is, i) => (is ? [i] : []));
  let exact = false;
  const f = await graph.compileFunction(
    (tensors) => {
      const xs = values.map((_, i) => tensors[`x${i}`]);
      const y = one.apply(...xs);
      exact = y.dtype === "uint32";
      if (wanted.length === 0 || exact) return { y };
      const weights = Float32Array.from({ length: y.shape.reduce((a, b) => a * b, 1) }, random.normal);
      const loss = graph.sum(graph.mul(y, graph.constant(weights, y.shape)));
      const slopes = graph.gradient(
        loss,
        wanted.map((i) => xs[i]),
      );
      return { y, ...Object.fromEntries(slopes.map((slope, i) => [`d${wanted[i]}`, slope])) };
    },
    Object.fromEntries(shapes.map((tensor) => [tensor.name, tensor])),
    { engine },
  );
  const results = f(Object.fromEntries(values.map((data, i) => [`x${i}`, data])));
  f.dispose();
  for (const data of Object.values(results)) digest.add(data);
  const expected = once(references, one, () => one.reference(...values.map((data) => Float64Array.from(data))));
  rows.checkForward(one, exact, results.y, expected);
}

/** Small arrays, of which one thread does all: what several do is the same. */
async function checkRows(graph, kit, checks, digests) {
  for (const [name, { cases }] of Object.entries(rows.samples)) {
    const digest = createDigest();
    await checks.check(`operation ${name}`, async () => {
      for (const [index, one] of cases.entries()) {
        if (one.refused) continue;
        try {
          await runCase(one, index + 1, graph, kit, digest);
        } catch (error) {
          throw new Error(`case ${index} ${one.name ?? ""}: ${error?.message ?? error}`);
        }
      }
    });
    digests[`operation ${name}`] = digest.text();
  }
}

/** A random model with its gradients: arrays so large that several threads take part where a kernel is worth that. */
async function runModel(seed, graph, { engine }, digest) {
  const model = once(models, seed, () => rows.randomModel(rows.createRandom(seed), LARGE));
  const nameOf = (index) => `leaf${index}`;
  const f = await graph.compileFunction(
    (inputs) => {
      const leaves = model.leaves.map((index) => inputs[nameOf(index)]);
      const { outputs, loss } = rows.trace(model, leaves);
      const named = (tensors, name) => Object.fromEntries(tensors.map((tensor, i) => [`${name}${i}`, tensor]));
      return { ...named(outputs, "y"), ...named(graph.gradient(loss, leaves), "d") };
    },
    Object.fromEntries(model.leaves.map((index) => [nameOf(index), model.values[index].shape])),
    { engine },
  );
  const results = f(
    Object.fromEntries(model.leaves.map((index) => [nameOf(index), Float32Array.from(model.values[index].data)])),
  );
  f.dispose();
  for (const data of Object.values(results)) digest.add(data);
  model.outputs.forEach(({ index }, i) => {
    const { data } = model.values[index];
    const scale = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0.1);
    const wrong = data.findIndex((value, place) => !(Math.abs(results[`y${i}`][place] - value) <= TOLERANCE * scale));
    expect(wrong < 0, `v${index}, element ${wrong} is ${results[`y${i}`][wrong]}, float64 gives ${data[wrong]}`);
  });
}

async function runRandom({ inputs, values, wordInputs, trace, verify }, graph, { engine }, digest) {
  const words = Object.entries(wordInputs);
  const tensors = words.map(([name, { shape }]) => [name, graph.input(shape, { name, dtype: "uint32" })]);
  const shapes = { ...inputs, ...Object.fromEntries(tensors) };
  const f = await graph.compileFunction((given) => ({ y: trace(graph, given) }), shapes, { engine });
  const { y } = f({ ...values, ...Object.fromEntries(words.map(([name, { data }]) => [name, data])) });
  f.dispose();
  digest.add(y);
  verify(y);
}

/** Checks all of them. Resolves to the digests of their results' bits. */
export async function checkKernels(graph, kit, checks) {
  rows ??= createRows(graph);
  const digests = {};
  if (kit.engine.threads === 1 && !kit.brief) await checkRows(graph, kit, checks, digests);
  for (const seed of SEEDS) {
    const digest = createDigest();
    await checks.check(`large model ${seed}`, () => runModel(seed, graph, kit, digest));
    digests[`large model ${seed}`] = digest.text();
  }
  const chance = createDigest();
  for (const row of RANDOM) await checks.check(`kernels: ${row.operation}`, () => runRandom(row, graph, kit, chance));
  digests["kernels of chance"] = chance.text();
  return digests;
}
