// Reports: logs are read with their faults, evaluations are counted by hand, and the page is drawn by a real browser.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { binaryCrossEntropy, compileSync, crossEntropy, dense, flatten, sequential, sgd } from "steepest";
import { profile } from "steepest/diagnostics";
import { rocAuc } from "steepest/metrics";
import {
  evaluationRecord,
  parseRun,
  type Run,
  type RunRecord,
  readRun,
  renderReport,
  writeReport,
} from "steepest/report";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumPath } from "../browser/server.js";

const folder = mkdtempSync(join(tmpdir(), "steepest-report-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("logs", () => {
  it("are read line by line; a last line that was cut off and unknown types are left out", () => {
    const text =
      '{"type":"begin","seed":3}\n\n{"type":"epoch","epoch":1,"step":5,"loss":0.5}\r\n{"type":"later"}\n{"type":"en';
    expect(parseRun("a", text)).toEqual({
      name: "a",
      records: [
        { type: "begin", seed: 3 },
        { type: "epoch", epoch: 1, step: 5, loss: 0.5 },
      ],
    });
  });

  it("are refused with the line", () => {
    expect(() => parseRun("a", '{"type":"begin"}\nnonsense\n{"type":"end"}')).toThrow(
      'parseRun: line 2 of "a" must be JSON, got "nonsense"',
    );
    expect(() => parseRun("a", '{"type":"begin"}\n[1]\n')).toThrow('line 2 of "a" must be an object with a type');
    expect(() => parseRun("a", "null\n")).toThrow("line 1");
    expect(() => parseRun("a", "")).toThrow('must have records of a run, got ""');
  });
});

describe("evaluations", () => {
  it("count what was taken for what, with curves and the worst samples", async () => {
    // The probabilities are what comes in.
    using trainer = compileSync(sequential({ input: [3] }, dense(3, { bias: false })), { loss: crossEntropy() });
    const one = (value: number) => Float32Array.of(value, 0, 0, 0, value, 0, 0, 0, value);
    trainer.setParameters({ "0.weight": one(1) });
    const p = [
      [0.7, 0.2, 0.1],
      [0.3, 0.6, 0.1],
      [0.1, 0.8, 0.1],
      [0.2, 0.2, 0.6],
      [0.5, 0.1, 0.4],
    ];
    const x = p.map((row) => row.map(Math.log));
    const y = [0, 0, 1, 2, 2];
    const record = await evaluationRecord(trainer, { x, y }, { labels: ["a", "b", "c"], worst: 1 });
    expect(record.confusion).toEqual([
      [1, 1, 0],
      [0, 1, 0],
      [1, 0, 1],
    ]);
    expect(record.worst).toEqual([{ index: 1, label: "a", predicted: "b", probability: expect.closeTo(0.3, 5) }]);
    expect(record.curves.map(({ label }) => label)).toEqual(["a", "b", "c"]);
    const wanted = rocAuc(
      p.map((row) => row[0] ?? 0),
      y.map((target) => Number(target === 0)),
    );
    expect(record.curves[0]?.rocAuc).toBeCloseTo(wanted, 6);
    expect(record.curves[0]?.roc[0]).toEqual([0, 0]);
    expect(record.curves[0]?.roc.at(-1)).toEqual([1, 1]);
    const list = x.map((row, index) => ({ x: row, y: y[index] as number }));
    expect(await evaluationRecord(trainer, list, { labels: ["a", "b", "c"], worst: 1 })).toEqual(record);
    await expect(evaluationRecord(trainer, { x, y: [0, 0, 1, 2, 3] })).rejects.toThrow(
      "y must be class indices below 3, got 3 at index 4: it is for classifiers",
    );
    await expect(evaluationRecord(trainer, { x, y }, { labels: ["a"] })).rejects.toThrow("labels must be 3 texts");
    await expect(evaluationRecord(trainer, { x, y }, { image: [2, 2] })).rejects.toThrow(
      "image must be [height, width]",
    );
  });

  it("heed how their bytes are scaled", async () => {
    const warned: string[] = [];
    const warn = ({ code }: { code: string }) => void warned.push(code);
    using trainer = compileSync(sequential({ input: [2] }, dense(2)), { loss: crossEntropy(), warn });
    // The second class from x0 / 255 - x1 / 255 = 0.1 on.
    trainer.setParameters({ "0.weight": Float32Array.of(0, 1, 0, -1), "0.bias": Float32Array.of(0.1, 0) });
    const data = { x: Uint8Array.of(200, 190, 200, 150, 10, 5), y: [0, 1, 0], scale: 1 / 255 };
    expect((await evaluationRecord(trainer, data)).confusion).toEqual([
      [2, 0],
      [0, 1],
    ]);
    expect(warned).toEqual([]);
  });

  it("take a yes or no, and draw images", async () => {
    using trainer = compileSync(sequential({ input: [2, 2, 1] }, flatten(), dense(1)), { loss: binaryCrossEntropy() });
    const x = [
      [
        [[0], [1]],
        [[2], [4]],
      ],
      [
        [[1], [1]],
        [[1], [1]],
      ],
    ];
    const record = await evaluationRecord(trainer, { x, y: [[0], [1]] });
    expect(record.labels).toEqual(["0", "1"]);
    expect(record.curves.map(({ label }) => label)).toEqual(["1"]);
    const images = record.worst.map(({ index, image }) => [index, image?.data]);
    for (const [index, data] of images) expect(data).toEqual(index === 0 ? [0, 64, 128, 255] : [0, 0, 0, 0]);
    expect(record.confusion.flat().reduce((sum, count) => sum + count, 0)).toBe(2);
  });
});

/** A run with all that a report shows. */
function run(name: string, shift: number): Run {
  const records: RunRecord[] = [
    {
      type: "begin",
      version: "0.1.0",
      seed: 1,
      build: "strict",
      threads: 2,
      optimizer: "adam",
      batchSize: 8,
      epochs: 3,
      summary: "dense [10]\n</script><b>bold",
      time: "2026-11-28T10:00:00Z",
    },
    { type: "warning", code: "unscaled", message: "inputs <b>are</b> large", step: 1 },
  ];
  for (let epoch = 1; epoch <= 3; epoch++) {
    const losses = Array.from({ length: 10 }, (_, i) => 2 / (10 * (epoch - 1) + i + 1) + shift);
    records.push({
      type: "steps",
      step: 10 * epoch,
      losses: epoch === 2 ? [...losses.slice(0, 9), null] : losses,
      learningRate: 0.1 / epoch,
    });
    records.push({
      type: "epoch",
      epoch,
      step: 10 * epoch,
      durationMs: 5,
      loss: 1 / epoch + shift,
      accuracy: 1 - 0.5 / epoch,
      validation: { loss: 1.2 / epoch + shift, accuracy: 0.9 - 0.5 / epoch },
    });
    records.push({
      type: "layers",
      step: 10 * epoch,
      gradients: { "0.weight": 0.1 / epoch, "0.bias": 0.01 },
      updates: { "0.weight": 0.001 },
      weights: { "0.weight": { min: -1, max: 1, counts: [1, 4, 9, 4, 1] } },
    });
  }
  records.push({
    type: "evaluation", labels: ["cat", "dog"], confusion: [[8, 2], [1, 9]],
    curves: [{ label: "dog", roc: [[0, 0], [0.2, 0.9], [1, 1]], precisionRecall: [[1, 0.5], [0.9, 0.8], [0, 1]], rocAuc: 0.91, averagePrecision: 0.88 }],
    worst: [{ index: 4, label: "cat", predicted: "dog", probability: 0.01, image: { width: 2, height: 2, channels: 1, data: [0, 255, 255, 0] } }],
  }); // biome-ignore format: a record
  const leaf = (name: string, ms: number) => ({ name, ms, children: [] });
  const row = { kernel: "gemm", outputs: [[8, 10]], times: 1, bytes: 2048, flops: 3e6 };
  records.push({
    type: "profile", build: "strict", threads: 2, batchSize: 8, stepMs: 0.5, sumMs: 0.4, limits: { gigaflops: 50, gigabytes: 20 },
    instructions: [
      { ...row, layer: "0", operation: "linear", ms: 0.1, share: 0.25, ofLimit: 0.6 },
      { ...row, layer: "0", operation: "<b>matmul", ms: 0.2, share: 0.5, ofLimit: 0.3 },
      { ...row, layer: "", operation: "", kernel: "adam", ms: 0.1, share: 0.25 },
    ],
    flame: { name: "step", ms: 0.4, children: [{ name: "0", ms: 0.3, children: [leaf("linear (gemm)", 0.1), leaf("<b>matmul (gemm)", 0.2)] }, leaf("adam", 0.1)] },
  }); // biome-ignore format: a record
  records.push({ type: "end", reason: "finished", step: 30, digest: "abc123" });
  return { name, records };
}

describe.skipIf(chromiumPath === undefined)("the page", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: chromiumPath as string, args: ["--no-sandbox"] });
  });
  afterAll(() => browser?.close());

  async function open(runs: readonly Run[], colorScheme: "light" | "dark"): Promise<{ page: Page; said: string[] }> {
    const path = join(folder, `${colorScheme}${runs.length}.html`);
    await writeReport(path, runs, { title: "Cats & <dogs>" });
    const page = await browser.newPage({ colorScheme, viewport: { width: 1000, height: 900 } });
    const said: string[] = [];
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => said.push(String(error)));
    page.on("request", (request) => {
      if (!/^(file|data):/.test(request.url())) said.push(request.url());
    });
    await page.goto(pathToFileURL(path).href);
    await page.waitForSelector("html[data-ready]");
    return { page, said };
  }

  it("shows two runs with all that there is, in light and dark, and asks nobody for anything", async () => {
    const pictures: Buffer[] = [];
    for (const scheme of ["light", "dark"] as const) {
      const { page, said } = await open([run("first", 0), run("second", 0.2)], scheme);
      expect(said).toEqual([]);
      expect(await page.title()).toBe("Cats & <dogs>");
      const headings = await page.locator("h2").allTextContents();
      expect(headings).toEqual([
        "Runs",
        "Losses and metrics",
        "Learning rate",
        "Layers of first",
        "Layers of second",
        "Evaluation of first",
        "Evaluation of second",
        "Profile of first",
        "Profile of second",
      ]);
      const captions = await page.locator(".plots figcaption").allTextContents();
      expect(captions.slice(0, 3)).toEqual(["loss of each step", "loss", "accuracy"]);
      expect(captions).toHaveLength(3 + 1 + 4 + 4);
      expect(await page.locator(".u-legend").nth(1).textContent()).toContain("second, validation");
      expect(await page.locator("pre").first().textContent()).toBe("dense [10]\n</script><b>bold");
      expect(await page.locator(".warning").first().textContent()).toBe(
        "first, step 1: inputs <b>are</b> large (unscaled)",
      );
      expect(await page.locator("table.confusion").first().locator("td").allTextContents()).toEqual([
        "8",
        "2",
        "1",
        "9",
      ]);
      expect(await page.locator("main").textContent()).toContain("abc123");
      const flame = page.locator(".flame").first().locator("button");
      const names = ["step", "0", "linear (gemm)", "<b>matmul (gemm)", "adam"];
      expect(await flame.allTextContents()).toEqual(names);
      expect(await flame.nth(3).getAttribute("title")).toBe("<b>matmul (gemm): 0.200 ms");
      expect(await page.locator("table.numbers").first().locator("tr").nth(1).locator("td").allTextContents()).toEqual([
        "0",
        "<b>matmul",
        "gemm",
        "[8, 10]",
        "1",
        "0.2000",
        "50.0 %",
        "2.0",
        "3.00",
        "30 %",
      ]);
      // As wide as their time, and a click makes a part as wide as all.
      const widthOf = async (index: number) => (await flame.nth(index).boundingBox())?.width ?? 0;
      expect((await widthOf(3)) / (await widthOf(0))).toBeCloseTo(0.5, 2);
      expect((await widthOf(4)) / (await widthOf(0))).toBeCloseTo(0.25, 2);
      const whole = await widthOf(0);
      await flame.nth(1).click();
      expect(await flame.allTextContents()).toEqual(names.slice(1, 4));
      expect(await widthOf(0)).toBeCloseTo(whole, 0);
      await flame.nth(0).click();
      expect(await flame.allTextContents()).toEqual(names);
      pictures.push(await page.screenshot({ fullPage: true, path: join(folder, `${scheme}.png`) }));
      await page.close();
    }
    expect(pictures[0]?.equals(pictures[1] as Buffer)).toBe(false);
  });

  it("takes a profile of a step as it is", async () => {
    const model = sequential({ input: [4] }, dense(8), dense(3));
    const data = { x: new Float32Array(64), y: new Uint8Array(16) };
    const options = {
      loss: crossEntropy(),
      optimizer: sgd({ learningRate: 0.1 }),
      batchSize: 8,
      millisecondsEach: 0.02,
    };
    const { records } = parseRun("profiled", JSON.stringify(await profile(model, data, options)));
    const { page, said } = await open([{ name: "profiled", records }], "light");
    expect(said).toEqual([]);
    expect(await page.locator("h2").allTextContents()).toEqual(["Runs", "Losses and metrics", "Profile"]);
    const names = await page.locator(".flame button").allTextContents();
    expect(names).toEqual(expect.arrayContaining(["step", "0", "1", "linear (gemm)", "softmaxCrossEntropy"]));
    await page.close();
  });

  it("has plots with lines in them, which the slider smooths", async () => {
    const { page, said } = await open([run("only", 0)], "light");
    const drawn = () =>
      page.evaluate(() => {
        const canvas = document.querySelector(".plots canvas") as HTMLCanvasElement;
        const { data } = (canvas.getContext("2d") as CanvasRenderingContext2D).getImageData(
          0,
          0,
          canvas.width,
          canvas.height,
        );
        let blue = 0;
        for (let i = 0; i < data.length; i += 4)
          if (data[i] === 10 && data[i + 1] === 110 && data[i + 2] === 189) blue++;
        return { blue, text: canvas.toDataURL().length };
      });
    const before = await drawn();
    expect(before.blue).toBeGreaterThan(100);
    await page.locator("#smoothing").fill("0");
    await expect.poll(async () => (await drawn()).text).not.toBe(before.text);
    await page.locator("#logarithmic").check();
    expect((await drawn()).blue).toBeGreaterThan(100);
    expect(await page.locator("h2").allTextContents()).toContain("Layers");
    expect(said).toEqual([]);
    await page.close();
  });
});

describe("files", () => {
  it("are read under their names, and a page is written of their paths", async () => {
    const log = join(folder, "adam.run.jsonl");
    writeFileSync(
      log,
      run("x", 0)
        .records.map((record) => `${JSON.stringify(record)}\n`)
        .join(""),
    );
    expect((await readRun(log)).name).toBe("adam.run");
    const path = join(folder, "page.html");
    await writeReport(path, [log]);
    const html = readFileSync(path, "utf8");
    expect(html).toContain("adam.run");
    expect(html).not.toContain("</script><b>");
    await expect(writeReport(path, [join(folder, "none.jsonl")])).rejects.toThrow("none.jsonl");
    await expect(writeReport(path, [])).rejects.toThrow("writeReport: runs must be a list");
    expect(readFileSync(path, "utf8")).toBe(html);
    expect(() => renderReport([{ name: "x" }] as never, { script: "", style: "" })).toThrow(
      "renderReport: runs must be a list of what parseRun() gives",
    );
    expect(() => renderReport([run("x", 0)], {} as never)).toThrow("library must be the files of uPlot");
  });
});
