// Reports over a trainer's answers: they are those over arrays of the same answers, whatever parts the data come in.
import {
  binaryCrossEntropy,
  compileSync,
  createEngineSync,
  crossEntropy,
  dense,
  flatten,
  functional,
  globalAveragePool,
  sequential,
} from "steepest";
import { classificationReport, confusionMatrix } from "steepest/metrics";
import { afterAll, describe, expect, test } from "vitest";

const engine = createEngineSync();
afterAll(() => engine.dispose());

// Two whole parts and some more.
const COUNT = 2 * 1024 + 3;
const classOf = (i: number) => (i * i + (i >> 3)) % 3;
const answers = Array.from({ length: COUNT }, (_, i) => classOf(i));
const y = Array.from({ length: COUNT }, (_, i) => (i % 5 === 0 ? (i >> 2) % 3 : classOf(i)));
const weights = Array.from({ length: COUNT }, (_, i) => 1 + (i % 7));
const rows = answers.map((answer) => [0, 1, 2].map((one) => Number(one === answer)));
const plain = (report: object) => JSON.parse(JSON.stringify(report));

/** It answers what comes in. */
function echo(options: object = {}) {
  const trainer = compileSync(sequential({ input: [3] }, dense(3, { bias: false })), {
    ...{ loss: crossEntropy(), engine },
    ...options,
  });
  trainer.setParameters({ "0.weight": Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1) });
  return trainer;
}

describe("the answers to data", () => {
  const flat = Float32Array.from(rows.flat());
  const list = (more: (i: number) => object = () => ({})) => rows.map((x, i) => ({ x, y: y[i], ...more(i) }));

  test.each<[string, object]>([
    ["nested", { x: rows, y }],
    ["flat", { x: flat, y: Uint8Array.from(y) }],
    ["a list", list()],
    ["distributions", { x: flat, y: y.map((label) => [0, 1, 2].map((one) => (one === label ? 0.8 : 0.1))) }],
  ])("%s: all parts, each sample once", async (_, data) => {
    using trainer = echo();
    expect(plain(await classificationReport(trainer, data as never))).toEqual(plain(classificationReport(answers, y)));
    expect((await confusionMatrix(trainer, data as never)).matrix).toEqual(confusionMatrix(answers, y).matrix);
  });

  test.each<[string, object]>([
    ["with the arrays", { x: flat, y, weights }],
    ["in a list", list((i) => ({ weights: weights[i] }))],
  ])("weights %s", async (_, data) => {
    using trainer = echo({ weights: true });
    const { matrix } = await confusionMatrix(trainer, data as never);
    expect(matrix).toEqual(confusionMatrix(answers, y, { weights }).matrix);
  });

  test("what is ignored does not count, though it is most of a part", async () => {
    using trainer = echo();
    const targets = y.map((label, i) => (i < 1030 ? -1 : label));
    const { matrix } = await confusionMatrix(trainer, { x: flat, y: targets } as never, { ignoreIndex: -1 });
    expect(matrix).toEqual(confusionMatrix(answers.slice(1030), y.slice(1030)).matrix);
  });

  test("of equal scores the first is the answer", async () => {
    using trainer = echo();
    const x = [
      [1, 1, 0],
      [0, 2, 2],
    ];
    const { matrix } = await confusionMatrix(trainer, { x, y: [0, 1] }, { labels: ["a", "b", "c"] });
    expect(matrix).toEqual([
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 0],
    ]);
  });

  test("by position, with the weight of each sample for all of its positions", async () => {
    const model = sequential({ input: [2, 3] }, dense(3, { bias: false }));
    using trainer = compileSync(model, { loss: crossEntropy(), weights: true, engine });
    trainer.setParameters({ "0.weight": Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1) });
    const x = Float32Array.from([0, 1, 2, 1].flatMap((answer) => [0, 1, 2].map((one) => Number(one === answer))));
    const { matrix } = await confusionMatrix(trainer, { x, y: [0, 2, 2, 1], weights: [5, 7] });
    expect(matrix).toEqual(confusionMatrix([0, 1, 2, 1], [0, 2, 2, 1], { weights: [5, 5, 7, 7] }).matrix);
    const each = await confusionMatrix(trainer, { x, y: [0, 2, 2, 1], weights: [5, 6, 7, 8] } as never);
    expect(each.matrix).toEqual(confusionMatrix([0, 1, 2, 1], [0, 2, 2, 1], { weights: [5, 6, 7, 8] }).matrix);
  });

  test("a yes from the threshold on, and a target from one half on", async () => {
    using trainer = compileSync(sequential({ input: [1] }, dense(1, { bias: false })), {
      ...{ loss: binaryCrossEntropy(), engine },
    });
    trainer.setParameters({ "0.weight": Float32Array.of(1) });
    // The probability of 0 is one half.
    const data = { x: [[-3], [0], [3], [0]], y: [0, 1, 1, 0.5] };
    const at = async (threshold: number) => (await confusionMatrix(trainer, data, { threshold })).matrix;
    expect((await confusionMatrix(trainer, data)).matrix).toEqual([
      [1, 0],
      [0, 3],
    ]);
    expect(await at(0.6)).toEqual([
      [1, 0],
      [2, 1],
    ]);
  });

  test("of one of several outputs, with inputs that have names", async () => {
    const model = functional({ input: { a: [3], b: [1] } }, ({ a, b }, { apply }) => ({
      kind: apply(a, dense(3, { bias: false })),
      other: apply(b, dense(2)),
    }));
    using trainer = compileSync(model, { loss: { kind: crossEntropy(), other: crossEntropy() }, engine });
    const path = [...trainer.parameters().keys()].find((one) => trainer.parameters().get(one)?.data.length === 9);
    trainer.setParameters({ [path as string]: Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1) });
    const all = { kind: y, other: y.map((label) => label % 2) };
    const data = { x: { a: flat, b: new Float32Array(COUNT) }, y: all };
    const { matrix } = await confusionMatrix(trainer, data as never, { output: "kind" });
    expect(matrix).toEqual(confusionMatrix(answers, y).matrix);
    const named = rows.map((a, i) => ({ x: { a, b: [0] }, y: { kind: y[i], other: 0 } }));
    expect((await confusionMatrix(trainer, named as never, { output: "kind" })).matrix).toEqual(matrix);
  });

  test("of inputs of another shape, and of bytes with their scale", async () => {
    const warned: string[] = [];
    const warn = ({ code }: { code: string }) => void warned.push(code);
    const model = sequential({ input: [2, 2, 1] }, globalAveragePool(), flatten(), dense(2));
    using trainer = compileSync(model, { loss: crossEntropy(), engine, warn });
    const [weight, bias] = [...trainer.parameters().keys()];
    // The second class from a mean of one half on.
    trainer.setParameters({ [weight as string]: Float32Array.of(0, 1), [bias as string]: Float32Array.of(0.5, 0) });
    const x = Uint8Array.of(9, 9, 9, 9, 9, 9, 99, 99, 99, 99, 99, 99);
    const data = { x, y: [0, 1], inputShape: [2, 3, 1], scale: 1 / 100 } as const;
    const whole = [
      [1, 0],
      [0, 1],
    ];
    expect((await confusionMatrix(trainer, data as never)).matrix).toEqual(whole);
    const { matrix } = await confusionMatrix(trainer, { ...data, scale: 0, offset: 1 } as never);
    expect(matrix).toEqual([
      [0, 1],
      [0, 1],
    ]);
    expect(warned).toEqual([]);
  });
});
