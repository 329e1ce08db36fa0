// Tables larger than memory: learned from a sample, and trained on batch by batch.
import { adam, compileSync, crossEntropy, dense, sequential } from "steepest";
import { csvRows, fitTable } from "steepest/data";
import { describe, expect, test } from "vitest";

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
