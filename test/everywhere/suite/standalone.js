// Files that predict without the library (steepest/standalone): the bits of the trainer that they were made of, in both
// forms. standalone/make.js made them.
import { expect } from "./checks.js";
import { uniform } from "./numbers.js";

/** A process, a page or a worker runs the suite several times. The files know nothing of builds and threads. */
let seen = false;

/**
 * @param files The files, and what is to come out of them. Absent where they are not made.
 * @param kit `wasmOf`, which gives what a file whose module is beside it is loaded with; `compiles`, whether the runtime
 *   compiles bytes.
 */
export async function checkStandalone(files, { wasmOf, compiles = true }, checks) {
  if (seen) return;
  seen = true;
  if (!compiles) checks.skip("standalone files in one piece", "this runtime compiles no bytes");
  for (const file of files) {
    const { name, load, loadBeside } = file;
    if (compiles) await checks.check(`standalone ${name}`, async () => checkFile(await load(), file));
    await checks.check(`standalone ${name} with its .wasm beside it`, async () => {
      checkFile(await loadBeside(wasmOf(`${name}-beside`)), file);
    });
  }
}

function checkFile(predictor, { count, seed, rows, features, predicted, answers }) {
  if (rows === undefined) {
    const x = uniform(count, -1, 1, seed);
    expectBits(predictor.predict(x), predicted, "a prediction");
    x[1] = Number.NaN;
    expect(messageOf(() => predictor.predict(x)).includes("got NaN at index 1"), "NaN was taken");
    return;
  }
  const made = predictor.features(rows);
  expectBits(made, features, "a feature");
  expectBits(predictor.predict(made), predicted, "a prediction");
  const found = predictor.predictRows(rows);
  expect(JSON.stringify(found) === JSON.stringify(answers), `the answers are ${found}`);
}

/** `wanted`: the words in hexadecimal digits. */
function expectBits(values, wanted, what) {
  const words = wanted.split(" ");
  expect(values.length === words.length, `${values.length} values instead of ${words.length}`);
  const bits = new Uint32Array(values.buffer);
  const wrong = words.findIndex((word, index) => Number.parseInt(word, 16) !== bits[index]);
  expect(wrong < 0, `${what} has the bits ${bits[wrong]?.toString(16)} instead of ${words[wrong]} at index ${wrong}`);
}

function messageOf(work) {
  try {
    work();
  } catch (error) {
    return error.message;
  }
  return "";
}
