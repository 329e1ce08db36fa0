// Values made in another realm (by a test runner, in a frame, with node:vm) are taken as those of this one.
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";
import * as steepest from "steepest";
import * as graph from "steepest/graph";
import * as io from "steepest/io";
import { beforeAll, describe, expect, test } from "vitest";
import { bundle, createRealm, load } from "./bundle.js";

/** Copies values with the constructors of another realm: arrays, typed arrays, Maps, objects; what the package made is as it is. */
const foreign: <T>(value: T) => T = runInNewContext(`
  const own = { Float32Array, Float64Array, Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array };
  function foreign(value) {
    const kind = Object.prototype.toString.call(value).slice(8, -1);
    if (kind in own) return own[kind].from(value);
    if (kind === "Array") return Array.from(value, foreign);
    if (kind === "Map") return new Map(Array.from(value, ([key, one]) => [key, foreign(one)]));
    if (kind === "Object" && Object.getOwnPropertySymbols(value).length === 0) return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, foreign(one)]));
    return value;
  }
  foreign`);
const same = <T>(value: T): T => value;
type Pass = typeof same;

test("what it makes is of another realm", () => {
  for (const value of [[1], new Map(), { a: 1 }, new Float32Array(1), new Uint8Array(1)]) {
    const other: object = foreign(value);
    expect(other instanceof (value.constructor as new () => object)).toBe(false);
    expect(other.constructor.name).toBe(value.constructor.name);
  }
});

const x = Array.from({ length: 8 }, (_, i) => [i / 8, 1 - i / 4]);
const nested = { x, y: [0, 1, 0, 1, 1, 0, 1, 0] };
const typed = { x: Float64Array.from(x.flat()), y: Uint8Array.from(nested.y) };

const makeTrainer = (seed = 1) =>
  steepest.compileSync(steepest.sequential({ input: [2] }, steepest.dense(3), steepest.relu(), steepest.dense(2)), {
    loss: steepest.crossEntropy(),
    optimizer: steepest.adam(),
    seed,
  });
type Made = ReturnType<typeof makeTrainer>;

/** Everything of a trainer, as plain values. */
const stateOf = (trainer: Made) => trainer.checkpoint();

/** What each public function that takes Maps, typed arrays, nested arrays or objects makes of `pass`ed values. */
const uses: Record<string, (pass: Pass) => unknown> = {
  "constant, nested": (pass) =>
    graph.constant(
      pass([
        [1, 2],
        [3, 4],
      ]),
    ).shape,
  "constant, indices": (pass) => graph.constant(pass(Uint32Array.of(1, 2)), pass([2, 1])).dtype,
  compileFunction: async (pass) => {
    const f = await graph.compileFunction(
      ({ a, b, rows }) => ({
        y: graph.add(graph.mul(a, b), graph.parameter([3], steepest.ones(), "p")),
        z: graph.gather(a, rows, 0),
      }),
      pass({ a: [2, 3], b: [3], rows: graph.input([2], { dtype: "uint32" }) }),
      pass({ seed: 3 }),
    );
    f.setParameter("p", pass(Float32Array.of(1, 2, 3)));
    const { y, z } = f(
      pass({
        a: [
          [1, 2, 3],
          [4, 5, 6],
        ],
        b: Int8Array.of(1, 2, 3),
        rows: [1, 0],
      }),
    );
    f.dispose();
    return [y, z];
  },
  "shapes, axes and options": (pass) => {
    const t = graph.input(pass([2, 3, 4]), pass({ name: "t" }));
    return [
      graph.reshape(t, pass([6, 4])).shape,
      graph.transpose(t, pass([2, 0, 1])).shape,
      graph.sum(t, pass([0, 2]), pass({ keepDims: true })).shape,
      graph.concatenate(pass([t, t]), 1).shape,
      graph.broadcastTo(graph.input([4]), pass([3, 4])).shape,
      graph.tile(t, pass([1, 2, 1])).shape,
    ];
  },
  fit: async (pass) => {
    const trainer = makeTrainer();
    for await (const _ of trainer.fit(pass(nested), pass({ epochs: 2, batchSize: 3, validation: nested })));
    for (const _ of trainer.fitSync(pass(typed), pass({ batchSize: 3 })));
    return stateOf(trainer);
  },
  trainSteps: async (pass) => {
    const trainer = makeTrainer();
    const losses = [await trainer.trainSteps(pass(nested), pass({ steps: 4, batchSize: 4 }))];
    losses.push(trainer.trainStepsSync(pass(typed), pass({ steps: 4, batchSize: 4 })));
    return [losses, stateOf(trainer)];
  },
  "trainBatch and gradients": async (pass) => {
    const trainer = makeTrainer();
    return [
      await trainer.gradients(pass(nested)),
      await trainer.trainBatch(pass(typed)),
      trainer.trainBatchSync(pass(nested)),
    ];
  },
  "load, evaluate, predict": async (pass) => {
    const trainer = makeTrainer();
    const data = trainer.load(pass(typed));
    const { loss } = await trainer.evaluate(data);
    return [
      loss,
      await trainer.evaluate(pass(nested)),
      await trainer.predict(pass(x)),
      trainer.predictSync(pass(typed.x)),
    ];
  },
  "setParameters with a Map": (pass) => {
    const [trainer, other] = [makeTrainer(), makeTrainer(2)];
    other.setParameters(pass(trainer.parameters()));
    return other.parameters();
  },
  "setParameters with an object": (pass) => {
    const trainer = makeTrainer();
    trainer.setParameters(pass({ "0.bias": [1, 2, 3], "2.weight": new Float32Array(6).fill(4) }));
    return trainer.parameters();
  },
  restore: (pass) => {
    const [trainer, other] = [makeTrainer(), makeTrainer(2)];
    trainer.trainStepsSync(nested, { steps: 3 });
    other.restore(pass(trainer.checkpoint()));
    return stateOf(other);
  },
  workspace: (pass) => {
    const model = steepest.sequential(pass({ input: [2] }), steepest.dense(1));
    const workspace = steepest.createWorkspaceSync(pass({ seed: 1 }));
    const step = workspace.step(
      ({ x, y }, { apply }) => ({ loss: graph.mean(graph.square(graph.sub(apply(x, model), y))) }),
      pass({ inputs: { x: [8, 2], y: [8, 1] }, train: model, optimizer: steepest.sgd(pass({ learningRate: 0.1 })) }),
    );
    workspace.setParameters(model, pass(new Map([["0.bias", { data: Float32Array.of(2) }]])));
    return [step(pass({ x, y: typed.y })).loss, workspace.parameters(model)];
  },
  "models of several inputs": (pass) => {
    const model = steepest.functional(pass({ input: { a: [2], b: [1] } }), ({ a, b }, { apply }) => ({
      y: apply(graph.concatenate([a, b], 1), steepest.dense(1)),
    }));
    const trainer = steepest.compileSync(model, {
      loss: { y: steepest.meanSquaredError() },
      optimizer: steepest.sgd(),
    });
    const y = Float32Array.from(nested.y);
    return trainer.trainStepsSync(pass({ x: { a: x, b: y }, y: { y } }), { steps: 2 });
  },
  "layers' options": (pass) =>
    steepest.sequential(
      pass({ input: [8, 8, 1] }),
      steepest.conv2d(2, pass([3, 3]), pass({ stride: [1, 2] })),
      steepest.permute(pass([3, 1, 2])),
      steepest.reshape(pass([6, 6])),
    ).outputShape,
  checkGradients: async (pass) =>
    (
      await graph.checkGradients(
        ({ v }) => graph.square(v),
        pass({ at: { v: { shape: [2], values: Float32Array.of(1, 2) } } }),
      )
    ).passed,
  "gradientDescent and numericalGradient": (pass) => [
    steepest.gradientDescent(([a, b]) => a ** 2 + b ** 2, pass([1, 2]), pass({ steps: 3 })).x,
    steepest.numericalGradient(([a, b]) => a * b, pass(Float32Array.of(1, 2))),
  ],
  "weights and checkpoints as bytes": (pass) => {
    const [trainer, other] = [makeTrainer(), makeTrainer(2)];
    const bytes = io.encodeCheckpoint(pass(trainer.checkpoint()), pass({ note: "spring" }));
    other.restore(io.decodeCheckpoint(pass(bytes)));
    io.decodeWeights(other, pass(io.encodeWeights(trainer, pass({ a: "b" }))));
    return [bytes, stateOf(other)];
  },
  safetensors: (pass) => {
    const bytes = io.encodeSafetensors(
      pass({ a: { shape: [2, 1], data: Float32Array.of(1, 2) }, b: { shape: [2], data: Uint8Array.of(3, 4) } }),
    );
    return [bytes, io.decodeSafetensors(pass(bytes)).tensors];
  },
  parseIdx: (pass) => io.parseIdx(pass(Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 5, 6))),
  "files that do not exist yet": async (pass) => {
    const folder = await mkdtemp(join(tmpdir(), "steepest-realms-"));
    try {
      const path = join(folder, "new.bin");
      await io.writeFileAtomic(path, pass(Uint8Array.of(1, 2, 3)));
      return Array.from(await io.readFileBytes(path));
    } finally {
      await rm(folder, { recursive: true });
    }
  },
};

test.each(Object.entries(uses))("%s", async (_, use) => {
  const right = await use(same);
  expect(right).toBeDefined();
  expect(await use(foreign)).toEqual(right);
});

describe("the package in another realm than what it is given", () => {
  let elsewhere: ReturnType<typeof load>;
  beforeAll(async () => {
    elsewhere = load(await bundle(), createRealm());
  });

  test("trains with, takes and saves what is of this one", async () => {
    const make = (of: typeof elsewhere, seed: number) =>
      of.compile(of.sequential({ input: [2] }, of.dense(2)), { loss: of.crossEntropy(), optimizer: of.adam(), seed });
    const [one, two] = [await make(elsewhere, 1), await make(elsewhere, 2)];
    await one.trainSteps(typed, { steps: 2 });
    two.setParameters(new Map(one.parameters()));
    two.restore(elsewhere.io.decodeCheckpoint(io.encodeCheckpoint(one.checkpoint())));
    expect([...two.parameters().values()].map((value) => Array.from(value.data))).toEqual(
      [...one.parameters().values()].map((value) => Array.from(value.data)),
    );
    // The errors of the file system are of this realm.
    const folder = await mkdtemp(join(tmpdir(), "steepest-realms-"));
    try {
      const path = join(folder, "new.safetensors");
      await elsewhere.io.saveWeights(one, path);
      await elsewhere.io.loadWeights(two, path);
      await expect(elsewhere.io.readFileBytes(`${path}-missing`)).rejects.toThrow("no such file or folder");
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

const root = fileURLToPath(new URL("../../", import.meta.url));
const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => [
    name.replaceAll("\\", "/"),
    readFileSync(join(root, "src", name), "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, ""),
  ]);

test("the source asks for no class of one realm or copy", () => {
  const allowed: Record<string, string> = {
    DataError: "asks for what it is marked with: src/engine/errors.ts",
    DivergenceError: "the same",
    FormatError: "the same",
    MemoryError: "the same",
    ModelError: "the same",
    SteepestError: "the same",
    ThreadError: "the same",
    BitsError: "the same",
    MissingError: "the same",
    EngineCall: "made and looked at by one driver: src/train/job.ts",
    Waiting: "the same",
    CopyBack: "the same",
    Element: "the same: src/data/flow.ts",
    SourceGone: "the same: src/train/sourceSteps.ts",
    Unsupported: "the same: src/keras/network.ts",
    UsageError: "of the command line, which is one program",
    CommanderError: "the same",
    Refusal: "the same",
    OverloadError: "the same",
    DedicatedWorkerGlobalScope: "asked of the realm's own global object",
  };
  expect(sources.length).toBeGreaterThan(80);
  for (const [file, source] of sources) {
    for (const [found, name] of source.matchAll(/instanceof\s+([\w.]+)/g)) {
      expect(Object.keys(allowed), `${file}: ${found}: kindOf() knows values of every realm`).toContain(name);
    }
    expect(source.match(/(?<!typeof [\w.]*)\.constructor\s*[!=]==.*/)?.[0], file).toBeUndefined();
  }
});

test("the source takes timers and the clock from src/engine/host.ts", () => {
  // A date that is made of a number asks no clock.
  const timers =
    /\b(setTimeout|setInterval|setImmediate|clearTimeout|queueMicrotask|requestAnimationFrame|MessageChannel|nextTick|Date\.now|new Date(?!\([^)]))\b/;
  for (const [file, source] of sources) {
    if (file === "engine/host.ts") continue;
    // What Node's modules give is no global that a test replaces.
    const imported = [...source.matchAll(/import \{([^}]*)\} from "node:\w+";/g)].flatMap(([, names]) =>
      names.split(/\W+/),
    );
    const found = [...source.matchAll(new RegExp(timers, "g"))].map(([name]) => name);
    expect(
      found.filter((name) => !imported.includes(name)),
      `${file}: import them from engine/host.js`,
    ).toEqual([]);
    const usesClock = /\bperformance\./.test(source);
    const importsClock = /import \{[^}]*\bperformance\b[^}]*\} from "[./a-z]*\/host\.js"/.test(source);
    expect(!usesClock || importsClock, `${file}: import performance from engine/host.js`).toBe(true);
  }
});
