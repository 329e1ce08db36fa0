// Columns of a table in order, and columns that say how much rows count.
import { adam, compileSync, crossEntropy, dense, sequential } from "steepest";
import { table, tableTransformFrom } from "steepest/data";
import { describe, expect, test } from "vitest";

const columnOf = (data: { columns: readonly { name: string }[] }, of: string) =>
  data.columns.find(({ name }) => name === of);

describe("values in their order, and weights", () => {
  const sizes = ["small", "medium", "large"];
  const rows = Array.from({ length: 30 }, (_, at) => {
    const size = at === 4 ? null : sizes[(at * at) % 3];
    return { at, size, weight: at % 5, y: at % 2 };
  });
  const columns = { at: "drop", size: { ordinal: sizes, scale: "none", indicator: true } } as const;
  const options = { target: "y", weights: "weight", time: "at", columns, parts: { training: 0.5, test: 0.5 } } as const;

  test("are one feature from 0, and samples have what each row counts; after JSON too", async () => {
    const data = table(rows, options);
    expect(data.features).toEqual(["size", "size (missing)"]);
    // Of 0² … 14² modulo 3 ten are 1, "medium": the most frequent.
    const wanted = rows.flatMap(({ at }) => (at === 4 ? [1, 1] : [(at * at) % 3, 0]));
    expect([...data.training.x, ...data.test.x]).toEqual(wanted);
    const weights = rows.map(({ weight }) => weight);
    expect([...(data.training.weights ?? []), ...(data.test.weights ?? [])]).toEqual(weights);
    expect(data.columns.find(({ name }) => name === "weight")).toMatchObject({ type: "weights", values: "0 … 4" });
    expect(columnOf(data, "size")).toMatchObject({ type: "category", becomes: "2 features, in order, not scaled" });
    const same = tableTransformFrom(JSON.parse(JSON.stringify(data.transform)));
    expect(same.samples(rows)).toEqual({
      x: Float32Array.from(wanted),
      y: expect.anything(),
      weights: Float32Array.from(weights),
    });
    for await (const batch of same.batches(rows, { batchSize: 30 })) expect(batch).toEqual(same.samples(rows));
    using trainer = compileSync(sequential({ input: data.inputShape }, dense(2)), {
      loss: crossEntropy(),
      optimizer: adam(),
      weights: true,
    });
    await trainer.fit(data.training, { validation: data.test });
    expect(
      table(rows, { ...options, weights: undefined, columns: { ...columns, weight: "drop" } }).training,
    ).not.toHaveProperty("weights");
  });

  test("are refused where they are wrong", () => {
    const one = (size: unknown, weight: unknown) => [
      ...rows.slice(0, 9),
      { ...rows[9], size, weight },
      ...rows.slice(10),
    ];
    const fails = (list: readonly object[], more: object, message: string) =>
      expect(() => table(list as never, { ...options, ...more } as never)).toThrow(message);
    fails(
      one("huge", 1),
      {},
      'table: column "size": each value must be one of "small", "medium", "large", got "huge" in row 10: name it in its place',
    );
    for (const weight of [-1, null]) {
      fails(
        one("small", weight),
        {},
        `table: column "weight": each weight must be a number, 0 or more, got ${weight} in row 10`,
      );
    }
    fails(rows, { target: ["y", "at"] }, "several targets must be all numbers or all classes");
    fails(rows, { weights: "wait" }, 'weights must name a column, got "wait"');
    fails(rows, { weights: "y" }, 'weights must be a column of their own, got "y"');
    const of = (size: object) => ({ columns: { at: "drop", size } });
    fails(rows, of({ ordinal: ["small"] }), "ordinal must be two different values or more");
    fails(rows, of({ ordinal: sizes, oneHot: true }), "a column in order takes");
    fails(
      rows,
      of({ ordinal: sizes, missing: { value: "huge" } }),
      'missing must have one of "small", "medium", "large"',
    );
    fails(rows, of({ ordinal: sizes, missing: "category" }), "missing must be one of");
    const filled = table(rows, {
      ...options,
      ...of({ ordinal: sizes, scale: "none", missing: { value: "large" } }),
    } as typeof options);
    expect(filled.training.x[4]).toBe(2);
    const { transform } = table(rows, options);
    expect(() => tableTransformFrom({ ...transform.toJSON(), weights: "y" })).toThrow(
      "tableTransformFrom: weights must be what toJSON() gives",
    );
  });
});
