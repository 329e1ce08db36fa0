// What is taken as samples, and as what: everything else is refused before anything is trained.
import {
  compile,
  compileSync,
  createEngine,
  createEngineSync,
  crossEntropy,
  DataError,
  dense,
  flatten,
  functional,
  meanSquaredError,
  sequential,
  sgd,
} from "steepest";
import { add } from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const options = { loss: meanSquaredError(), optimizer: sgd(), engine };
const pairs = compileSync(sequential({ input: [1] }, dense(2)), options);
const rows = compileSync(sequential({ input: [2] }, dense(1)), options);
const images = compileSync(sequential({ input: [2, 3] }, flatten(), dense(1)), options);
const classes = compileSync(sequential({ input: [2] }, dense(3)), { ...options, loss: crossEntropy() });
const named = compileSync(
  functional({ input: { a: [2], b: [1] } }, ({ a, b }, { apply }) => {
    return { p: apply(a, dense(1)), q: apply(add(apply(a, dense(2)), apply(b, dense(2))), dense(2)) };
  }),
  { ...options, loss: { p: meanSquaredError(), q: meanSquaredError() } },
);
afterAll(() => {
  for (const trainer of [pairs, rows, images, classes, named]) trainer.dispose();
});

const scoreOf = (trainer: { evaluateSync(data: never): { loss: number } }, data: unknown): number =>
  trainer.evaluateSync(data as never).loss;

describe("targets nested in another way than samples are refused, whatever their number", () => {
  const x = [[1], [2], [3]];
  const right = [
    [1, 4],
    [2, 5],
    [3, 6],
  ];

  test.each([
    [
      "transposed",
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      /y: must be \[3, 2\], .* got nested arrays of shape \[2, 3\]: transpose them/,
    ],
    ["one value a row", [[1], [2], [3], [4], [5], [6]], /got nested arrays of shape \[6, 1\]$/],
    ["all in one row", [[1, 2, 3, 4, 5, 6]], /got nested arrays of shape \[1, 6\]$/],
    ["typed rows, transposed", [Float32Array.of(1, 2, 3), Float32Array.of(4, 5, 6)], /of shape \[2, 3\]: transpose/],
  ])("%s", (_, y, message) => {
    expect(() => scoreOf(pairs, { x, y })).toThrow(DataError);
    expect(() => scoreOf(pairs, { x, y })).toThrow(message);
  });

  test("flat ones, rows and typed rows are the same", () => {
    const loss = scoreOf(pairs, { x, y: right });
    expect(scoreOf(pairs, { x, y: right.flat() })).toBe(loss);
    expect(scoreOf(pairs, { x, y: right.map((row) => Float64Array.from(row)) })).toBe(loss);
  });

  test("labels may stand in rows of one", () => {
    const data = {
      x: [
        [1, 2],
        [3, 4],
      ],
      y: [2, 0],
    };
    expect(scoreOf(classes, { ...data, y: [[2], [0]] })).toBe(scoreOf(classes, data));
    expect(() => scoreOf(classes, { ...data, y: [[2, 0]] })).toThrow(/y: must be \[2\]/);
  });
});

describe("fields beside x and y are refused, and known habits named", () => {
  const data = { x: [[1, 2]], y: [1] };
  test.each([
    [{ ...data, sampleWeight: [1] }, /unknown field "sampleWeight": call it weights, and compile with weights: true/],
    [{ ...data, sample_weight: [1] }, /unknown field "sample_weight": call it weights, and compile with weights: true/],
    [{ ...data, input_shape: [2] }, /unknown field "input_shape": call it inputShape/],
    [{ ...data, order: [0] }, /unknown field "order": leave it out/],
    [{ ...data, epochs: 3 }, /unknown field "epochs": options are a second argument/],
    [{ x: [[1, 2]], labels: [1] }, /unknown field "labels": call it y/],
    [{ inputs: [[1, 2]], y: [1] }, /unknown field "inputs": call it x/],
    [{ x: [[1, 2]] }, /data: must be an object with x and y, got \{ x \}: y is missing/],
    [{}, /got \{ {2}\}: x is missing/],
    [undefined, /data: must be an object with x and y, got nothing: hand in \{ x, y \}/],
    [null, /got null/],
    [Float32Array.of(1, 2), /got a Float32Array of 2: hand in \{ x, y \}, and options behind it/],
    [new Map([["x", [1, 2]]]), /got a Map/],
    ["mnist", /got "mnist"/],
    [[], /must have at least one sample, got an empty list/],
    [[data, 3], /data\[1\]: must be an object with x and y, got 3/],
    [
      [{ ...data, weight: 1 }],
      /data\[0\]: must be \{ x, y, weights \}, got an unknown field "weight": call it weights/,
    ],
  ])("%j", (given, message) => {
    for (const act of [
      () => rows.evaluateSync(given as never),
      () => rows.fitSync(given as never),
      () => rows.trainStepsSync(given as never, { steps: 1 }),
      () => rows.trainBatchSync(given as never),
      () => rows.gradientsSync(given as never),
      () => rows.load(given as never),
    ]) {
      expect(act).toThrow(DataError);
      expect(act).toThrow(message);
    }
    expect(rows.steps).toBe(0);
  });

  test("targets in the place of options are told where they belong", () => {
    const fit = rows.fitSync as (...all: unknown[]) => unknown;
    expect(() => fit(Float32Array.of(1, 2), Float32Array.of(1), { epochs: 2 })).toThrow(
      /fit: options must be an object .*, got a Float32Array of 1: inputs and targets go into one object, as fit\(\{ x, y \}, \{ … \}\)/,
    );
  });

  test("data of another trainer are told by what load() gave, not by a field's name", () => {
    using data = rows.load({ x: [[1, 2]], y: [1] });
    expect(() => pairs.evaluateSync(data as never)).toThrow(/these were loaded by another trainer/);
    expect(() => rows.load(data as never)).toThrow(/got some that are in memory already/);
    expect(() => rows.trainFor(1, { x: [[1, 2]], y: [1] } as never)).toThrow(
      /must be what load\(\) gave, got \{ x, y \}/,
    );
    expect(Object.keys(data)).toEqual(expect.arrayContaining(["count", "bytes"]));
  });
});

describe("samples in lists", () => {
  const x = [
    [1, 2],
    [3, 4],
    [5, 6],
  ];
  const y = [1, 2, 3];

  test("typed arrays, one a sample, whatever its axes", () => {
    const typed = x.map((row) => Float32Array.from(row));
    expect(scoreOf(rows, { x: typed, y })).toBe(scoreOf(rows, { x, y }));
    expect(rows.predictSync(typed)).toEqual(rows.predictSync(x));
    expect(rows.predictSync(x.map((row) => Uint8Array.from(row)))).toEqual(rows.predictSync(x));
    const image = [0, 1, 2, 3, 4, 5];
    const flat = images.predictSync([image, image].flat());
    expect(images.predictSync([Float64Array.from(image), Float64Array.from(image)])).toEqual(flat);
    expect(images.predictSync([Float32Array.from(image).subarray(0, 3), Float32Array.from(image).subarray(3)])).toEqual(
      images.predictSync(image),
    );
    expect(() => rows.predictSync([new Float32Array(3), new Float32Array(3)])).toThrow(
      /x: must be samples of shape \[2\], got nested arrays of shape \[2, 3\]/,
    );
    expect(() => rows.predictSync([new Float32Array(2), new Float32Array(3)])).toThrow(
      /x: every row must be a typed array of 2, got a Float32Array of 3/,
    );
  });

  test("objects { x, y }, one a sample", () => {
    const list = x.map((row, index) => ({ x: row, y: y[index] }));
    expect(scoreOf(rows, list)).toBe(scoreOf(rows, { x, y }));
    expect(rows.trainBatchSync(list)).toBeCloseTo(scoreOf(rows, { x, y }) || 0, -10);
    using loaded = rows.load(list);
    expect(loaded.count).toBe(3);
    const typed = x.map((row, index) => ({ x: Float32Array.from(row), y: [y[index]] }));
    expect(scoreOf(rows, typed)).toBe(scoreOf(rows, { x, y }));
    // Two values, that are no two samples.
    expect(() =>
      scoreOf(rows, [
        { x: 1, y: 1 },
        { x: 2, y: 1 },
      ]),
    ).toThrow(/x: must have the 2 samples in the list, each of shape \[2\], got 1/);
    expect(() => scoreOf(rows, [{ x: [1, 2], y: [1, 2] }])).toThrow(/y: must have 1 value for each of the 1 samples/);
  });

  test("rows of named inputs and outputs", () => {
    const all = { x: { a: x, b: y }, y: { p: y, q: x } };
    const loss = scoreOf(named, all);
    const inputs = x.map((a, index) => ({ a, b: y[index] }));
    const outputs = x.map((q, index) => ({ p: y[index], q }));
    expect(scoreOf(named, { x: inputs, y: outputs })).toBe(loss);
    expect(
      scoreOf(
        named,
        inputs.map((input, index) => ({ x: input, y: outputs[index] })),
      ),
    ).toBe(loss);
    expect(named.predictSync(inputs as never)).toEqual(named.predictSync({ a: x, b: y }));
    expect(() => named.predictSync([...inputs, { a: [1, 2] }] as never)).toThrow(
      /x\[3\]: must be an object with a, b, got \{ a \}/,
    );
  });
});

describe("what holds no numbers is named, with what makes numbers of it", () => {
  test.each([
    [["cat", "dog"], /y: every entry must be a number, got "cat": number the classes, as names\.indexOf\(name\)/],
    [["1", "2"], /got "1": convert it with Number\(\)/],
    [[true, false], /got true: convert it with Number\(\), to 1 and 0/],
    [[1n, 2n], /got 1n: convert it with Number\(\)/],
    [[1, undefined], /got undefined: leave out samples with missing values/],
    [BigInt64Array.of(1n, 2n), /got a BigInt64Array of 2: convert it with Float64Array\.from\(values, Number\)/],
    [new ArrayBuffer(8), /got an ArrayBuffer: look at it as numbers, as new Float32Array\(buffer\)/],
    [new Set([1, 2]), /got a Set: use Array\.from\(\)/],
    [[{ price: 1, size: 2 }, {}], /got an object of price, size: make an array of it, as \[row\.price, row\.size\]/],
  ])("%o", (y, message) => {
    expect(() =>
      scoreOf(rows, {
        x: [
          [1, 2],
          [3, 4],
        ],
        y,
      }),
    ).toThrow(message);
  });
});

// ES2024, which the compiler is not told of.
type Resizable = ArrayBuffer & { resize(bytes: number): void };
type ResizableMaker = new (bytes: number, options: { maxByteLength: number }) => Resizable;

describe("buffers that are gone", () => {
  const gone = () => {
    const values = Float32Array.of(1, 2, 3, 4);
    structuredClone(values.buffer, { transfer: [values.buffer] });
    return values;
  };
  const shrunk = () => {
    const buffer = new (ArrayBuffer as unknown as ResizableMaker)(16, { maxByteLength: 16 });
    const values = new Float32Array(buffer, 8, 2);
    buffer.resize(4);
    return values;
  };

  test.each([
    ["transferred", gone],
    ["made smaller", shrunk],
  ])("%s: refused by name", (_, values) => {
    const message = /x: its buffer was transferred to another thread, or was made smaller: hand in a copy/;
    expect(() => rows.predictSync(values())).toThrow(DataError);
    expect(() => rows.predictSync(values())).toThrow(message);
    expect(() => rows.predictSync([values(), values()])).toThrow(message);
    expect(() => rows.load({ x: values(), y: [1] })).toThrow(message);
    expect(() => rows.predictSync(new Float32Array(0))).toThrow(/got none: an empty data set cannot be used/);
  });

  test.each([
    ["transferred", (buffer: Resizable) => void structuredClone(buffer, { transfer: [buffer] })],
    ["made smaller", (buffer: Resizable) => buffer.resize(1 << 20)],
  ])("%s after the call, where the background reads later: refused, and nothing is trained", async (_, change) => {
    using busy = await createEngine({ background: true });
    using trainer = await compile(sequential({ input: [2] }, dense(1)), { ...options, engine: busy });
    const before = trainer.parameters();
    const count = 1 << 20;
    const buffer = new (ArrayBuffer as unknown as ResizableMaker)(count * 8, { maxByteLength: count * 8 });
    const y = new Float32Array(count);
    const steps = trainer.trainSteps({ x: new Float32Array(buffer), y }, { steps: 1, batchSize: 32 });
    change(buffer);
    await expect(steps).rejects.toThrow(/x: its buffer was transferred or made smaller while it was being read/);
    expect(trainer.steps).toBe(0);
    expect(trainer.parameters()).toEqual(before);
  });
});
