// Each warning: what provokes it, and what does not.
import {
  adam,
  binaryCrossEntropy,
  compileSync,
  constantValue,
  createEngineSync,
  crossEntropy,
  dense,
  flatten,
  functional,
  meanSquaredError,
  negativeLogLikelihood,
  type Optimizer,
  relu,
  reshape,
  type Samples,
  sequential,
  sgd,
  sigmoid,
  softmax,
  type Warning,
  zeros,
} from "steepest";
import { watchTraining } from "steepest/diagnostics";
import { add } from "steepest/graph";
import { afterAll, describe, expect, test, vi } from "vitest";

const engine = createEngineSync();
afterAll(() => engine.dispose());

/** The codes of the warnings of `compile`. */
function codesOf(layers: readonly unknown[], loss: unknown): string[] {
  const codes: string[] = [];
  const model = sequential({ input: [4] }, ...(layers as [ReturnType<typeof relu>]));
  const warn = ({ code }: Warning) => void codes.push(code);
  compileSync(model, { loss: loss as ReturnType<typeof crossEntropy>, optimizer: adam(), warn, engine }).dispose();
  return codes;
}

describe("at compile", () => {
  test("softmax or sigmoid before a loss that includes it, whatever shapes are between", () => {
    const all = [reshape([3, 1, 1]), flatten()];
    expect(codesOf([dense(3), softmax(), ...all], crossEntropy())).toEqual(["softmax-before-logits"]);
    expect(codesOf([dense(3), softmax(), ...all], negativeLogLikelihood())).toEqual(["softmax-before-logits"]);
    expect(codesOf([dense(3), sigmoid(), ...all], binaryCrossEntropy())).toEqual(["softmax-before-logits"]);
    expect(codesOf([dense(3), ...all], crossEntropy())).toEqual([]);
    expect(codesOf([dense(3), sigmoid(), ...all], binaryCrossEntropy({ from: "probabilities" }))).toEqual([]);
    expect(codesOf([dense(3), softmax(), dense(3), ...all], crossEntropy())).toEqual([]);
  });

  test("warnings go to the console, once for each code, or nowhere", () => {
    const spy = vi.spyOn(console, "warn").mockImplementation(() => {});
    const model = sequential({ input: [4] }, dense(3), softmax(), reshape([3, 1]), flatten());
    const make = (more: object) =>
      compileSync(model, { loss: crossEntropy(), optimizer: adam(), engine, ...more }).dispose();
    make({ warn: false });
    expect(spy).not.toHaveBeenCalled();
    make({});
    make({});
    expect(spy.mock.calls).toEqual([
      [
        "steepest: compile: crossEntropy takes logits, but they have been through softmax(), and only changed their shape since: remove softmax(), predict() applies it (softmax-before-logits)",
      ],
    ]);
    spy.mockRestore();
  });
});

describe("bytes without the scale that those before had", () => {
  const y = [0, 1];
  const bytes = Uint8Array.of(0, 60, 120, 255, 9, 8, 7, 6);
  const scale = 1 / 255;
  const make = () => {
    const told: Warning[] = [];
    const warn = (warning: Warning) => void told.push(warning);
    const model = sequential({ input: [4] }, dense(2));
    return { told, trainer: compileSync(model, { loss: crossEntropy(), optimizer: adam(), engine, warn }) };
  };
  type Made = ReturnType<typeof make>["trainer"];

  test.each<[string, (trainer: Made) => unknown]>([
    ["a training", (one) => one.fit({ x: bytes, y, scale }, { epochs: 1 })],
    ["a step", (one) => one.trainBatchSync({ x: bytes, y, offset: -1 })],
    ["an evaluation", (one) => one.evaluateSync({ x: bytes, y, scale })],
    ["data in memory", (one) => one.load({ x: bytes, y, scale }).dispose()],
    ["a prediction", (one) => one.predictSync(bytes, { scale })],
    ["a stream", (one) => one.fit(() => [{ x: bytes, y, scale }], { epochs: 1 })],
  ])("after %s: one warning a trainer, whatever comes then", async (_, before) => {
    const { trainer, told } = make();
    await before(trainer);
    expect(told).toEqual([]);
    // What has a scale, or is no bytes, is right.
    trainer.predictSync(bytes, { scale: 1 });
    trainer.predictSync(Float32Array.from(bytes));
    expect(told).toEqual([]);
    trainer.predictSync(bytes);
    expect(told.map(({ code }) => code)).toEqual(["bytes-unscaled"]);
    trainer.evaluateSync({ x: bytes, y });
    await trainer.predict(bytes);
    expect(told).toHaveLength(1);
    trainer.dispose();
  });

  test.each<[string, (trainer: Made) => unknown]>([
    ["predict: x", (one) => one.predict(bytes)],
    ["data: x", (one) => one.evaluate({ x: bytes, y })],
    ["data: x", (one) => one.evaluate([{ x: bytes.subarray(0, 4), y: 0 }])],
    ["data: x", (one) => one.trainBatchSync({ x: bytes, y })],
    ["data: x", (one) => one.load({ x: bytes, y }).dispose()],
    ["validation: x", (one) => one.fit({ x: bytes, y, scale }, { epochs: 1, validation: { x: bytes, y } })],
  ])("%s says so", async (where, after) => {
    const { trainer, told } = make();
    await trainer.fit({ x: bytes, y, scale, offset: -0.5 }, { epochs: 1 });
    await after(trainer);
    const lost = where.startsWith("validation") ? 0 : -0.5;
    expect(told).toEqual([
      {
        code: "bytes-unscaled",
        message: `${where} is bytes without scale and offset, but those before had scale 0.00392157 and offset ${lost}`,
        remedy: "give these the same: predict(x, { scale, offset }), evaluate({ x, y, scale, offset })",
      },
    ]);
    trainer.dispose();
  });

  test("a step that skips the look at its batch has been looked at before", () => {
    const { trainer, told } = make();
    const batch = { x: bytes, y: Uint32Array.of(0, 1) };
    trainer.trainBatchSync(batch);
    trainer.trainBatchSync(batch);
    trainer.trainBatchSync({ ...batch, scale });
    expect(told).toEqual([]);
    trainer.trainBatchSync(batch);
    expect(told).toHaveLength(1);
    trainer.dispose();
  });

  test("bytes that never had one, or the plain one, are right; `warn: false` tells nobody", () => {
    const spy = vi.spyOn(console, "warn").mockImplementation(() => {});
    const { trainer, told } = make();
    trainer.evaluateSync({ x: bytes, y, scale: 1, offset: 0 });
    trainer.predictSync(bytes);
    trainer.trainBatchSync({ x: bytes, y });
    expect(told).toEqual([]);
    trainer.dispose();
    const silent = compileSync(sequential({ input: [4] }, dense(2)), { loss: crossEntropy(), engine, warn: false });
    silent.evaluateSync({ x: bytes, y, scale });
    silent.predictSync(bytes);
    expect(spy).not.toHaveBeenCalled();
    silent.dispose();
    spy.mockRestore();
  });

  test("each of several inputs is known by itself", () => {
    const told: string[] = [];
    const warn = ({ message }: Warning) => void told.push(message.split(" is bytes")[0]);
    const model = functional({ input: { picture: [4], mask: [4] } }, ({ picture, mask }, { apply }) =>
      apply(add(picture, mask), dense(2)),
    );
    const trainer = compileSync(model, { loss: crossEntropy(), engine, warn });
    const x = { picture: bytes, mask: bytes };
    const all = trainer.predictSync(x, { scale: { picture: scale } });
    trainer.predictSync({ ...x, picture: Float32Array.from(bytes, (byte) => byte / 255) });
    expect(told).toEqual([]);
    // The scale of the one says nothing of the other.
    trainer.predictSync(x, { offset: { mask: 1 } });
    expect(told).toEqual(["predict: x.picture"]);
    const floats = {
      picture: Float32Array.from(bytes, (byte) => byte * Math.fround(scale)),
      mask: Float32Array.from(bytes),
    };
    expect(trainer.predictSync(floats)).toEqual(all);
    trainer.dispose();
  });
});

const count = 64;
const wave = (i: number) => Math.sin(12.9898 * i) * Math.cos(4.1414 * i * i);
const x = Float32Array.from({ length: count * 4 }, (_, i) => wave(i + 1));
const labels = Array.from({ length: count }, (_, i) => (x[4 * i] + x[4 * i + 1] > 0 ? 1 : 0));
const values = Float32Array.from({ length: count }, (_, i) => x[4 * i] - 0.5 * x[4 * i + 2]);

interface Fit {
  readonly layers?: readonly unknown[];
  readonly loss?: unknown;
  readonly optimizer?: Optimizer;
  readonly data?: Pick<Samples, "x" | "y">;
  readonly validation?: Pick<Samples, "x" | "y">;
  readonly epochs?: number;
}

/** The codes of the warnings of a fit, and the first message of each. */
async function warningsOf(fit: Fit): Promise<Record<string, string>> {
  const { layers = [dense(8), relu(), dense(2)], loss = crossEntropy(), data = { x, y: labels } } = fit;
  const { optimizer = adam({ learningRate: 0.003 }), validation, epochs = 4 } = fit;
  const found: Record<string, string> = {};
  const warn = ({ code, message }: Warning) => {
    found[code] = message;
  };
  const model = sequential({ input: [4] }, ...(layers as [ReturnType<typeof relu>]));
  const trainer = compileSync(model, { loss: loss as ReturnType<typeof crossEntropy>, optimizer, seed: 1, engine });
  try {
    const options = { warn, samples: 32, ...(validation === undefined ? {} : { validation }) };
    await trainer.fit(data, { epochs, callbacks: [watchTraining(trainer, data, options)] });
  } finally {
    trainer.dispose();
  }
  return found;
}

const slow: Pick<Fit, "optimizer"> = { optimizer: sgd({ learningRate: 1e-9 }) };
const many = Array.from({ length: 12 }, () => [dense(8), sigmoid()]).flat();

describe("while a fit goes on", () => {
  test.each<[string, Fit]>([
    ["classes", {}],
    ["values", { layers: [dense(8), relu(), dense(1)], loss: meanSquaredError(), data: { x, y: values } }],
    ["other samples for validation", { validation: { x: x.map((value) => -value), y: labels } }],
  ])("nothing is said of a training that goes well: %s", async (_, fit) => {
    expect(await warningsOf(fit)).toEqual({});
  });

  test.each<[code: string, Fit, message: string]>([
    ["inputs-unscaled", { data: { x: x.map((value) => 255 * value), y: labels } }, "x holds values as large as 25"],
    [
      "inputs-unscaled",
      { data: { x: x.map((value, i) => (i % 4 === 0 ? 1e-5 : 1) * value), y: labels } },
      "x has features from ",
    ],
    [
      "targets-unscaled",
      { layers: [dense(1)], loss: meanSquaredError(), data: { x, y: values.map((value) => 1000 * value) } },
      "y holds values as large as ",
    ],
    ["targets-constant", { data: { x, y: labels.map(() => 1) } }, "y is the same for 64 samples"],
    [
      "validation-in-training",
      { validation: { x: x.slice(8 * 4, 24 * 4), y: labels.slice(8, 24) } },
      "16 of 16 samples for validation are among those of training, as sample 0",
    ],
    [
      "dead-relus",
      { layers: [dense(8, { biasInitializer: constantValue(-9) }), relu(), dense(2)] },
      'layer "1": 8 of 8 units gave 0 for all of 32 samples',
    ],
    ["vanishing-gradients", { layers: [...many, dense(2)] }, 'the gradient of "0.weight" is '],
    [
      "exploding-gradients",
      {
        layers: [dense(8, { weightInitializer: constantValue(1e-7) }), dense(8), dense(8), dense(2)],
        optimizer: sgd({ learningRate: 1e-12 }),
      },
      "the gradient of ",
    ],
    ["rate-too-large", { optimizer: sgd({ learningRate: 50 }) }, "a step changes weights by about "],
    ["rate-too-small", slow, "a step changes weights by about "],
    ["loss-not-moving", { ...slow, layers: [dense(8), relu(), dense(2)] }, "the loss has been 0."],
    [
      "loss-at-chance",
      { ...slow, layers: [dense(8), relu(), dense(2, { weightInitializer: zeros() })] },
      "the loss stays at 0.693, that of 2 classes by chance (ln 2)",
    ],
  ])("%s", async (code, fit, message) => {
    const found = await warningsOf(fit);
    expect(Object.keys(found)).toContain(code);
    expect(found[code]).toContain(message);
  });

  test("named inputs and outputs, and data that do not fit, are read by name", async () => {
    using trainer = compileSync(sequential({ input: [4] }, dense(2)), {
      loss: crossEntropy(),
      optimizer: adam(),
      engine,
    });
    expect(() => watchTraining(trainer, { x: [], y: [] })).toThrow(
      "watchTraining: there must be at least one sample, got []",
    );
    expect(() => watchTraining({} as never, { x, y: labels })).toThrow("watchTraining: must be given a trainer");
    expect(() => watchTraining(trainer, { x, y: labels }, { warn: "no" } as never)).toThrow("warn");
  });

  test("nothing changes in the training", async () => {
    const train = async (watched: boolean) => {
      using trainer = compileSync(sequential({ input: [4] }, dense(8), relu(), dense(2)), {
        loss: crossEntropy(),
        optimizer: adam(),
        engine,
      });
      const data = { x, y: labels };
      const callbacks = watched ? [watchTraining(trainer, data, { warn: false })] : [];
      await trainer.fit(data, { epochs: 3, callbacks });
      return [...trainer.parameters()];
    };
    expect(await train(true)).toEqual(await train(false));
  });
});
