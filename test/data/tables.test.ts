// Tables: what columns are found to be, what they become, parts, and predictions; learned from the training part alone.

import { parquetWriteBuffer } from "hyparquet-writer";
import {
  csvRows,
  readCsv,
  readJsonLines,
  readParquet,
  readTable,
  type TableOptions,
  table,
  tableTransformFrom,
} from "steepest/data";
import { describe, expect, test } from "vitest";
import { randomNumbers } from "../../src/engine/randomNumbers.js";

const csv = (header: string, row: (i: number) => string, count = 40) =>
  [header, ...Array.from({ length: count }, (_, i) => row(i))].join("\n");

/** One column next to a target of two classes. */
function oneColumn(values: readonly unknown[], column?: unknown, options: object = {}) {
  const rows = Array.from({ length: 40 }, (_, i) => ({ v: values[i % values.length], y: i % 2 === 0 ? "a" : "b" }));
  const columns = column === undefined ? {} : { v: column };
  return table(rows, { target: "y", columns, ...options } as TableOptions);
}

const columnOf = (data: { columns: readonly { name: string }[] }, name = "v") =>
  data.columns.find((column) => column.name === name);

describe("types are found", () => {
  test.each<[what: string, values: unknown[], type: string, features: string[]]>([
    ["numbers", ["1", "-2.5", "+3e2", ".5", "4."], "number", ["v"]],
    ["numbers of JSON", [1, 2.5, 3n, null], "number", ["v"]],
    ["numbers with what is missing", ["1", "", "NA", " ? ", "NaN", "2"], "number", ["v"]],
    ["flags", ["yes", "no", "Yes"], "boolean", ["v"]],
    ["flags of JSON", [true, false, null], "boolean", ["v"]],
    ["categories", ["red", "green", " red "], "category", ["v=green", "v=red"]],
    ["categories, some numbers", ["1a", "2", "b"], "category", ["v=1a", "v=2", "v=b"]],
    ["categories with what is missing", ["red", "", "green"], "category", ["v=green", "v=red", "v (missing)"]],
    [
      "days",
      ["2024-01-31", "2024/2/1"],
      "date",
      ["v year", "v month sin", "v month cos", "v dayOfWeek sin", "v dayOfWeek cos"],
    ],
    [
      "times",
      ["2024-01-31T12:30:00Z", "2024-02-01 08:00"],
      "date",
      ["v year", "v month sin", "v month cos", "v dayOfWeek sin", "v dayOfWeek cos", "v hour sin", "v hour cos"],
    ],
    [
      "days of Parquet",
      [new Date("2024-01-31"), new Date("2024-02-01")],
      "date",
      ["v year", "v month sin", "v month cos", "v dayOfWeek sin", "v dayOfWeek cos"],
    ],
  ])("%s", (_, values, type, features) => {
    const data = oneColumn(values);
    expect(columnOf(data)).toMatchObject({ type });
    expect(data.features).toEqual(features);
    expect(data.inputShape).toEqual([features.length]);
    expect(data.training.x).toHaveLength(28 * features.length);
    expect(data.training.x.every(Number.isFinite)).toBe(true);
  });

  test("texts and columns without values are left out, and say so", () => {
    const rows = Array.from({ length: 40 }, (_, i) => ({ id: `user ${i}`, none: "", n: i, y: i % 2 }));
    const data = table(rows, { target: "y" });
    expect(data.features).toEqual(["n"]);
    expect(data.summary()).toBe(
      [
        "column  type    missing  values        becomes",
        "id      text          0  40 different  left out: hash it, or take it as a category",
        "none    empty        40  0 different   left out",
        "n       number        0  0 … 39        1 feature, standard (a number of the row? drop it)",
        "y       target        0  0 20, 1 20    2 classes",
        "40 rows: 28 training, 6 validation, 6 test; 1 feature",
      ].join("\n"),
    );
  });

  test.each<[what: string, values: unknown[], message: string]>([
    ["infinite", ["1", "1e999", "2"], 'column "v": each number must be finite, got "1e999" in row 2: mend it'],
    ["infinite in words", ["1", "-inf"], 'column "v": each number must be finite, got "-inf" in row 2'],
    [
      "mixed",
      ["1", "2", "3", "abc"],
      'the values must be of one kind, got 30 numbers of 40 values, and "abc" in row 4: mend it, name it in missingValues, or say what the column is: columns: { v: "category" } (or "number")',
    ],
    ["mixed dates", ["2024-01-01", "2024-01-02", "soon"], 'got 27 dates of 40 values, and "soon" in row 3'],
    [
      "thousands",
      ["1,234", "5"],
      'a number must be clear about its decimal point, got "1,234" in row 1: say it: columns: { v: { decimal: "," } }',
    ],
    [
      "local dates",
      ["03/04/2024"],
      'a date must be clear about its month, got "03/04/2024" in row 1: say it: columns: { v: { order: "dayFirst" } }',
    ],
    ["objects", ["a", { b: 1 }], "each value must be a number, a text, a flag or a date, got { b } in row 2"],
  ])("%s is refused, with the row", (_, values, message) => {
    expect(() => oneColumn(values)).toThrow(message);
  });

  test("a line of a file is named", async () => {
    const text = csv("v,y", (i) => `"${i === 7 ? "x" : i}",${i % 2}`).replace("3\n", "3\n\n");
    await expect(readCsv(text, { target: "y" })).rejects.toThrow(/readCsv: column "v": .* and "x" in line (9|10)/);
    await expect(
      readCsv(
        csv("v,y", (i) => `"${i === 7 ? "x" : `\n${i}`}",${i % 2}`),
        { target: "y" },
      ),
    ).rejects.toThrow('"x" in line 16');
  });
});

describe("columns are what is said", () => {
  test.each<[what: string, values: unknown[], column: unknown, row: number[]]>([
    ["decimal comma", ["1.234,5", "2"], { decimal: ",", scale: "none" }, [1234.5]],
    ["thousands", ["1,234.5", "2"], { decimal: ".", scale: "none" }, [1234.5]],
    ["spaces and apostrophes", ["1 234,5", "1'000"], { decimal: ",", scale: "none" }, [1234.5]],
    ["numbers one-hot", [7, 8], { oneHot: true }, [1, 0]],
    ["numbers as flags", [1, 0], "boolean", [1]],
    ["flags as numbers", [true, false], { type: "number", scale: "none" }, [1]],
    [
      "day first",
      ["31/12/2024", "1.2.2024"],
      { order: "dayFirst", parts: ["month", "day"] },
      [
        Math.sin((11 / 12) * 2 * Math.PI),
        Math.cos((11 / 12) * 2 * Math.PI),
        Math.sin((30 / 31) * 2 * Math.PI),
        Math.cos((30 / 31) * 2 * Math.PI),
      ],
    ],
    [
      "month first",
      ["12/31/2024", "1/2/2024"],
      { order: "monthFirst", parts: ["dayOfWeek"] },
      [Math.sin((2 / 7) * 2 * Math.PI), Math.cos((2 / 7) * 2 * Math.PI)],
    ],
    ["time in days", ["1970-01-03T12:00:00+02:00", "1970-01-01"], { parts: ["time"], scale: "none" }, [2 + 10 / 24]],
    [
      "hour",
      ["1969-12-31T18:00:00.5Z", "1970-01-01"],
      { parts: ["hour"] },
      [Math.sin(2 * Math.PI * (18.0001388 / 24)), Math.cos(2 * Math.PI * (18.0001388 / 24))],
    ],
    [
      "a constant for what is missing",
      ["", 5],
      { type: "number", missing: { value: 9 }, scale: "none", indicator: true },
      [9, 1],
    ],
    ["a category for what is missing", ["", "b"], { missing: { value: "b" } }, [1]],
  ])("%s", (_, values, column, row) => {
    const data = oneColumn(values, column);
    const [first] = [data.transform.transform([{ v: values[0] }])];
    expect(first).toHaveLength(row.length);
    row.forEach((value, at) => {
      expect(first[at]).toBeCloseTo(value, 5);
    });
  });

  test("a text's words are hashed, whatever their order and case", () => {
    const data = oneColumn(["The cat, the dog!", "a b"], { type: "text", hash: 32 });
    const one = data.transform.transform([{ v: "the CAT the dog" }, { v: "dog the the cat" }, { v: "" }]);
    expect([...one.subarray(0, 32)]).toEqual([...one.subarray(32, 64)]);
    expect([...one.subarray(64)]).toEqual(new Array(32).fill(0));
    expect(one.subarray(0, 32).reduce((sum, value) => sum + Math.abs(value), 0)).toBe(4);
    const other = oneColumn(["The cat, the dog!", "a b"], { type: "text", hash: 32 }, { seed: 7 });
    expect(other.transform.transform([{ v: "the cat" }])).not.toEqual(data.transform.transform([{ v: "the cat" }]));
  });

  test.each<[column: unknown, message: string]>([
    [
      "integer",
      'columns["v"] must be "number", "boolean", "category", "text", "date", "drop" or an object, got "integer"',
    ],
    [{ typ: "number" }, 'columns["v"]: unknown option "typ"'],
    [{ hash: 0 }, "hash must be a whole number from 1 to 1048576, got 0"],
    [
      { type: "number", unknown: "zeros" },
      'column "v": a column of type "number" takes missing, indicator, scale, decimal, got unknown: "zeros"',
    ],
    [{ hash: 4, indicator: true }, "a column that is hashed takes hash, got indicator: true"],
    [
      { type: "category", missing: "mean" },
      'missing must be one of mostFrequent, category, error, value of type "category", got "mean"',
    ],
    [
      { missing: "zero" },
      'missing must be "mean", "median", "mostFrequent", "category", "error" or { value: … }, got "zero"',
    ],
    [{ parts: ["weekday"] }, "parts must be some of year, month, day, dayOfWeek, hour, time"],
    [{ type: "number", missing: { value: "x" } }, "missing must have a number, got { value }"],
    ["date", "each value must be a date, got 1 in row 1"],
  ])("%j is refused", (column, message) => {
    expect(() => oneColumn([1, 2, ""], column)).toThrow(message);
  });

  test.each<[values: unknown[], column: unknown, message: string]>([
    [["2023-02-29"], undefined, 'each date must be one of the calendar, got "2023-02-29" in row 1'],
    [["2024-01-01T24:00"], "date", "one of the calendar"],
    [
      ["1", "x"],
      "number",
      'each value must be a number, got "x" in row 2: mend it, name it in missingValues, or take the column as a "category"',
    ],
    [["1,5"], "number", 'say what its point is, as { decimal: "," }'],
    [["1", ""], { type: "number", missing: "error" }, "no value may be missing"],
    [["a", ""], { missing: "error" }, "no value may be missing"],
    [["maybe"], "boolean", "each value must be true or false, yes or no, 1 or 0"],
    [[1e300, -1e300], "number", "the numbers must have a variance, got some as large as 1e+300"],
    [[1e39, 2], { type: "number", scale: "none" }, "in float32's range when it is scaled, got 1e+39 in row 1"],
  ])("%j as %j", (values, column, message) => {
    expect(() => oneColumn(values, column)).toThrow(message);
  });

  test("a column that is not there", () => {
    expect(() => oneColumn([1], undefined, { columns: { w: "drop" } })).toThrow(
      'table: columns must name a column, got "w": the columns are v, y',
    );
    expect(() => oneColumn([1], undefined, { target: "z" })).toThrow('table: target must name a column, got "z"');
    expect(() => oneColumn([1], "drop")).toThrow("a column must become features, got none");
  });
});

test("a large table's summary has the range of all numbers", () => {
  const rows = Array.from({ length: 3000 }, (_, i) => ({ n: i / 2, kind: `k${i}`, y: i * 10 + 0.5 }));
  const lines = table(rows, { target: "y", columns: { kind: "category" } })
    .summary()
    .split("\n");
  expect(lines[1]).toMatch(/^n +number +0 +0 … 1500 /);
  expect(lines[2]).toMatch(/and many more +\d+ features, one-hot$/);
  expect(lines[3]).toMatch(/^y +target +0 +0\.5 … 29990 +numbers, standard$/);
});

describe("parts", () => {
  const rows = Array.from({ length: 60 }, (_, i) => ({
    n: i === 59 ? 1e6 : i,
    kind: i < 50 ? ["a", "b"][i % 2] : "late",
    who: `p${Math.floor(i / 4)}`,
    day: new Date(Date.UTC(2024, 0, 60 - i)).toISOString().slice(0, 10),
    y: i % 3 === 0 ? "x" : "z",
  }));

  test("what is learned comes from the training part alone, in the order of time", () => {
    const data = table(rows, {
      target: "y",
      time: "day",
      columns: { who: "drop", day: "drop" },
      parts: { training: 0.5, test: 0.5 },
    });
    // The days go down: the first part has the last 30 rows.
    const late = rows.slice(30);
    const mean = late.reduce((sum, { n }) => sum + n, 0) / late.length;
    const deviation = Math.sqrt(late.reduce((sum, { n }) => sum + (n - mean) ** 2, 0) / late.length);
    expect(data.features).toEqual(["n", "kind=a", "kind=b", "kind=late"]);
    const [n, , , isLate] = data.training.x;
    expect([n, isLate]).toEqual([Math.fround((1e6 - mean) / deviation), 1]);
    expect(data.test.x[0]).toBeCloseTo((29 - mean) / deviation, 5);
    const early = table(
      rows.map((row) => ({ ...row, n: row.n, t: -Date.parse(row.day) })),
      { target: "y", time: "t", columns: { who: "drop", day: "drop", t: "drop" }, parts: { training: 0.5, test: 0.5 } },
    );
    // "late" is unknown to it.
    expect(early.features).toEqual(["n", "kind=a", "kind=b"]);
    expect([...early.test.x.subarray(-2)]).toEqual([0, 0]);
  });

  test("each has its share of each class, and the same seed gives the same", () => {
    const options = { target: "y", seed: 4 } as const;
    const [one, two] = [table(rows, options), table(rows, options)];
    const shares = [one.training, one.validation, one.test].map(({ y }) => [
      y.length,
      [...y].filter((label) => label === 0).length,
    ]);
    expect(shares).toEqual([
      [42, 14],
      [9, 3],
      [9, 3],
    ]);
    expect(two.training).toEqual(one.training);
    expect(table(rows, { ...options, seed: 5 }).training).not.toEqual(one.training);
    expect(table(rows, { ...options, stratify: false }).training).not.toEqual(one.training);
  });

  test("a group is in one part, and no feature", () => {
    const data = table(rows, {
      target: "y",
      groups: "who",
      columns: { day: "drop", kind: "drop", n: { scale: "none" } },
      parts: { a: 0.5, b: 0.5 },
    });
    expect(data.features).toEqual(["n"]);
    const groupsIn = (x: Float32Array) => new Set(Array.from(x, (n) => Math.floor((n === 1e6 ? 59 : n) / 4)));
    const [a, b] = [groupsIn(data.a.x), groupsIn(data.b.x)];
    expect(a.size + b.size).toBe(15);
    expect([...a].filter((group) => b.has(group))).toEqual([]);
  });

  test.each<[options: object, message: string]>([
    [{ parts: { summary: 1 } }, 'a part must not be called "summary"'],
    [{ parts: { training: 0.5 } }, "parts must be 1 together"],
    [{ time: "day", groups: "who" }, "takes time, groups or stratify, got groups with time"],
    [{ groups: "who", stratify: true }, "takes either stratify or groups, got both"],
    [{ gap: 2 }, "takes gap if the order is kept"],
    [{ time: "kind" }, 'each value must be a date, got "a" in row 1'],
    [{ split: 0.2 }, 'unknown option "split"'],
  ])("%j is refused", (options, message) => {
    expect(() => table(rows, { target: "y", ...options } as TableOptions)).toThrow(message);
  });

  test("few rows of a class are spread as they come, unless their share is asked for", () => {
    const few = rows.map((row, i) => ({ ...row, y: i === 0 ? "rare" : row.y }));
    expect(table(few, { target: "y" }).classes).toEqual(["rare", "x", "z"]);
    expect(() => table(few, { target: "y", stratify: true })).toThrow(
      "each label must have a sample for each of the 3 parts",
    );
  });
});

describe("targets", () => {
  const rowsOf = (values: readonly unknown[]) =>
    Array.from({ length: 40 }, (_, i) => ({ n: i, y: values[i % values.length] }));

  test.each<[values: unknown[], target: object | string, classes: string[], labels: unknown[]]>([
    [["b", "a"], "y", ["a", "b"], ["a", "b"]],
    [["2", "1.0", "10"], "y", ["1", "2", "10"], [1, 2, 10]],
    [[true, false], "y", ["false", "true"], [false, true]],
    [["no", "yes"], "y", ["no", "yes"], ["no", "yes"]],
    [[0, 1], { column: "y", classes: [1, 0, 2] }, ["1", "0", "2"], [1, 0, 2]],
    [[0.5, 1.5], { column: "y", as: "classes" }, ["0.5", "1.5"], [0.5, 1.5]],
  ])("%j by %j: classes", (values, target, classes, labels) => {
    const data = table(rowsOf(values), { target } as TableOptions);
    expect(data.classes).toEqual(classes);
    expect(data.training.y).toBeInstanceOf(Uint32Array);
    const scores = labels.flatMap((_, row) => labels.map((__, at) => (at === row ? 2 : -1)));
    expect(data.transform.decode(scores)).toEqual(labels);
    const { y } = data.transform.samples(rowsOf(values));
    expect(Array.from(y, (at) => String(labels[at]))).toEqual(
      rowsOf(values).map(({ y: value }) => (value === "1.0" ? "1" : String(value))),
    );
  });

  test("numbers are scaled, and scaled back", () => {
    const values = Array.from({ length: 40 }, (_, i) => 100 + 7 * i);
    const data = table(rowsOf(values), { target: "y", parts: { training: 0.75, test: 0.25 } });
    expect(data.classes).toEqual([]);
    const mean = [...data.training.y].reduce((sum, one) => sum + one, 0) / 30;
    expect(mean).toBeCloseTo(0, 5);
    const back = data.transform.decode(data.test.y).map(Number);
    for (const value of back) expect(values.some((one) => Math.abs(one - value) < 1e-3)).toBe(true);
    expect(() => data.transform.decode([1], { threshold: 0.5 })).toThrow(
      "takes threshold of two classes, got 0.5 for numbers",
    );
  });

  test("one probability of two classes", () => {
    const { transform } = table(rowsOf(["no", "yes"]), { target: "y" });
    expect(transform.decode([0.2, 0.5, 0.9], { threshold: 0.5 })).toEqual(["no", "yes", "yes"]);
    expect(() => transform.decode([0.2, 0.5, 0.9])).toThrow("must be 2 scores for each row, one for each class, got 3");
    expect(() => transform.decode([Number.NaN, 1])).toThrow("each prediction must be a finite number, got NaN at 0");
  });

  test("rows without one are refused, or left out", () => {
    const rows = rowsOf(["a", "b", ""]);
    expect(() => table(rows, { target: "y" })).toThrow(
      'column "y": each row must have a target, got "" in row 3: missingTarget: "drop" leaves such rows out',
    );
    const data = table(rows, { target: "y", missingTarget: "drop" });
    expect(data.training.y.length + data.validation.y.length + data.test.y.length).toBe(27);
    expect(() => table(rowsOf([""]), { target: "y", missingTarget: "drop" })).toThrow(
      "a row must have a target, got none",
    );
  });

  test.each<[values: unknown[], target: unknown, message: string]>([
    [["a"], "y", 'the target "y" must have two classes or more, got ["a"]'],
    [[1, "x"], { column: "y", as: "numbers" }, 'each value must be a number, got "x" in row 2'],
    [[{}, 1], "y", "each target must be a number, a text or a flag"],
    [["a", "b"], { column: "y", classes: ["a"] }, "classes must be two different labels or more"],
    [
      ["a", "b", "c"],
      { column: "y", classes: ["a", "b"] },
      'each target must be one of the classes "a", "b", got "c" in row 3',
    ],
    [["a", "b"], { column: "y", as: "numbers", classes: [1, 2] }, "takes classes if it is as"],
    [["a", "b"], { name: "y" }, 'unknown option "name"'],
  ])("%j by %j is refused", (values, target, message) => {
    expect(() => table(rowsOf(values), { target } as TableOptions)).toThrow(message);
  });
});

describe("the transform", () => {
  const text = csv(
    "age,city,when,zip,ok,y",
    (i) =>
      `${i % 5 === 4 ? "" : 20 + i},${["Rome", "Oslo", ""][i % 3]},2024-0${1 + (i % 9)}-0${1 + (i % 7)},1${i % 11},${i % 2 ? "yes" : "no"},${i % 3 === 1 ? "low" : "high"}`,
  );
  const options: TableOptions = { target: "y", seed: 2, columns: { zip: { hash: 8 }, age: { indicator: true } } };

  test("as JSON gives the same features and labels", async () => {
    const data = await readCsv(text, options);
    const json = JSON.stringify(data.transform);
    const again = tableTransformFrom(JSON.parse(json));
    expect(JSON.stringify(again)).toBe(json);
    expect(again.features).toEqual(data.features);
    expect(again.classes).toEqual(["high", "low"]);
    const rows = [
      { age: "", city: "Bern", when: null, zip: 10, ok: true },
      { age: 31, city: "Oslo", when: "2024-05-05", zip: "17", ok: "no" },
    ];
    const x = again.transform(rows);
    expect(x).toEqual(data.transform.transform(rows));
    // Unknown and missing: no city, the median's age, and that it was missing.
    const at = (name: string) => x[data.features.indexOf(name)];
    expect([at("city=Oslo"), at("city=Rome"), at("city (missing)"), at("age (missing)"), at("ok")]).toEqual([
      0, 0, 0, 1, 1,
    ]);
    expect(() => again.transform([{ age: 1 }])).toThrow(
      "transform: the rows must have the columns age, city, when, zip, ok, got none named city, when, zip, ok: give null for what is missing",
    );
    expect(() => again.transform([{ ...rows[1], age: "old" }])).toThrow(
      'transform: column "age": each value must be a number, got "old" in row 1',
    );
    expect(() => again.samples([{ ...rows[1], y: "middle" }])).toThrow(
      'each target must be one of the classes "high", "low", got "middle" in row 1',
    );
  });

  test("JSON that was changed is refused, or works", async () => {
    const { transform } = await readCsv(text, options);
    const random = randomNumbers(1);
    const whole = JSON.stringify(transform);
    const values = ["null", "-1", "0", '"x"', "[]", "{}", "true", "1e999"];
    let refused = 0;
    for (let round = 0; round < 400; round++) {
      // A value somewhere becomes another.
      const spots = [...whole.matchAll(/(?<=[:[,])(?:"[^"]*"|-?[\d.e+]+|true|false|null)(?=[,\]}])/g)];
      const spot = spots[random.below(spots.length)];
      const changed =
        whole.slice(0, spot.index) + values[random.below(values.length)] + whole.slice(spot.index + spot[0].length);
      try {
        const other = tableTransformFrom(JSON.parse(changed));
        other.decode(new Float32Array(2 * other.classes.length).fill(1));
        expect(other.features.length).toBeGreaterThan(0);
      } catch (error) {
        expect(String(error)).toMatch(/^DataError: tableTransformFrom: [\w.[\]]+ must be what toJSON\(\) gives, got /);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(100);
  });

  test("batches have the samples of all rows, of any size, again and again, whatever the blocks", async () => {
    const { transform } = await readCsv(text, options);
    const rows: Record<string, unknown>[] = [];
    for await (const row of csvRows(text)) rows.push({ ...row });
    const all = transform.samples(rows);
    for (const batchSize of [1, 7, 40, 100]) {
      for (const source of [csvRows(text), rows, csvRows([...text])]) {
        const batches = transform.batches(source, { batchSize });
        for (let pass = 0; pass < 2; pass++) {
          const [x, y, sizes]: [number[], number[], number[]] = [[], [], []];
          for await (const batch of batches) {
            x.push(...batch.x);
            y.push(...batch.y);
            sizes.push(batch.y.length);
          }
          expect(x).toEqual([...all.x]);
          expect(y).toEqual([...all.y]);
          expect(Math.max(...sizes)).toBe(Math.min(40, batchSize));
        }
      }
    }
    const wrong = transform.batches(csvRows(text.replace("\n25,", "\n25x,")));
    await expect(wrong[Symbol.asyncIterator]().next()).rejects.toThrow(
      'batches: column "age": each value must be a number, got "25x" in line',
    );
  });
});

test("the same table from all that it can be read from", async () => {
  const rows = Array.from({ length: 40 }, (_, i) => ({ n: i / 4, kind: i % 3 === 0 ? "a" : "b", y: i % 2 === 0 }));
  const wanted = table(rows, { target: "y", seed: 3 });
  const lines = rows.map((row) => JSON.stringify(row)).join("\n");
  const file = parquetWriteBuffer({
    columnData: [
      { name: "n", data: rows.map(({ n }) => n), type: "DOUBLE" },
      { name: "kind", data: rows.map(({ kind }) => kind), type: "STRING" },
      { name: "y", data: rows.map(({ y }) => y), type: "BOOLEAN" },
    ],
  });
  const others = [
    await readJsonLines(lines, { target: "y", seed: 3 }),
    await readParquet(file, { target: "y", seed: 3 }),
    await readTable(rows, { target: "y", seed: 3 }),
    await readTable(new Blob([lines]).stream().pipeThrough(new TextDecoderStream()).pipeThrough(parsing()), {
      target: "y",
      seed: 3,
    }),
  ];
  for (const other of others) {
    expect(other.training).toEqual(wanted.training);
    expect(other.summary()).toBe(wanted.summary());
  }
  const ofCsv = await readCsv(
    csv("n,kind,y", (i) => `${rows[i].n},${rows[i].kind},${rows[i].y}`),
    { target: "y", seed: 3 },
  );
  expect(ofCsv.training.x).toEqual(wanted.training.x);
  expect(ofCsv.classes).toEqual(["false", "true"]);
  await expect(readCsv("a,b\n", { target: "a" })).rejects.toThrow("readCsv: the table must have rows, got none");
  await expect(readTable(7 as never, { target: "a" })).rejects.toThrow(
    "readTable: the rows must be those of csvRows() or the like",
  );
  await expect(readTable(["x"] as never, { target: "a" })).rejects.toThrow(
    "readTable: row 1 must be an object with a value for each column",
  );
});

/** Objects of whole lines. */
function parsing() {
  let rest = "";
  return new TransformStream<string, Record<string, unknown>>({
    transform(text, controller) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) controller.enqueue(JSON.parse(line));
    },
    flush: (controller) => controller.enqueue(JSON.parse(rest)),
  });
}
