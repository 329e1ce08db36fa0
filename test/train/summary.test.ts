// summary(): the layers by path, with those inside of them, and what a training takes.
import {
  adam,
  batchNorm,
  compileSync,
  crossEntropy,
  defineLayer,
  dense,
  functional,
  meanSquaredError,
  normal,
  relu,
  residual,
  sequential,
} from "steepest";
import { add } from "steepest/graph";
import { expect, test } from "vitest";

const lines = (text: string) => text.split("\n");
/** The lines between the two rules. */
const body = (text: string) =>
  lines(text).slice(
    2,
    lines(text).findLastIndex((line) => line.startsWith("─")),
  );

test("a chain: paths, output shapes, parameters and the bytes of a training", () => {
  using trainer = compileSync(sequential({ input: [784] }, dense(128, { name: "hidden" }), relu(), dense(10)), {
    loss: crossEntropy(),
    optimizer: adam(),
  });
  const text = trainer.summary({ batchSize: 64 });
  expect(lines(text)[0]).toBe("path    layer  output shape  parameters");
  expect(body(text)).toEqual([
    "        input  [784]",
    "hidden  dense  [128]            100,480",
    "1       relu   [128]                  0",
    "2       dense  [10]               1,290",
  ]);
  // Blocks are padded to 64 bytes a parameter: 4·(100352 + 128 + 1280 + 16) = 407104 bytes, and Adam keeps two.
  expect(text).toContain("101,770 parameters; planned for batches of 64: 3.5 MiB");
  expect(text).toMatch(
    /parameters 397.6 KiB, gradients 397.6 KiB, adam 795.1 KiB, copy to go back to 1.2 MiB, activations 29\d.\d KiB .*, scratch of one thread 512.0 KiB/,
  );
});

test("nested, shared and frozen layers, parameters of functions, several inputs and outputs", () => {
  const encoder = sequential(
    { input: [10], name: "encoder" },
    dense(16),
    batchNorm(),
    residual(dense(16, { name: "inner" }), relu()),
  );
  const outer = sequential({ input: [10], name: "outer" }, encoder, dense(4));
  const two = functional({ input: { a: [4], b: [4] }, name: "two" }, ({ a, b }, { apply }) => ({
    mean: apply(a, dense(2)),
    spread: apply(b, dense(3)),
  }));
  const shifted = defineLayer("shifted", (x, { parameter, apply }) => add(apply(x, dense(8)), parameter("shift", [8])));
  const model = functional({ input: { left: [10], right: [10] } }, ({ left, right }, { apply, parameter }) => {
    const [a, b] = [apply(left, encoder, dense(4)), apply(right, outer)];
    const { mean } = apply({ a: add(a, parameter("table", [4], normal())), b }, two);
    return apply(mean, shifted(), dense(1));
  });
  using trainer = compileSync(model, {
    loss: meanSquaredError(),
    optimizer: adam(),
    frozen: ["outer", "encoder.0"],
  });
  const text = trainer.summary();
  expect(body(text)).toEqual([
    "left                         input       [10]",
    "right                        input       [10]",
    "table                        parameter   [4]                            4",
    "encoder                      sequential  [16]                         480  176 frozen, 32 in buffers",
    "  encoder.0                  dense       [16]                         176  frozen",
    "  encoder.1                  batchNorm   [16]                          32  32 in buffers",
    "  encoder.2                  residual    [16]                         272",
    "    encoder.2.inner          dense       [16]                         272",
    "    encoder.2.1              relu        [16]                           0",
    "1                            dense       [4]                           68",
    "outer                        sequential  [4]                          548  244 frozen, 32 in buffers",
    "  outer.encoder              sequential  [16]                         480  176 frozen, 32 in buffers, shared with encoder",
    "    outer.encoder.0          dense       [16]                         176  frozen, shared with encoder.0",
    "    outer.encoder.1          batchNorm   [16]                          32  32 in buffers, shared with encoder.1",
    "    outer.encoder.2          residual    [16]                         272  shared with encoder.2",
    "      outer.encoder.2.inner  dense       [16]                         272  shared with encoder.2.inner",
    "      outer.encoder.2.1      relu        [16]                           0",
    "  outer.1                    dense       [4]                           68  frozen",
    "two                          functional  mean [2], spread [3]          25",
    "  two.0                      dense       [2]                           10",
    "  two.1                      dense       [3]                           15",
    "4                            shifted     [8]                           32",
    "  4.shift                    parameter   [8]                            8",
    "  4.0                        dense       [8]                           24",
    "5                            dense       [1]                            9",
  ]);
  // Shared layers count once: 4 + 480 + 68 + 68 + 25 + 32 + 9 in all.
  expect(text).toContain("442 parameters (and 244 frozen, 32 in buffers); planned for batches of 32");
  // Each path is one that parameters are addressed by.
  for (const path of trainer.parameters().keys()) expect(text).toContain(path.replace(/\.\w+$/, ""));
});

test("a step of several batches has its gradients twice: their sum, and those of the current batch", () => {
  const model = sequential({ input: [128] }, dense(128));
  const [one, several] = [1, 4].map((accumulate) => {
    using trainer = compileSync(model, { loss: meanSquaredError(), optimizer: adam(), accumulate });
    return Number(/gradients ([\d.]+) KiB/.exec(trainer.summary())?.[1]);
  });
  expect(several).toBe(2 * one);
});
