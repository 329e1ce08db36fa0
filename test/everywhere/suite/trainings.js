// The trainings whose every bit is compared. Each uses other layers, losses, initializers and optimizers: see trainings/.
import { expect } from "./checks.js";
import { createDigest, sameBits } from "./numbers.js";
import { describeChains } from "./trainings/chains.js";
import { describePictures } from "./trainings/images.js";
import { describeLosses } from "./trainings/losses.js";
import { describeGatesAndNoise, describeModels } from "./trainings/models.js";
import { describeOptimizers } from "./trainings/optimizers.js";
import { describeRecurrence } from "./trainings/recurrent.js";
import { BATCH, held, labels, x } from "./trainings/ways.js";
import { describeWorkspaces } from "./trainings/workspaces.js";

/** What steepest exports beside layers, losses, optimizers and initializers. */
const OTHERS = [
  ...["checkGradients", "compile", "compileSync", "createEngine", "createEngineSync"],
  ...["createWorkspace", "createWorkspaceSync", "gradientDescent", "learningRateAt", "numericalGradient"],
  ...["findLearningRate", "minimizeSync"],
  ...["DataError", "DivergenceError", "MemoryError", "ModelError", "SteepestError", "ThreadError"],
];

async function runTraining({ steepest, io }, training, kit) {
  const { model, options, parts, train } = training;
  const predict = training.predict ?? ((trainer) => trainer.predict(training.samples ?? x));
  const compileAgain = (seed) => steepest.compile(model, { ...options, seed, engine: kit.engine });
  const trainer = await compileAgain(7);
  const numbers = await train(trainer, 0, parts);
  const predictions = together(await predict(trainer));
  expect(predictions.every(Number.isFinite), "predictions are not finite");
  const digest = digestOf(numbers, predictions, trainer.parameters());
  if (io !== undefined) await checkSaving(io, trainer, await compileAgain(8), predict, predictions);
  trainer.dispose();
  // Half of the suite's time; whether several threads make the same bits is seen without it.
  if (kit.engine.threads > 1 || kit.brief) return digest;
  const resumed = await resume(io, training, predict, compileAgain);
  expect(resumed === digest, `its digest is ${digest}, and ${resumed} where it was stopped, saved and resumed`);
  return digest;
}

/** Predictions, of several outputs behind one another. */
function together(predictions) {
  if (predictions instanceof Float32Array) return predictions;
  return Float32Array.from(Object.values(predictions).flatMap((values) => [...values]));
}

/** The training in two halves: the second by another trainer, of another seed, from a checkpoint (its bytes, with io). */
async function resume(io, { parts, train }, predict, compileAgain) {
  const half = Math.ceil(parts / 2);
  const first = await compileAgain(7);
  const numbers = await train(first, 0, half);
  const checkpoint = first.checkpoint();
  const bytes = io?.encodeCheckpoint(checkpoint);
  first.dispose();
  const second = await compileAgain(8);
  second.restore(bytes === undefined ? checkpoint : io.decodeCheckpoint(bytes));
  numbers.push(...(await train(second, half, parts)));
  const digest = digestOf(numbers, together(await predict(second)), second.parameters());
  second.dispose();
  return digest;
}

/** Of what a training came to. */
function digestOf(numbers, predictions, parameters) {
  const digest = createDigest();
  for (const number of numbers) digest.add(number);
  digest.add(predictions);
  for (const { data } of parameters.values()) digest.add(data);
  return digest.text();
}

/** Weights that were saved and loaded have the same bits, and so has what they predict. */
async function checkSaving({ encodeWeights, decodeWeights }, trainer, fresh, predict, predictions) {
  decodeWeights(fresh, encodeWeights(trainer));
  for (const [path, { data }] of trainer.parameters()) {
    expect(sameBits(data, fresh.parameters().get(path).data), `"${path}" changed when it was saved and loaded`);
  }
  expect(sameBits(predictions, together(await predict(fresh))), "loaded weights predict something else");
  fresh.dispose();
}

/** A training in a workspace; where its models' parameters are all there is to it, in two halves besides. */
async function runWorkspace({ steepest }, training, kit) {
  const { models, open, parts, resumes } = training;
  const start = (seed) => steepest.createWorkspace({ seed, engine: kit.engine });
  const whole = await start(7);
  const digest = trainWorkspace(whole, training, open(whole), 0, parts);
  whole.dispose();
  if (!resumes) return digest;
  const [before, after] = [await start(7), await start(8)];
  const numbers = open(before).train(0, parts / 2);
  const rest = open(after);
  for (const model of models) after.setParameters(model, before.parameters(model));
  const resumed = trainWorkspace(after, training, rest, parts / 2, parts, numbers);
  for (const workspace of [before, after]) workspace.dispose();
  expect(resumed === digest, `its digest is ${digest}, and ${resumed} from parameters that another workspace had`);
  return digest;
}

function trainWorkspace(workspace, { models }, { train, compute }, begin, end, before = []) {
  const numbers = [...before, ...train(begin, end)];
  const computed = compute();
  expect(computed.every(Number.isFinite), "what it computes is not finite");
  const parameters = models.flatMap((model) => [...workspace.parameters(model)]);
  return digestOf(numbers, computed, new Map(parameters.map(([path, value], index) => [`${index} ${path}`, value])));
}

/** All trainings: those of trainers, and those in workspaces; those whose parts are brought together with the graph. */
function describeTrainings(steepest, graph) {
  return {
    trainers: {
      ...describeChains(steepest),
      ...describePictures(steepest),
      ...describeGatesAndNoise(steepest),
      ...describeOptimizers(steepest),
      ...describeLosses(steepest),
      ...describeRecurrence(steepest),
      ...(graph === undefined ? {} : describeModels(steepest, graph)),
    },
    workspaces: graph === undefined ? {} : describeWorkspaces(steepest, graph),
  };
}

/** Runs all; resolves to each one's digest. */
export async function runTrainings(modules, kit, checks) {
  const used = new Set();
  const watched = new Proxy(
    { ...modules.steepest },
    {
      get(exported, name) {
        used.add(name);
        return exported[name];
      },
    },
  );
  const { trainers, workspaces } = describeTrainings(watched, modules.graph);
  const digests = {};
  const run = async (name, work) => {
    const digest = await checks.check(`training: ${name}`, work);
    if (digest !== undefined) digests[name] = digest;
  };
  for (const [name, training] of Object.entries(trainers)) {
    await run(name, () => runTraining(modules, training, kit));
  }
  for (const [name, training] of Object.entries(workspaces)) {
    await run(name, () => runWorkspace(modules, training, kit));
  }
  if (modules.graph === undefined) checks.skip("trainings of branches", "without steepest/graph");
  else {
    await checks.check("trainings: every layer, loss, optimizer and initializer is in one", () => {
      const known = new Set([...used, ...OTHERS]);
      const missing = Object.keys(modules.steepest).filter((name) => !known.has(name));
      expect(missing.length === 0, `test/everywhere/suite/trainings has no training with ${missing.join(", ")}`);
    });
  }
  return digests;
}

/** The synchronous forms, where there are some, give the bits of the asynchronous ones. */
export async function checkSynchronous({ steepest, graph }, kit, digests, checks) {
  const name = "synchronous forms";
  if (!kit.synchronous) {
    checks.skip(name, "this runtime cannot load the kernels synchronously");
    return;
  }
  await checks.check(name, () => {
    const { model, options } = describeChains(steepest)["dropout and validation"];
    const trainer = steepest.compileSync(model, { ...options, seed: 7, build: kit.build });
    const validation = { x: held.x, y: held.labels };
    const results = trainer.fitSync({ x, y: labels }, { epochs: 2, batchSize: BATCH, validation });
    const numbers = results.flatMap(({ epoch, step, loss, accuracy, validation }) => {
      return [epoch, step, loss, accuracy, validation.loss, validation.accuracy];
    });
    const digest = digestOf(numbers, trainer.predictSync(x), trainer.parameters());
    trainer.dispose();
    expect(digest === digests["dropout and validation"], "the synchronous forms give other bits");
  });
  if (graph === undefined) return;
  await checks.check("a synchronous workspace", () => {
    const trainings = Object.entries(describeWorkspaces(steepest, graph));
    for (const [training, description] of trainings) {
      const workspace = steepest.createWorkspaceSync({ seed: 7, build: kit.build });
      const digest = trainWorkspace(workspace, description, description.open(workspace), 0, description.parts);
      workspace.dispose();
      expect(digest === digests[training], `"${training}" has other bits in it`);
    }
  });
}
