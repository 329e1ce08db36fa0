// Every operation of steepest/graph against its formula in float64: see kernels/.
import { expect } from "./checks.js";
import { ELEMENTWISE } from "./kernels/elementwise.js";
import { GRADIENTS } from "./kernels/gradients.js";
import { IMAGE_KERNELS } from "./kernels/images.js";
import { MOVING } from "./kernels/moving.js";
import { RANDOM } from "./kernels/random.js";
import { createDigest } from "./numbers.js";

/** Each table has a digest of its own. */
const TABLES = {
  kernels: ELEMENTWISE,
  "kernels that move": MOVING,
  "kernels of images": IMAGE_KERNELS,
  "kernels of chance": RANDOM,
  "kernels of gradients": GRADIENTS,
};

/** What steepest/graph exports beside operations. */
const NO_OPERATIONS = [
  "checkGradients",
  "compileFunction",
  "compileFunctionSync",
  "constant",
  "gradientDescent",
  "input",
  "numericalGradient",
  "parameter",
];

async function runCheck(check, graph, kit, digest) {
  const { inputs, values, wordInputs = {}, trace, want, tolerance = 4e-7, floor = 1 } = check;
  const words = Object.entries(wordInputs).map(([name, { shape, data }]) => [
    name,
    graph.input(shape, { name, dtype: "uint32" }),
    Uint32Array.from(data),
  ]);
  const shapes = { ...inputs, ...Object.fromEntries(words.map(([name, tensor]) => [name, tensor])) };
  const f = await graph.compileFunction((tensors) => ({ y: trace(graph, tensors) }), shapes, { engine: kit.engine });
  const { y } = f({ ...values, ...Object.fromEntries(words.map(([name, , data]) => [name, data])) });
  f.dispose();
  digest.add(y);
  check.verify?.(y);
  if (want === undefined) return;
  // Float64 takes longer than the kernels: once a process is enough.
  check.expected ??= want(values);
  const { expected } = check;
  expect(y.length === expected.length, `gave ${y.length} values instead of ${expected.length}`);
  const near = (value, i) =>
    Math.abs(value - expected[i]) <= tolerance * (Math.abs(expected[i]) + floor) || Object.is(value, expected[i]);
  const wrong = y.findIndex((value, i) => !near(value, i));
  expect(wrong < 0, `element ${wrong} is ${y[wrong]}, float64 gives ${expected[wrong]}`);
}

/** Checks all of them. Resolves to the digests of their results' bits. */
export async function checkKernels(graph, kit, checks) {
  const digests = {};
  for (const [table, rows] of Object.entries(TABLES)) {
    const digest = createDigest();
    for (const check of rows) {
      await checks.check(`${table}: ${check.name ?? check.operation}`, () => runCheck(check, graph, kit, digest));
    }
    digests[table] = digest.text();
  }
  await checks.check("kernels: every operation has a check", () => {
    const rows = Object.values(TABLES).flat();
    const known = new Set([...NO_OPERATIONS, ...rows.map(({ operation }) => operation)]);
    const missing = Object.keys(graph).filter((name) => !known.has(name));
    expect(missing.length === 0, `test/everywhere/suite/kernels has no row for ${missing.join(", ")}`);
  });
  return digests;
}
