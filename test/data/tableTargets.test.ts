// Tables with several targets: all numbers, or all of two classes; side by side in the samples, and back from predictions.
import { adam, binaryCrossEntropy, compile, dense, meanSquaredError, sequential } from "steepest";
import { csvRows, fitTable, type Label, readCsv, type TableOptions, table, tableTransformFrom } from "steepest/data";
import { describe, expect, expectTypeOf, test } from "vitest";

const rows = Array.from({ length: 60 }, (_, i) => ({
  x: i % 7,
  z: (i * 11) % 13,
  sum: (i % 7) + ((i * 11) % 13),
  far: 1000 + 50 * (i % 7) - 20 * ((i * 11) % 13),
  over: (i % 7) + ((i * 11) % 13) > 9,
  odd: i % 2,
  kind: ["a", "b", "c"][i % 3],
}));
const drop = { over: "drop", odd: "drop", kind: "drop" } as const;
const numbers = { target: ["sum", { column: "far", as: "numbers" }], columns: drop } as const;
const flags = { target: ["over", "odd"], columns: { sum: "drop", far: "drop", kind: "drop" }, seed: 2 } as const;

/** Mean and standard deviation of all rows. */
function moments(of: "sum" | "far", among: readonly (typeof rows)[number][]): readonly [number, number] {
  const mean = among.reduce((total, row) => total + row[of], 0) / among.length;
  return [mean, Math.sqrt(among.reduce((total, row) => total + (row[of] - mean) ** 2, 0) / among.length)];
}

describe("numbers", () => {
  test("stand side by side, each scaled by the training part, and go back", () => {
    const data = table(rows, { ...numbers, time: "x", parts: { training: 0.5, test: 0.5 } });
    expectTypeOf(data.training.y).toEqualTypeOf<Float32Array>();
    expectTypeOf(data.transform.decode).returns.toEqualTypeOf<Label[][]>();
    // The parts are in the order of x, and rows of one x in their own.
    const sorted = rows.map((row, at) => ({ row, at })).sort((a, b) => a.row.x - b.row.x || a.at - b.at);
    const inOrder = sorted.map(({ row }) => row);
    const training = inOrder.slice(0, 30);
    const [sum, far] = [moments("sum", training), moments("far", training)];
    const wanted = (row: (typeof rows)[number]) => [(row.sum - sum[0]) / sum[1], (row.far - far[0]) / far[1]];
    expect(data.training.y.length).toBe(60);
    training.flatMap(wanted).forEach((value, at) => {
      expect(data.training.y[at]).toBeCloseTo(value, 5);
    });
    inOrder
      .slice(30)
      .flatMap(wanted)
      .forEach((value, at) => {
        expect(data.test.y[at]).toBeCloseTo(value, 5);
      });
    const back = data.transform.decode(data.test.y);
    expect(back.map((row) => row.map((one) => Math.round(Number(one))))).toEqual(
      inOrder.slice(30).map((row) => [row.sum, row.far]),
    );
    expect([data.classes, data.targets, data.inputShape]).toEqual([[], ["sum", "far"], [2]]);
    expect(data.summary()).toMatch(/^sum +target +0 +0 … 18 +numbers, standard$/m);
    expect(data.summary()).toMatch(/^far +target +0 .* +numbers, standard$/m);
  });

  test("are what a trainer takes, and its predictions go back to their units", async () => {
    const data = table(rows, { ...numbers, parts: { training: 0.8, test: 0.2 }, seed: 1 });
    const trainer = await compile(sequential({ input: data.inputShape }, dense(2)), {
      loss: meanSquaredError(),
      optimizer: adam({ learningRate: 0.1 }),
      seed: 1,
    });
    await trainer.fit(data.training, { epochs: 80, batchSize: 8 });
    const fresh = [
      { x: 2, z: 3 },
      { x: 6, z: 10 },
    ];
    const [first, second] = data.transform.decode(await trainer.predict(data.transform.transform(fresh)));
    expect(Math.abs(Number(first[0]) - 5)).toBeLessThan(0.1);
    expect(Math.abs(Number(first[1]) - 1040)).toBeLessThan(3);
    expect(Math.abs(Number(second[0]) - 16)).toBeLessThan(0.1);
    expect(Math.abs(Number(second[1]) - 1100)).toBeLessThan(3);
    trainer.dispose();
  });

  test("of whole numbers with few values are numbers, as no loss takes several classes of each", () => {
    const { training } = table(rows, { target: ["x", "z"], columns: { ...drop, sum: "drop", far: "number" } });
    expect(new Set(training.y).size).toBeGreaterThan(7);
  });

  test("one in a list is a row of one", () => {
    const { transform, training } = table(rows, { target: ["far"], columns: { ...drop, sum: "drop" } });
    expect(transform.decode(training.y)[0]).toHaveLength(1);
    expect(transform.targets).toEqual(["far"]);
  });

  test("batches, samples and JSON have the same", async () => {
    const text = ["x,z,sum,far", ...rows.map(({ x, z, sum, far }) => `${x},${z},${sum},${far}`)].join("\n");
    const data = await readCsv(text, { target: ["sum", "far"] });
    const transform = await fitTable(csvRows(text), { target: ["sum", "far"] });
    expectTypeOf(transform.decode).returns.toEqualTypeOf<Label[][]>();
    const all = transform.samples(rows);
    const y: number[] = [];
    for await (const batch of transform.batches(csvRows(text), { batchSize: 7 })) y.push(...batch.y);
    expect(y).toEqual([...all.y]);
    const json = JSON.stringify(data.transform);
    const again = tableTransformFrom<true>(JSON.parse(json));
    expect(JSON.stringify(again)).toBe(json);
    expect(again.decode(data.test.y)).toEqual(data.transform.decode(data.test.y));
    expect(again.targets).toEqual(["sum", "far"]);
  });
});

describe("two classes each", () => {
  test("are 0 and 1, and labels again", async () => {
    const data = table(rows, flags);
    expect(new Set(data.training.y)).toEqual(new Set([0, 1]));
    const { y } = data.transform.samples(rows);
    expect([...y]).toEqual(rows.flatMap(({ over, odd }) => [Number(over), odd]));
    expect(data.transform.decode(y)).toEqual(rows.map(({ over, odd }) => [String(over) === "true", odd]));
    expect(data.transform.decode([0.49, 0.5, 0.8, 0.1])).toEqual([
      [false, 1],
      [true, 0],
    ]);
    expect(data.transform.decode([0.49, 0.5], { threshold: 0.4 })).toEqual([[true, 1]]);
    expect(data.classes).toEqual([]);
    const trainer = await compile(sequential({ input: data.inputShape }, dense(2)), {
      loss: binaryCrossEntropy(),
      optimizer: adam({ learningRate: 0.1 }),
      seed: 1,
    });
    await trainer.fit(data.training, { epochs: 60, batchSize: 8 });
    const said = data.transform.decode(await trainer.predict(data.transform.transform(rows)));
    expect(said.filter(([over], at) => over === rows[at].over).length).toBeGreaterThan(54);
    trainer.dispose();
  });

  test("each part has its share of each combination", () => {
    const counts = (y: Float32Array) => {
      const all = new Map<string, number>();
      for (let at = 0; at < y.length; at += 2) {
        const key = `${y[at]}${y[at + 1]}`;
        all.set(key, (all.get(key) ?? 0) + 1);
      }
      return all;
    };
    const { first, second, transform } = table(rows, { ...flags, parts: { first: 0.5, second: 0.5 } });
    for (const [key, count] of counts(transform.samples(rows).y)) {
      expect(Math.abs((counts(first.y).get(key) ?? 0) - count / 2)).toBeLessThanOrEqual(1);
      expect(Math.abs((counts(second.y).get(key) ?? 0) - count / 2)).toBeLessThanOrEqual(1);
    }
  });
});

test("a row without one of them is refused, or left out", () => {
  const holes = rows.map((row, at) => ({
    ...row,
    ...(at % 6 === 1 ? { sum: null } : at % 6 === 4 ? { far: "" } : {}),
  }));
  expect(() => table(holes, numbers)).toThrow('table: column "sum": each row must have a target, got null in row 2');
  const data = table(holes, { ...numbers, missingTarget: "drop" });
  expect(data.training.y.length + data.validation.y.length + data.test.y.length).toBe(80);
  const none = rows.map((row, at) => (at % 2 === 0 ? { ...row, sum: "" } : { ...row, far: "" }));
  expect(() => table(none, { ...numbers, missingTarget: "drop" })).toThrow(
    'table: a row must have all targets, got none in the columns "sum", "far"',
  );
});

test.each<[options: object, message: string]>([
  [{ target: [] }, "table: target must name 1 to 10000 columns, got 0"],
  [{ target: ["sum", "sum"] }, 'table: target must name each column once, got "sum" twice'],
  [{ target: ["sum", 7] }, "table: target[1] must be the name of a column, got 7"],
  [{ target: ["sum", { column: "far", is: 1 }] }, 'table: target[1]: unknown option "is"'],
  [{ target: ["sum", "fair"] }, 'table: target must name a column, got "fair"'],
  [{ target: ["sum", "far"], weights: "far" }, 'table: weights must be a column of their own, got "far"'],
  [
    { target: ["sum", "over"] },
    'must be all numbers or all classes, got numbers of "sum" and classes of "over": say it',
  ],
  [{ target: ["odd", "sum"] }, 'must be all numbers or all classes, got numbers of "sum" and classes of "odd": say it'],
  [{ target: ["over", "kind"] }, 'must be numbers or have two classes, got 3 classes of "kind": take it as numbers'],
])("%j is refused", (options, message) => {
  expect(() => table(rows, options as TableOptions)).toThrow(message);
});

test("predictions of another number of targets, and changed JSON, are refused", () => {
  const { transform } = table(rows, numbers);
  expect(() => transform.decode([1, 2, 3])).toThrow(
    "decode: the predictions must be 2 numbers for each row, one for each target, got 3",
  );
  expect(() => transform.decode([1, 2], { threshold: 0.5 })).toThrow("takes threshold of two classes");
  const changed = (change: (target: { [field: string]: unknown }[]) => void) => {
    const json = JSON.parse(JSON.stringify(table(rows, flags).transform));
    change(json.target);
    return () => tableTransformFrom(json);
  };
  expect(changed(() => undefined)().targets).toEqual(["over", "odd"]);
  expect(changed((target) => target.splice(0))).toThrow("tableTransformFrom: target must be what toJSON() gives");
  expect(changed((target) => Object.assign(target[1], { name: "over" }))).toThrow(
    'target.name must be what toJSON() gives, got "over"',
  );
  expect(changed((target) => Object.assign(target[1], { classes: [0, 1, 2] }))).toThrow("target[1].classes must be");
  expect(changed((target) => Object.assign(target[0], { classes: 7 }))).toThrow("target[0].classes must be");
  expect(
    changed((target) => target.splice(1, 1, { name: "far", type: "numbers", decimal: "plain", offset: 0, scale: 1 })),
  ).toThrow("target[1].type must be");
});
