// Tables larger than memory: learned from a sample, and trained on batch by batch.
import { adam, compileSync, crossEntropy, dense, sequential } from "steepest";
import { csvRows, fitTable, splitRows, type TableRow } from "steepest/data";
import { describe, expect, test } from "vitest";
import { RowSample } from "../../src/data/tableSample.js";

const csv = (header: string, row: (i: number) => string, count: number) =>
  [header, ...Array.from({ length: count }, (_, i) => row(i))].join("\n");

describe("a table larger than memory", () => {
  // `STEEPEST_ROWS=1000000` is the long form.
  const count = Number(process.env.STEEPEST_ROWS ?? 20_000);

  test("is fitted on a sample and streamed, and never more than a piece of it is held", async () => {
    let made = 0;
    async function* pieces() {
      made = 0;
      yield "n,kind,y\n";
      while (made < count) {
        const rows = Math.min(500, count - made);
        yield Array.from(
          { length: rows },
          (_, i) => `${(made + i) % 1000},k${(made + i) % 7},${(made + i) % 2}\n`,
        ).join("");
        made += rows;
      }
    }
    const rows = csvRows(pieces);
    const transform = await fitTable(rows, { target: "y", rows: 2000, seed: 1 });
    expect(made).toBe(count);
    expect(transform.features).toHaveLength(8);
    const { columns } = transform.toJSON();
    // The mean of 0 to 999, by two thousand of them.
    expect(columns[0]).toMatchObject({ name: "n", type: "number" });
    expect(Math.abs((columns[0] as { offset: number }).offset - 499.5)).toBeLessThan(4 * (289 / Math.sqrt(2000)));
    let seen = 0;
    let held = 0;
    for await (const { y } of transform.batches(rows, { batchSize: 64 })) {
      held = Math.max(held, made - seen);
      seen += y.length;
    }
    expect(seen).toBe(count);
    expect(held).toBeLessThan(1200);
  });

  test("a sample has each row as likely as another, and errors name its row", async () => {
    const rows = Array.from({ length: 300 }, (_, i) => ({ n: i, y: i % 2 }));
    const offsets = await Promise.all(
      Array.from({ length: 40 }, async (_, seed) => {
        const { columns } = (await fitTable(rows, { target: "y", rows: 30, seed })).toJSON();
        return (columns[0] as { offset: number }).offset;
      }),
    );
    const mean = offsets.reduce((sum, one) => sum + one, 0) / offsets.length;
    expect(Math.abs(mean - 149.5)).toBeLessThan(4 * (86.6 / Math.sqrt(30 * 40)));
    const wrong = rows.map((row) => (row.n === 77 ? { n: "x", y: 0 } : row));
    await expect(fitTable(wrong, { target: "y" })).rejects.toThrow('and "x" in row 78');
    await expect(fitTable([], { target: "y" })).rejects.toThrow("fitTable: the table must have rows, got none");
    await expect(fitTable(rows, { target: "y", rows: 1 })).rejects.toThrow("rows must be a whole number from 2 to");
  });

  test("fit trains on its batches", async () => {
    const rows = csvRows(csv("n,kind,y", (i) => `${i % 100},k${i % 3},${i % 100 < 50 ? "low" : "high"}`, 1000));
    const transform = await fitTable(rows, { target: "y" });
    const batches = transform.batches(rows, { batchSize: 150 });
    using trainer = compileSync(sequential({ input: transform.inputShape }, dense(2)), {
      loss: crossEntropy(),
      optimizer: adam({ learningRate: 0.05 }),
      metrics: ["accuracy"],
    });
    await trainer.fit(batches, { epochs: 3, batchSize: 50 });
    expect(trainer.steps).toBe(60);
    expect((await trainer.evaluate(batches)).accuracy).toBeGreaterThan(0.9);
  });
});

describe("a sample in bounded memory", () => {
  const drawn = (seed: number, count: number, maxBytes: number) => {
    const sample = new RowSample(seed, maxBytes);
    for (let place = 0; place < count; place++) sample.add(["n"], [place], place, place + 2);
    return sample.rows;
  };

  test("has whole rows in their order, no more than fit, and each as likely as another", () => {
    const seen: number[] = [];
    for (let seed = 0; seed < 40; seed++) {
      // A number takes 9 bytes.
      const { cells, places, numbers } = drawn(seed, 1000, 900);
      expect(places.length).toBeLessThanOrEqual(100);
      expect(places.length).toBeGreaterThan(25);
      expect(places).toEqual([...places].sort((a, b) => a - b));
      expect(numbers).toEqual(places.map((place) => place + 2));
      expect(places.map((_, at) => cells.at(at, 0))).toEqual(places);
      seen.push(...places);
    }
    const mean = seen.reduce((sum, place) => sum + place, 0) / seen.length;
    expect(Math.abs(mean - 499.5)).toBeLessThan(4 * (289 / Math.sqrt(seen.length)));
    expect(drawn(1, 1000, 900).places).not.toEqual(drawn(2, 1000, 900).places);
  });

  test("has 65,536 rows at most, however small they are", () => {
    expect(drawn(0, 2 ** 16, Infinity).places).toHaveLength(2 ** 16);
    expect(Math.abs(drawn(0, 2 ** 16 + 1, Infinity).places.length - 2 ** 15)).toBeLessThan(4 * 128);
  });
});

describe("parts of rows that are read as they come", () => {
  const count = 5000;
  const text = csv("n,who,y", (i) => `${i},p${i % 50},${i % 2 === 0 ? "a" : "b"}`, count);
  const shares = { training: 0.7, validation: 0.2, test: 0.1 };
  const numbersOf = async (rows: AsyncIterable<TableRow>) => {
    const found: number[] = [];
    for await (const { n } of rows) found.push(Number(n));
    return found;
  };

  test("have each row once, their shares, the same rows in each pass and from whatever they come", async () => {
    const parts = splitRows(csvRows(text), { parts: shares, seed: 3 });
    const lists = [];
    for (const [name, rows] of Object.entries(parts)) {
      const list = await numbersOf(rows);
      // Within five standard deviations of a binomial distribution.
      const share = shares[name as keyof typeof shares];
      expect(Math.abs(list.length - count * share)).toBeLessThan(5 * Math.sqrt(count * share * (1 - share)));
      expect(await numbersOf(rows)).toEqual(list);
      lists.push(list);
    }
    expect(lists.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
    // The bytes come in other pieces, and as objects.
    const pieces = () =>
      Array.from({ length: 100 }, (_, i) => text.slice((i * text.length) / 100, ((i + 1) * text.length) / 100));
    expect(await numbersOf(splitRows(csvRows(pieces), { parts: shares, seed: 3 }).test)).toEqual(lists[2]);
    const objects = Array.from({ length: count }, (_, n) => ({ n }));
    expect(await numbersOf(splitRows(objects, { parts: shares, seed: 3 }).test)).toEqual(lists[2]);
    expect(await numbersOf(splitRows(objects, { parts: shares, seed: 4 }).test)).not.toEqual(lists[2]);
  });

  test("keep a group together, also in another order; errors name the line", async () => {
    const options = { parts: { training: 0.5, test: 0.5 }, groups: "who" };
    const { training, test: rest } = splitRows(csvRows(text), options);
    const groups = async (rows: AsyncIterable<TableRow>) => new Set((await numbersOf(rows)).map((n) => n % 50));
    const [first, second] = [await groups(training), await groups(rest)];
    expect(first.size + second.size).toBe(50);
    expect(second.size).toBeGreaterThan(10);
    const reversed = Array.from({ length: count }, (_, i) => ({ n: count - 1 - i, who: `p${(count - 1 - i) % 50}` }));
    expect(await groups(splitRows(reversed, options).test)).toEqual(second);
    await expect(numbersOf(splitRows(csvRows("who,n\np1,1\n,2\n"), options).test)).rejects.toThrow(
      'splitRows: column "who": each row must have a group, got "" in line 3',
    );
    await expect(numbersOf(splitRows(csvRows("n\n1\n"), options).test)).rejects.toThrow(
      'groups must name a column, got "who"',
    );
    // Of a part, the lines are those of the whole file.
    const lines = "n,who\n1,a\n2,a\n3,a\n4,a\n5,a\n6,a\n7,\n8,a\n9,a\n";
    const apart = Object.values(splitRows(csvRows(lines), { parts: { a: 0.5, b: 0.5 } }));
    const told = await Promise.all(
      apart.map((part) => numbersOf(splitRows(part, options).test).catch((error: Error) => error.message)),
    );
    expect(told.filter((one) => typeof one === "string")).toEqual([expect.stringMatching(/ in line 8(:|$)/)]);
    expect(() => splitRows(reversed, { parts: { a: 0.5 } })).toThrow("splitRows: parts must be 1 together");
  });

  test("are learned from and trained on apart", async () => {
    const { training, validation } = splitRows(csvRows(text), { parts: { training: 0.8, validation: 0.2 } });
    const transform = await fitTable(training, { target: "y", columns: { n: "drop" }, seed: 1 });
    using trainer = compileSync(sequential({ input: transform.inputShape }, dense(2)), {
      ...{ loss: crossEntropy(), optimizer: adam({ learningRate: 0.1 }), metrics: ["accuracy"], seed: 1 },
    });
    const [last] = await trainer.fit(transform.batches(training), {
      epochs: 1,
      batchSize: 100,
      validation: transform.batches(validation),
    });
    expect(last?.validation?.accuracy).toBe(1);
  });
});
