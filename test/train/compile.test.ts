// What compile() refuses, before anything is made: parts that do not fit each other, and what is no such part.
import * as S from "steepest";
import {
  binaryCrossEntropy,
  type CompileOptions,
  compile,
  compileSync,
  createEngineSync,
  crossEntropy,
  defineLayer,
  dense,
  functional,
  type Layer,
  type Loss,
  ModelError,
  meanSquaredError,
  relu,
  sequential,
  sgd,
} from "steepest";
import { argmax, customGradient, expandDims, mean, mul, square, sub, sum, type Tensor } from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const good = { loss: meanSquaredError(), optimizer: sgd(), engine };
const model = () => sequential({ input: [2] }, dense(1));

/** Refused by compile, with nothing left in the engine. */
function refused(message: RegExp | string, given: unknown, options: unknown = {}): void {
  const used = engine.allocator.usedBytes();
  const act = () =>
    compileSync(given as ReturnType<typeof model>, { ...good, ...(options as object) } as CompileOptions);
  expect(act).toThrow(ModelError);
  expect(act).toThrow(message);
  expect(engine.allocator.usedBytes()).toBe(used);
}

describe("an output that a loss, a metric or the backward pass cannot take", () => {
  const sequences = sequential({ input: [6, 4] }, S.conv1d(1, 1));
  test("crossEntropy needs [batch, …, classes], of at least two", () => {
    const remedy = "crossEntropy needs an output of [batch, …, classes] with at least 2 classes, got";
    refused(`compile: ${remedy} [batch, 6, 1]: end the model in dense(classes)`, sequences, { loss: crossEntropy() });
    refused(`compile: ${remedy} [batch, 6, 1]`, sequences, { loss: crossEntropy({ targets: "distributions" }) });
    refused(
      `compile: ${remedy} [batch, 1]: end the model in dense(classes), or use binaryCrossEntropy() for a yes or no`,
      model(),
      { loss: crossEntropy() },
    );
  });

  test("of a named output, by its name", () => {
    const two = functional({ input: [2] }, (x, { apply }) => ({ a: apply(x, dense(1)), b: apply(x, dense(3)) }));
    refused(/^compile: output "a": crossEntropy needs an output/, two, {
      loss: { a: crossEntropy(), b: crossEntropy() },
    });
    refused(/^compile: loss of "b" must be a loss such as crossEntropy\(\), got null/, two, {
      loss: { a: meanSquaredError(), b: null },
    });
    refused(/^compile: loss: unknown option "c": the options are a, b/, two, { loss: { a: 1, b: 1, c: 1 } });
    refused(/^compile: lossWeights: unknown option "c"/, two, {
      loss: { a: meanSquaredError(), b: meanSquaredError() },
      lossWeights: { c: 1 },
    });
  });

  test("what has no derivative, or a wrong one, anywhere between loss and parameters", () => {
    const hard = defineLayer("hard", (x) => mul(x, expandDims(mul(sum(square(x), 1), 1), 1)));
    compileSync(sequential({ input: [2] }, dense(3), hard()), good).dispose();
    const mine = (build: Loss["build"]): Loss => ({ ...meanSquaredError(), name: "mine", build });
    const through = (x: Tensor) =>
      customGradient(
        [x],
        (y) => mul(y, 2),
        (g) => sum(g),
      );
    refused(/^compile: customGradient: the gradient of input 0 must be \[2, 1\], got \[\]/, model(), {
      loss: mine((output, target) => mean(square(sub(through(output), target)))),
    });
    refused(
      /^compile: mine, of an output \[batch, 1\]: its build\(\) must give a scalar tensor, got float32 \[2, 1\]/,
      model(),
      {
        loss: mine((output, target) => square(sub(output, target))),
      },
    );
    refused(/its build\(\) must give a scalar tensor, got uint32 \[\]/, model(), {
      loss: mine((output) => argmax(sum(output, 1))),
    });
    refused(/its build\(\) must give a scalar tensor, got 5/, model(), { loss: mine(() => 5 as never) });
    refused(/its predict\(\) must give a tensor of the output's shape, got float32 \[\]/, model(), {
      loss: { ...meanSquaredError(), predict: (output: Tensor) => sum(output) },
    });
    refused(/must have a name, targets \(values, bits, .*\) and a reduction .*, got "mine", "rows", "mean"/, model(), {
      loss: { ...mine((output) => sum(output)), targets: "rows" },
    });
  });

  test("metrics that mean nothing there", () => {
    refused(/compile: meanSquaredError has no right and wrong, so no accuracy/, model(), { metrics: ["accuracy"] });
    refused(
      /compile: meanAbsoluteError compares values, but crossEntropy has classes/,
      sequential({ input: [2] }, dense(3)),
      {
        loss: crossEntropy(),
        metrics: ["meanAbsoluteError"],
      },
    );
    refused(/a metric must be one of .*, got "acc": write "accuracy"/, model(), {
      loss: binaryCrossEntropy(),
      metrics: ["acc"],
    });
  });
});

describe("what is no part, with what was probably meant", () => {
  test.each<[string, unknown, unknown, RegExp | string]>([
    [
      "a layer for a model",
      dense(1),
      {},
      "compile: must be given a model, got the layer dense(): make one with sequential",
    ],
    ["nothing for a model", undefined, {}, "compile: must be given a model, got undefined"],
    ["options for a model", {}, {}, "compile: must be given a model, got {}"],
    [
      "a loss by name",
      model(),
      { loss: "mse" },
      'compile: loss must be a loss such as crossEntropy(), got "mse": import what it names and call it',
    ],
    [
      "a loss that was not called",
      model(),
      { loss: meanSquaredError },
      "got the function meanSquaredError: call it, as meanSquaredError()",
    ],
    ["no loss", model(), { loss: undefined }, "compile: loss must be a loss such as crossEntropy(), got undefined"],
    [
      "an optimizer that was not called",
      model(),
      { optimizer: sgd },
      "compile: optimizer must be one such as adam(), got the function sgd: call it, as sgd()",
    ],
    ["an optimizer by name", model(), { optimizer: "adam" }, 'got "adam": import what it names and call it, as adam()'],
    ["no optimizer", model(), { optimizer: undefined }, "compile: optimizer must be one such as adam(), got undefined"],
    [
      "metrics by name",
      model(),
      { metrics: "accuracy" },
      'compile: metrics must be an array of names such as ["accuracy"], got "accuracy": write ["accuracy"]',
    ],
    [
      "frozen as one path",
      model(),
      { frozen: "0" },
      'compile: frozen must be an array of paths such as ["encoder"], got "0": write ["0"]',
    ],
    [
      "frozen as a number",
      model(),
      { frozen: [0] },
      "compile: frozen must name parameters, or layers and models of them, got 0: the parameters are 0.weight, 0.bias",
    ],
    [
      "weights of one loss",
      model(),
      { lossWeights: { a: 1 } },
      "lossWeights are for models of several outputs, got { a }: leave them out",
    ],
    [
      "a promise of an engine",
      model(),
      { engine: Promise.resolve() },
      "compile: engine must be one that createEngine() made, got a Promise: await it",
    ],
    ["no engine", model(), { engine: null }, "engine must be one that createEngine() made, got null"],
    [
      "threads beside an engine",
      model(),
      { threads: 3 },
      "compile: threads must be left out beside engine, which has its own, got 3",
    ],
    ["a learning rate", model(), { lr: 0.1 }, 'compile: unknown option "lr"'],
  ])("%s", (_, given, options, message) => refused(message, given, options));

  test("no options at all", async () => {
    await expect(compile(model(), null as never)).rejects.toThrow(
      /compile: options must be an object such as \{ loss: … \}/,
    );
    await expect(compile({} as never, {} as never)).rejects.toThrow(/compile: must be given a model, got \{\}/);
  });

  const first = { input: [2] } as const;
  test.each<[string, () => unknown, RegExp | string]>([
    [
      "a layer that was not called",
      () => sequential(first, dense(1), relu as unknown as Layer),
      "sequential: must be given layers such as dense(10), got the function relu: call it, as relu()",
    ],
    [
      "a layer by name",
      () => sequential(first, dense(1), "relu" as unknown as Layer),
      'got "relu": import what it names and call it, as relu()',
    ],
    [
      "a list of layers",
      () => sequential(first, [dense(1)] as unknown as Layer),
      /sequential: must be given layers such as dense\(10\), got \[.*\]: spread the list, as \.\.\.layers/,
    ],
    [
      "an undefined layer",
      () => sequential(first, dense(1), undefined as unknown as Layer),
      "got undefined: is it imported by its right name?",
    ],
    [
      "no options",
      () => (sequential as (...all: unknown[]) => unknown)(dense(1), relu()),
      "sequential: the first argument must be { input: shape }, got the layer dense()",
    ],
    [
      "a size for a shape",
      () => (sequential as (...all: unknown[]) => unknown)({ input: 2 }, dense(1)),
      "sequential: input must be the shape of one sample, like [784] or [28, 28], got 2: write [2]",
    ],
    [
      "Keras's shape",
      () => (sequential as (...all: unknown[]) => unknown)({ inputShape: [2] }, dense(1)),
      'sequential: unknown option "inputShape"',
    ],
    [
      "several inputs",
      () => (sequential as (...all: unknown[]) => unknown)({ input: { a: [1] } }, dense(1)),
      "sequential: input must be one shape, got { a }: several inputs take functional()",
    ],
    [
      "an activation as an option",
      () => dense(1, { activation: "relu" } as never),
      /dense: unknown option "activation".*: add it behind, as a layer of its own: relu\(\)/,
    ],
    [
      "an activation for options",
      () => dense(1, relu() as never),
      "dense: options must be an object, got the layer relu(): add it behind, as a layer of its own",
    ],
    [
      "an initializer that was not called",
      () => dense(1, { weightInitializer: S.zeros as never }),
      "dense: weightInitializer must be an initializer such as zeros(), got the function zeros: call it, as zeros()",
    ],
    [
      "an initializer by name",
      () => dense(1, { biasInitializer: "ones" as never }),
      'dense: biasInitializer must be an initializer such as zeros(), got "ones": import what it names',
    ],
    [
      "a strength for a regularizer",
      () => dense(1, { weightRegularizer: 0.1 as never }),
      "dense: weightRegularizer must be a regularizer such as l2(), got 0.1",
    ],
    ["a bias of 1", () => dense(1, { bias: 1 as never }), "dense: bias must be true or false, got 1"],
    [
      "options of a layer that has none",
      () => (S.softsign as (options: object) => Layer)({ beta: 2 }),
      "softsign: takes no such arguments, got { beta }: leave them out",
    ],
    [
      "a seed of an initializer that has none",
      () => (S.heNormal as (options: object) => unknown)({ seed: 1 }),
      "heNormal: takes no such arguments, got { seed }",
    ],
    [
      "an async function",
      () => functional(first, (async (x: Tensor) => x) as never),
      "functional: the function must return a tensor, or an object of them, got a Promise: it must not be async",
    ],
    [
      "layers for a function",
      () => functional(first, dense(1) as never),
      /functional: what makes the outputs of the inputs and a scope must be a function, got/,
    ],
    [
      "no tensor to apply to",
      () => functional(first, (_, { apply }) => apply(undefined as never, dense(1))),
      "functional: apply: must be given a tensor, got undefined",
    ],
    [
      "an object for a layer of one tensor",
      () => functional(first, (x, { apply }) => apply({ x } as never, dense(1))),
      "functional: apply: dense() takes one tensor, got an object with x: apply it to one of them",
    ],
    [
      "a layer whose build() gives nothing",
      () => sequential(first, { kind: "odd", build: () => undefined as never }),
      "odd 0: its build() must give { outputShape, parameters, apply }, got undefined",
    ],
    [
      "a layer that gives no tensor",
      () =>
        sequential(first, {
          kind: "odd",
          build: (_, outputShape) => ({ outputShape, parameters: [], apply: () => 5 as never }),
        }),
      "odd 0: its apply() must give a tensor, got 5",
    ],
    [
      "an update of a parameter",
      () =>
        functional(first, (x, { parameter, update }) => {
          update(parameter("p", [2]), x);
          return x;
        }),
      "update: must be given a buffer or a state, got p (parameter): make one with scope.buffer() or scope.state()",
    ],
    [
      "an update of another shape",
      () =>
        functional(first, (x, { buffer, update }) => {
          update(buffer("b", [2]), x);
          return x;
        }),
      "update: the new value of b must be float32 [2], got float32 [2, 2]",
    ],
    [
      "channels first",
      () => sequential({ input: [1, 28, 28] }, S.conv2d(8, 3)),
      /conv2d 0: the window must fit .*; channels come last here: is \[1, 28, 28\] meant to be \[28, 28, 1\]\? permute/,
    ],
  ])("%s", (_, act, message) => {
    expect(act).toThrow(ModelError);
    expect(act).toThrow(message);
  });
});
