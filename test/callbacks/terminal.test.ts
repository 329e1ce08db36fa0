// What a fit shows in the terminal: a bar, a line an epoch, a chart.
import { adam, compileSync, createEngineSync, crossEntropy, dense, relu, sequential } from "steepest";
import { liveCurve, progress } from "steepest/callbacks";
import { createProgressDisplay } from "steepest/progress";
import { afterAll, describe, expect, test, vi } from "vitest";
import { blobs } from "../train/blobs.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const model = sequential({ input: [2] }, dense(16), relu(), dense(3));
const open = () =>
  compileSync(model, { loss: crossEntropy(), optimizer: adam(), metrics: ["accuracy"], engine, seed: 6 });
const data = blobs(50);
const batches = { batchSize: 8, validation: blobs(20, 9) };

describe("in the terminal", () => {
  /** What is written while standard output is a terminal, or is none. (Bars go to standard error.) */
  async function written(isTTY: boolean, run: () => PromiseLike<unknown>, term = "xterm"): Promise<string> {
    const streams = [process.stdout, process.stderr];
    vi.stubEnv("TERM", term);
    const before = streams.map((stream) => stream.isTTY);
    let text = "";
    const add = (part: unknown): boolean => {
      text += part;
      return true;
    };
    const spies = [
      ...streams.map((stream) => vi.spyOn(stream, "write").mockImplementation(add)),
      vi.spyOn(console, "log").mockImplementation((line) => add(`${line}\n`)),
    ];
    for (const stream of streams) stream.isTTY = isTTY;
    try {
      await run();
    } finally {
      for (const [index, stream] of streams.entries()) stream.isTTY = before[index];
      for (const spy of spies) spy.mockRestore();
    }
    return text;
  }

  test("liveCurve draws over the curve before; without a terminal, once at the end", async () => {
    using trainer = open();
    const run = () => trainer.fit(data, { ...batches, epochs: 4, callbacks: [liveCurve({ width: 40, height: 6 })] });
    const plain = await written(false, run);
    expect(plain).toContain("validation.loss");
    expect(plain).not.toContain("\u001b[J");
    const live = await written(true, run);
    // The second, third and fourth epoch; the first is a point.
    expect(live.split("\u001b[J")).toHaveLength(3);
    // No line is longer than the terminal: it would wrap.
    const before = process.stdout.columns;
    process.stdout.columns = 30;
    const narrow = await written(true, () =>
      trainer.fit(data, { ...batches, epochs: 2, callbacks: [liveCurve({ height: 6 })] }),
    );
    process.stdout.columns = before;
    expect(Math.max(...narrow.split("\n").map((line) => line.length))).toBeLessThanOrEqual(30);
  });

  test("a bar fits in the terminal, has all metrics if there is room, and no end where none is known", async () => {
    const lines = async (columns: number, samplesPerEpoch: number) => {
      const before = process.stdout.columns;
      process.stdout.columns = columns;
      try {
        const text = await written(true, async () => {
          const display = await createProgressDisplay(1);
          const shown = { epoch: 1, step: 4, samples: 400, samplesPerEpoch, samplesPerSecond: 2000, elapsedMs: 200 };
          const scores = { loss: 0.25, accuracy: 0.5, meanAbsoluteError: 0.0001 };
          const remainingMs = (1000 * (samplesPerEpoch - 400)) / 2000;
          display.onProgress({ ...shown, scores, remainingMs } as never);
          display.close();
        });
        return text
          .replaceAll("\u001b", "\n\n")
          .replace(/\n\n(\[\??[\d;]*[A-Za-z]|[78])/g, "\n")
          .split(/[\r\n]+/)
          .filter((line) => line !== "");
      } finally {
        process.stdout.columns = before;
      }
    };
    const wide = await lines(200, 800);
    expect(wide).toHaveLength(1);
    expect(wide[0]).toMatch(
      /^epoch 1\/1 .{24} 50% {2}loss 0\.2500 {2}accuracy 50\.00 % {2}meanAbsoluteError 0\.0001000 {2}2,000 samples\/s {2}0\.2 s left$/,
    );
    expect(await lines(70, 800)).toEqual([
      expect.stringMatching(/^epoch 1\/1 .{24} 50% {2}loss 0\.2500 {2}0\.2 s left$/),
    ]);
    expect(await lines(40, 800)).toEqual(["epoch 1/1  loss 0.2500  0.2 s left"]);
    expect(await lines(70, Number.POSITIVE_INFINITY)).toEqual(["epoch 1/1  loss 0.2500  2,000 samples/s  400 samples"]);
    expect(await lines(16, 800)).toEqual(["epoch 1/1  loss"]);
    // A terminal that cannot go back in its line gets whole lines.
    using trainer = open();
    const run = () => trainer.fit(data, { ...batches, epochs: 1, callbacks: [progress()] });
    expect(await written(true, run, "dumb")).toMatch(/^epoch 1\/1 {2}loss .*\n$/);
  });

  test("progress has a line an epoch, and a bar on a terminal; an awaited fit shows it if somebody watches", async () => {
    using trainer = open();
    const lines = await written(false, () => trainer.fit(data, { ...batches, epochs: 2, callbacks: [progress()] }));
    expect(lines).toMatch(/^epoch 1\/2 {2}loss .* accuracy .* validation loss .* step 7\nepoch 2\/2 .*\n$/);
    const asked = await written(false, () => trainer.fit(data, { ...batches, progress: true }));
    expect(asked).toMatch(/^epoch 3\/3 .*\n$/);
    const many = { ...batches, batchSize: 1, epochs: 60 };
    const onTerminal = await written(true, () => trainer.fit(data, { ...many, progress: true }));
    expect(onTerminal).toMatch(/\d%/);
    // Tests are not watched.
    expect(await written(true, () => trainer.fit(data, batches))).toBe("");
    for (const name of ["CI", "VITEST", "JEST_WORKER_ID", "NODE_TEST_CONTEXT", "NODE_ENV", "TERM"])
      vi.stubEnv(name, "");
    try {
      expect(await written(true, () => trainer.fit(data, batches))).toMatch(/epoch \d+\/\d+ {2}loss/);
      for (const quiet of [
        () => written(false, () => trainer.fit(data, batches)),
        () => written(true, () => trainer.fit(data, { ...batches, progress: false })),
        () => written(true, () => trainer.fit(data, { ...batches, onProgress: () => {} })),
        () =>
          written(true, async () => {
            for await (const _ of trainer.fit(data, batches));
          }),
      ])
        expect(await quiet()).toBe("");
      // Two at a time would write over each other.
      using other = open();
      const both = await written(true, () => Promise.all([trainer.fit(data, batches), other.fit(data, batches)]));
      expect(both.match(/epoch \d+\/\d+ {2}loss/g)).toHaveLength(1);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
