// The time of a step, instruction by instruction: what the instructions are, not how long they take.
import { adam, batchNorm, crossEntropy, dense, gru, ModelError, relu, sequential } from "steepest";
import { type FlameNode, profile } from "steepest/diagnostics";
import { describe, expect, test } from "vitest";

const model = sequential({ input: [16] }, dense(32), batchNorm(), relu(), dense(4));
const data = {
  x: Float32Array.from({ length: 64 * 16 }, (_, i) => Math.sin(i)),
  y: Array.from({ length: 64 }, (_, i) => i % 4),
};
const options = { loss: crossEntropy(), optimizer: adam(), batchSize: 8, millisecondsEach: 0.05 };

describe("a profile", () => {
  test("has every instruction with layer, operation, shapes, bytes and operations", async () => {
    const result = await profile(model, data, options);
    const { instructions } = result;
    const first = instructions.find(({ operation, layer }) => operation === "linear" && layer === "0");
    // 8 × 16 by 16 × 32 with a bias of 32: two operations each.
    expect(first).toMatchObject({ outputs: [[8, 32]], times: 1, flops: 2 * 8 * 16 * 32 });
    expect(first?.bytes).toBe(4 * (8 * 16 + 16 * 32 + 32 + 8 * 32));
    const kernels = instructions.map(({ kernel }) => kernel);
    for (const kernel of ["advance", "gatherRows", "adam", "traceLoss", "addTotals"]) expect(kernels).toContain(kernel);
    expect(new Set(instructions.map(({ layer }) => layer))).toEqual(new Set(["", "0", "1", "2", "3"]));
    expect(instructions.every(({ ms }) => ms > 0)).toBe(true);
    expect(instructions.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);
    const { stepMs: whole, sumMs: total, limits } = result;
    for (const measured of [whole, limits.gigaflops, limits.gigabytes]) expect(measured).toBeGreaterThan(0);
    expect(total).toBeCloseTo(
      instructions.reduce((sum, { ms }) => sum + ms, 0),
      9,
    );
  });

  test("is a table, plain data, a trace for Chrome and a tree of layers", async () => {
    const result = await profile(model, data, options);
    const lines = result.text(3).split("\n");
    expect(lines[0]).toMatch(
      /^step of 8 samples \(strict, one thread\): [\d.]+ ms; its \d+ instructions by themselves: /,
    );
    expect(lines[2]).toMatch(/^layer +operation +kernel +outputs +times +ms +share +KB +MFLOP +of limit$/);
    expect(lines).toHaveLength(6);
    expect(JSON.parse(JSON.stringify(result)).instructions).toHaveLength(result.instructions.length);
    const { traceEvents } = result.chromeTrace();
    let end = 0;
    for (const { ph, ts, dur } of traceEvents) {
      expect(ph).toBe("X");
      expect(ts).toBeCloseTo(end, 6);
      end = ts + dur;
    }
    const { sumMs: total } = result;
    expect(end).toBeCloseTo(total * 1000, 6);
    const flame = result.flame();
    const checkSums = (node: FlameNode): void => {
      if (node.children.length === 0) return;
      expect(node.ms).toBeCloseTo(
        node.children.reduce((sum, { ms }) => sum + ms, 0),
        9,
      );
      node.children.forEach(checkSums);
    };
    checkSums(flame);
    expect(flame.children.map(({ name }) => name)).toEqual(expect.arrayContaining(["0", "1", "2", "3", "adam"]));
  });

  test("counts the batches of a step, and takes a recurrent layer's instructions as they are", async () => {
    const several = await profile(model, data, { ...options, accumulate: 4, batchSize: 4 });
    const product = several.instructions.find(({ operation, layer }) => operation === "linear" && layer === "0");
    expect([product?.times, product?.outputs]).toEqual([4, [[4, 32]]]);
    const recurrent = sequential({ input: [4, 4] }, gru(8), dense(4));
    const { instructions } = await profile(recurrent, data, options);
    expect(instructions.filter(({ layer }) => layer === "0").map(({ operation }) => operation)).toContain("gru");
  });

  test("refuses wrong options", async () => {
    await expect(profile(model, data, undefined as never)).rejects.toThrow("profile: options must be an object");
    const trainer = { model, steps: 3 };
    await expect(profile(trainer as never, data as never, options as never)).rejects.toThrow(
      "profile: must be given a model, got { model, steps }: hand in its model",
    );
    await expect(profile(model, data, { ...options, batchSize: 0 })).rejects.toThrow(ModelError);
    await expect(profile(model, data, { loss: crossEntropy() } as never)).rejects.toThrow(
      "profile: the trainer must have an optimizer",
    );
  });
});
