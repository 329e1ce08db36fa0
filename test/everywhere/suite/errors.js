// Mistakes give the documented classes, with messages that say what to do.
import { expect } from "./checks.js";
import { uniform } from "./numbers.js";

const x = uniform(12, -1, 1, 51);
const NAN = Float32Array.of(...x.subarray(0, 5), Number.NaN, ...x.subarray(6));

/** Each: what is done, the error's class, and its message. */
function describeMistakes({ steepest, graph, io }, trainer, gone) {
  const { adam, compile, createEngine, crossEntropy, dense, meanSquaredError, relu, sequential, sgd, softmax } =
    steepest;
  const { DataError, DivergenceError, ModelError, SteepestError } = steepest;
  const options = { loss: crossEntropy(), optimizer: adam() };
  const steep = async () => {
    const wild = sequential({ input: [4] }, dense(3));
    const diverging = await compile(wild, { loss: meanSquaredError(), optimizer: sgd({ learningRate: 1e20 }) });
    try {
      await diverging.trainSteps({ x, y: uniform(9, -1, 1, 52) }, { steps: 20 });
    } finally {
      diverging.dispose();
    }
  };
  const aborted = async () => {
    const signal = AbortSignal.abort(new DataError("stop"));
    for await (const _ of trainer.fit({ x, y: [0, 1, 2] }, { signal }));
  };
  return {
    "a layer that needs an axis": [
      () => sequential({ input: [] }, dense(10)),
      ModelError,
      "dense 0: input must be [batch, …, features], got [batch]: add reshape([1]) before it",
    ],
    "a softmax before crossEntropy()": [
      () => compile(sequential({ input: [4] }, dense(3), softmax()), options),
      ModelError,
      "compile: crossEntropy takes logits, but the model ends in softmax(): remove that layer, predict() applies it",
    ],
    "an unknown option": [
      () => compile(sequential({ input: [4] }, dense(3), relu()), { ...options, optimiser: adam() }),
      ModelError,
      'compile: unknown option "optimiser"',
    ],
    "no thread": [
      () => createEngine({ threads: 0 }),
      ModelError,
      "engine: threads must be a whole number from 1 to 64, got 0",
    ],
    "an unknown build": [() => createEngine({ build: "quick" }), ModelError, 'build must be "strict" or "fast"'],
    "samples of another length": [
      () => trainer.trainSteps({ x: x.subarray(0, 7), y: [0] }, { steps: 1 }),
      DataError,
      "x: must be samples of shape [4] (4 values each), got 7 values, which is no multiple of 4",
    ],
    "a label out of range": [
      () => trainer.trainBatch({ x, y: [0, 1, 3] }),
      DataError,
      "y: every label must be a whole number from 0 to 2, got 3 at index 2",
    ],
    "NaN in the data": [
      () => trainer.evaluate({ x: NAN, y: [0, 1, 2] }),
      DataError,
      "x: every value must be a finite float32, got NaN at index 5",
    ],
    divergence: [steep, DivergenceError, "call reset() and train with a smaller one, such as 10000000000000000000"],
    "an aborted fit": [aborted, DataError, "stop"],
    "a trainer that was disposed of": [
      () => gone.trainBatch({ x, y: [0, 1, 2] }),
      SteepestError,
      "trainer: it has been disposed of: compile the model again",
    ],
    ...(graph === undefined
      ? {}
      : {
          "matrices that do not fit": [
            () => graph.matmul(graph.input([2, 3]), graph.input([4, 5])),
            ModelError,
            "matmul: ",
          ],
        }),
    ...(io === undefined
      ? {}
      : {
          "a file that is none": [
            () => io.decodeWeights(trainer, Uint8Array.of(1, 2, 3), "mine"),
            io.FormatError,
            '"mine"',
          ],
        }),
  };
}

export async function checkErrors(modules, kit, checks) {
  const { compile, crossEntropy, dense, sequential, sgd } = modules.steepest;
  const open = () =>
    compile(sequential({ input: [4] }, dense(3)), { loss: crossEntropy(), optimizer: sgd(), engine: kit.engine });
  const [trainer, gone] = [await open(), await open()];
  gone.dispose();
  gone.dispose();
  const before = trainer.parameters().get("0.weight").data;
  for (const [name, [act, kind, message]] of Object.entries(describeMistakes(modules, trainer, gone))) {
    await checks.check(`errors: ${name}`, async () => {
      const error = await outcome(act);
      expect(error !== undefined, "nothing was thrown");
      expect(error instanceof kind, `threw ${error.name} instead of ${kind.name}: ${error.message}`);
      expect(error.message.includes(message), `says "${error.message}" instead of "${message}"`);
    });
  }
  await checks.check("errors: what was refused changed nothing", async () => {
    const after = trainer.parameters().get("0.weight").data;
    expect(
      after.every((value, i) => value === before[i]),
      "a weight changed",
    );
    expect(trainer.steps === 0, `${trainer.steps} steps were counted`);
    expect(Number.isFinite(await trainer.trainBatch({ x, y: [0, 1, 2] })), "it does not train any more");
  });
  trainer.dispose();
}

async function outcome(act) {
  try {
    await act();
    return undefined;
  } catch (error) {
    return error;
  }
}
