// The ready-made callbacks: when they stop, save and log, and that a training which goes on from a checkpoint has their memory.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  adam,
  type Callback,
  type Checkpoint,
  compileSync,
  createEngineSync,
  crossEntropy,
  dense,
  reduceOnPlateau as plateauSchedule,
  relu,
  type SaveContext,
  sequential,
  sgd,
} from "steepest";
import { checkpoints, csvLog, earlyStopping, jsonLog, reduceOnPlateau, timeLimit } from "steepest/callbacks";
import { decodeCheckpoint } from "steepest/io";
import { evaluationRecord, parseRun } from "steepest/report";
import { afterAll, describe, expect, test, vi } from "vitest";
import { performance as hostClock } from "../../src/engine/host.js";
import { blobs } from "../train/blobs.js";

const engine = createEngineSync();
const folder = mkdtempSync(join(tmpdir(), "steepest-callbacks-"));
afterAll(() => {
  engine.dispose();
  rmSync(folder, { recursive: true });
});

const model = sequential({ input: [2] }, dense(16), relu(), dense(3));
const open = (learningRate: number | ((step: number) => number) = 0.01) =>
  compileSync(model, {
    loss: crossEntropy(),
    optimizer: adam({ learningRate }),
    metrics: ["accuracy"],
    engine,
    seed: 6,
  });
const data = blobs(50);
const validation = blobs(20, 9);
const batches = { batchSize: 8, validation };

/** Sets the validation's loss that callbacks after it see, by the number of the epoch. */
function pretend(losses: readonly number[]): Callback {
  return {
    name: "pretend",
    onEpoch: ({ epoch, result }) => Object.assign(result.validation as object, { loss: losses[epoch - 1] }),
  };
}

/** A store in memory. */
function store() {
  const files = new Map<string, Uint8Array>();
  return {
    files,
    save: async (name: string, bytes: Uint8Array) => void files.set(name, bytes),
    list: async () => [...files.keys()],
    remove: async (name: string) => void files.delete(name),
  };
}

describe("earlyStopping", () => {
  const losses = [3, 2, 2.5, Number.NaN, 1.95, 2, 2, 2, 9];

  test("stops after so many epochs without progress, and brings back the best parameters", async () => {
    using trainer = open();
    const byEpoch: unknown[] = [];
    const stopping = earlyStopping({ patience: 3, minDelta: 0.1 });
    const keeper: Callback = { name: "keeper", onEpoch: ({ parameters }) => byEpoch.push(parameters()) };
    const fit = trainer.fit(data, { ...batches, epochs: 9, callbacks: [pretend(losses), keeper, stopping] });
    // 1.95 is no progress over 2: it differs by less than minDelta.
    expect(await fit).toHaveLength(5);
    expect(fit.end).toEqual({
      reason: "stopped",
      by: "earlyStopping",
      why: "validation.loss has not got better since epoch 2 (2)",
    });
    expect(stopping.best).toEqual({ value: 2, epoch: 2 });
    expect(trainer.parameters()).toEqual(byEpoch[1]);
    expect(trainer.parameters()).not.toEqual(byEpoch[4]);
  });

  test("goes the other way for what is good when it is large, and keeps the last parameters if asked", async () => {
    using trainer = open();
    const stopping = earlyStopping({ monitor: "validation.loss", mode: "max", patience: 2, restoreBest: false });
    const last: unknown[] = [];
    const keeper: Callback = {
      name: "keeper",
      onEpoch({ parameters }) {
        last[0] = parameters();
      },
    };
    const history = await trainer.fit(data, {
      ...batches,
      epochs: 9,
      callbacks: [pretend([1, 2, 1.5, 1.9, 3]), stopping, keeper],
    });
    expect(history).toHaveLength(4);
    expect(trainer.parameters()).toEqual(last[0]);
    expect(earlyStopping({ monitor: "validation.accuracy" }).name).toBe("earlyStopping");
  });

  test("remembers across a checkpoint: from each, the training ends in the same bits", async () => {
    const taken: Checkpoint[] = [];
    using trainer = open();
    await trainer.fit(data, {
      ...batches,
      epochs: 9,
      callbacks: [
        // Before the others, as it might be: it is told when to save.
        { name: "taker", every: 5, onSave: ({ checkpoint }: SaveContext) => taken.push(checkpoint()) },
        pretend(losses),
        earlyStopping({ patience: 3, minDelta: 0.1 }),
      ],
    });
    expect(taken.map(({ steps }) => steps)).toEqual([5, 7, 10, 14, 15, 20, 21, 25, 28, 30, 35]);
    for (const checkpoint of taken) {
      using other = open();
      other.restore(checkpoint);
      await other.fit(data, {
        ...batches,
        epochs: 9,
        callbacks: [pretend(losses), earlyStopping({ patience: 3, minDelta: 0.1 })],
      });
      expect(other.checkpoint()).toEqual(trainer.checkpoint());
    }
  });

  test("refuses scores that there are not when the fit begins, and says which there are", async () => {
    using trainer = open();
    const refused = async (monitor: string, options: object = {}) => {
      const fit = trainer.fit(data, { ...options, callbacks: [earlyStopping({ monitor, mode: "min" })] });
      return fit.then(
        () => "",
        (error) => `${error.name}: ${error.message}`,
      );
    };
    expect(await refused("validation.loss")).toBe(
      'ModelError: earlyStopping: monitor must be one of loss, accuracy, got "validation.loss": give fit the option validation',
    );
    expect(await refused("f1", { validation })).toBe(
      'ModelError: earlyStopping: monitor must be one of loss, accuracy, validation.loss, validation.accuracy, got "f1"',
    );
    expect(trainer.steps).toBe(0);
    expect(() => earlyStopping({ monitor: "mine" })).toThrow(
      /mode must be "min" or "max" for "mine", whose name does not/,
    );
  });
});

describe("reduceOnPlateau", () => {
  test("gives the rates of the schedule of that name, also from a checkpoint in the middle", async () => {
    const losses = [3, 3, 3, 2, 2, 2, 2, 2, 2];
    const schedule = plateauSchedule(0.01, { factor: 0.5, patience: 1 });
    using reference = open(schedule);
    for await (const { epoch } of reference.fit(data, { ...batches, epochs: 9 })) schedule.observe(losses[epoch - 1]);
    using trainer = open();
    const callbacks = () => [pretend(losses), reduceOnPlateau({ factor: 0.5, patience: 1 })];
    let middle: Checkpoint | undefined;
    const rates: unknown[] = [];
    const taker: Callback = {
      name: "taker",
      every: 7,
      onStep({ learningRate }) {
        rates.push(learningRate);
      },
      onSave({ step, checkpoint, epochEnded }) {
        if (step === 35) middle = checkpoint();
        expect(epochEnded).toBe(true);
      },
    };
    await trainer.fit(data, { ...batches, epochs: 9, callbacks: [...callbacks(), taker] });
    expect(rates).toEqual([0.01, 0.01, 0.01, 0.005, 0.005, 0.005, 0.0025, 0.0025, 0.00125]);
    expect(trainer.parameters()).toEqual(reference.parameters());
    using other = open();
    other.restore(middle as Checkpoint);
    await other.fit(data, { ...batches, epochs: 4, callbacks: callbacks() });
    expect(other.parameters()).toEqual(trainer.parameters());
  });

  test("takes NaN for no progress", async () => {
    using trainer = open();
    const rates: unknown[] = [];
    const callbacks = [
      pretend([1, Number.NaN, Number.NaN]),
      reduceOnPlateau({ patience: 0, factor: 0.5 }),
      { name: "rates", every: 7, onStep: ({ learningRate }) => rates.push(learningRate) } satisfies Callback,
    ];
    await trainer.fit(data, { ...batches, epochs: 3, callbacks });
    expect(rates).toEqual([0.01, 0.01, 0.005]);
  });
});

describe("checkpoints", () => {
  test("are saved by steps and at the end, the last ones stay, and each leads to the same bits", async () => {
    using trainer = open();
    const to = store();
    const names: string[] = [];
    const save = async (name: string, bytes: Uint8Array) => {
      names.push(name);
      await to.save(name, bytes);
    };
    await trainer.fit(data, {
      ...batches,
      epochs: 3,
      callbacks: [checkpoints({ store: { ...to, save }, everySteps: 4 })],
    });
    expect(names).toEqual([4, 8, 12, 16, 20, 21].map((step) => `step-${step}`));
    expect([...to.files.keys()]).toEqual(["step-16", "step-20", "step-21"]);
    for (const [name, bytes] of to.files) {
      using other = open();
      other.restore(decodeCheckpoint(bytes));
      const left = 21 - Number(name.slice(5));
      if (left > 0) await other.fit(data, { ...batches, callbacks: [checkpoints({ store: store() })] });
      expect(other.checkpoint()).toEqual(trainer.checkpoint());
    }
  });

  test("by epochs, and of the best one; what is remembered is in them", async () => {
    using trainer = open();
    const to = store();
    const losses = [2, 1, 3, 4];
    const callbacks = () => [pretend(losses), checkpoints({ store: to, keep: 1, best: "validation.loss" })];
    await trainer.fit(data, { ...batches, epochs: 3, callbacks: callbacks() });
    expect([...to.files.keys()].sort()).toEqual(["best", "step-21"]);
    expect(decodeCheckpoint(to.files.get("best") as Uint8Array)).toMatchObject({
      steps: 14,
      callbacks: { checkpoints: { best: 1 } },
    });
    using other = open();
    other.restore(decodeCheckpoint(to.files.get("step-21") as Uint8Array));
    await other.fit(data, { ...batches, callbacks: callbacks() });
    expect(decodeCheckpoint(to.files.get("best") as Uint8Array).steps).toBe(14);
    expect(to.files.has("step-28")).toBe(true);
  });

  test("by minutes, on the clock; and of a fit that was left, but not of one that failed", async () => {
    let now = 0;
    vi.spyOn(hostClock, "now").mockImplementation(() => now);
    try {
      using trainer = open();
      const saved: string[] = [];
      const to = { ...store(), save: async (name: string) => void saved.push(name) };
      const clock: Callback = {
        name: "clock",
        onStep() {
          now += 25_000;
        },
      };
      const options = { ...batches, epochs: 2, callbacks: [clock, checkpoints({ store: to, everyMinutes: 1 })] };
      for await (const _ of trainer.fit(data, options)) break;
      // After 75, 150 seconds; and at the end.
      expect(saved).toEqual(["step-3", "step-6", "step-7"]);
      const failing: Callback = { name: "failing", onStep: () => Promise.reject(new Error("no")) };
      const failed = trainer.fit(data, { ...batches, callbacks: [checkpoints({ store: to }), failing] });
      await expect(Promise.resolve(failed)).rejects.toThrow("no");
      expect(saved).toHaveLength(3);
    } finally {
      vi.restoreAllMocks();
    }
  });

  test("if one cannot be saved, the fit ends with that, and the ones before stay", async () => {
    using trainer = open();
    const to = store();
    const save = async (name: string, bytes: Uint8Array) => {
      if (name === "step-8") throw new Error("ENOSPC: no space left on device");
      await to.save(name, bytes);
    };
    const fit = trainer.fit(data, {
      ...batches,
      epochs: 9,
      callbacks: [checkpoints({ store: { ...to, save }, everySteps: 4 })],
    });
    await expect(Promise.resolve(fit)).rejects.toThrow(
      'fit: callback "checkpoints" threw in onSave: ENOSPC: no space left on device',
    );
    expect([...to.files.keys()]).toEqual(["step-4"]);
    expect(trainer.steps).toBe(8);
    expect(() => checkpoints({ store: to, everySteps: 1, everyMinutes: 1 })).toThrow(/take one of them/);
    expect(() => checkpoints({ store: {} } as never)).toThrow(
      "checkpoints: store.save must be a function, got undefined",
    );
  });
});

test("timeLimit stops in the midst of an epoch, on the clock", async () => {
  let now = 0;
  vi.spyOn(hostClock, "now").mockImplementation(() => now);
  try {
    using trainer = open();
    const clock: Callback = {
      name: "clock",
      onStep() {
        now += 10;
      },
    };
    const fit = trainer.fit(data, { ...batches, epochs: 100, callbacks: [clock, timeLimit(95)] });
    expect(await fit).toHaveLength(1);
    expect(fit.end).toEqual({ reason: "stopped", by: "timeLimit", why: "95 ms have passed" });
    expect(trainer.steps).toBe(10);
    // Each fit has its own time.
    await trainer.fit(data, { ...batches, callbacks: [clock, timeLimit(95)] });
    expect(trainer.steps).toBe(14);
  } finally {
    vi.restoreAllMocks();
  }
});

describe("logs", () => {
  test("csvLog has a line an epoch, and goes on in a file that is there", async () => {
    using trainer = open();
    const path = join(folder, "log.csv");
    const first = await trainer.fit(data, { ...batches, epochs: 2, callbacks: [csvLog(path)] });
    await trainer.fit(data, { ...batches, callbacks: [csvLog(path)] });
    const [heading, ...lines] = readFileSync(path, "utf8").trimEnd().split("\n");
    const columns = "epoch,step,durationMs,loss,accuracy,validation.loss,validation.accuracy";
    expect(heading).toBe(columns);
    expect(lines).toHaveLength(3);
    const [epoch, step, , loss, accuracy, validationLoss] = lines[1].split(",").map(Number);
    const { validation: scored } = first[1];
    expect({ epoch, step, loss, accuracy }).toMatchObject({
      epoch: 2,
      step: 14,
      loss: first[1].loss,
      accuracy: first[1].accuracy,
    });
    expect(validationLoss).toBe(scored?.loss);
    await expect(
      Promise.resolve(trainer.fit(data, { callbacks: [csvLog(join(folder, "no", "log.csv"))] })),
    ).rejects.toThrow(/csvLog: the log must be a file that can be written, got ".*" \(ENOENT\): check its folder/);
  });

  test("jsonLog has all there is to know of a run", async () => {
    using trainer = open();
    const lines: Record<string, unknown>[] = [];
    const target = { write: (text: string) => void lines.push(JSON.parse(text)), close: vi.fn() };
    await trainer.fit(data, { ...batches, epochs: 2, callbacks: [jsonLog(target, { layers: true })] });
    expect(target.close).toHaveBeenCalledOnce();
    const of = (type: string) => lines.filter((line) => line.type === type);
    expect(lines[0]).toMatchObject({
      type: "begin",
      version: "source",
      seed: 6,
      build: trainer.build,
      threads: trainer.threads,
      optimizer: "adam",
      batchSize: 8,
      epochs: 2,
      step: 0,
      scores: ["loss", "accuracy", "validation.loss", "validation.accuracy"],
      summary: expect.stringMatching(/99 parameters; planned for batches of 8/),
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    });
    using plain = open();
    const losses = plain.trainStepsSync(data, { steps: 14, batchSize: 8 });
    expect(of("steps").flatMap((line) => line.losses)).toEqual([...losses]);
    expect(of("steps").at(-1)).toMatchObject({ step: 14, learningRate: 0.01 });
    expect(of("epoch").map(({ epoch, step }) => [epoch, step])).toEqual([
      [1, 7],
      [2, 14],
    ]);
    expect(of("epoch")[1]).toMatchObject({ validation: trainer.evaluateSync(validation) });
    const [first, second] = of("layers") as {
      weights: Record<string, { counts: number[] }>;
      updates: Record<string, number>;
    }[];
    expect(Object.keys(first.updates)).toEqual(["0.weight", "0.bias", "2.weight", "2.bias"]);
    expect(first.updates["2.weight"]).toBeGreaterThan(0);
    expect(second.weights["0.weight"].counts.reduce((sum, count) => sum + count)).toBe(32);
    expect(lines.at(-1)).toMatchObject({ type: "end", reason: "finished", step: 14 });
    // The same training has the same digest.
    const again: Record<string, unknown>[] = [];
    using other = open();
    const log = jsonLog({ write: (text) => void again.push(JSON.parse(text)) }, { steps: false });
    await other.fit(data, { ...batches, epochs: 2, callbacks: [log] });
    expect(again.at(-1)?.digest).toBe(lines.at(-1)?.digest);
    expect(again.map(({ type }) => type)).toEqual(["begin", "epoch", "epoch", "end"]);
  });

  test("jsonLog has norms of gradients, of samples that are given, and reports take what it writes", async () => {
    using trainer = open();
    let text = "";
    const write = (line: string) => {
      text += line;
    };
    const gradients = () => trainer.gradients(data);
    await trainer.fit(data, { ...batches, callbacks: [jsonLog({ write }, { gradients })] });
    const { records } = parseRun("run", text);
    const [line] = records.filter(({ type }) => type === "layers") as { gradients: Record<string, number> }[];
    const wanted = [...trainer.gradientsSync(data)].map(([path, { data }]) => [path, Math.hypot(...data)] as const);
    expect(Object.keys(line?.gradients ?? {})).toEqual(wanted.map(([path]) => path));
    for (const [path, norm] of wanted) expect(line?.gradients[path]).toBeCloseTo(norm, 5);
    expect(line).not.toHaveProperty("weights");
    expect(records.map(({ type }) => type)).toEqual(expect.arrayContaining(["begin", "steps", "epoch", "end"]));
    const warned = jsonLog({ write });
    warned.warn({ code: "early", message: "before", remedy: "wait" });
    const late: Callback = {
      name: "late",
      onEpoch: () => warned.warn({ code: "late", message: "found", remedy: "do" }),
    };
    text = "";
    await trainer.fit(data, { ...batches, callbacks: [warned, late] });
    const warnings = parseRun("run", text).records.filter(({ type }) => type === "warning");
    expect(warnings).toEqual([
      { type: "warning", code: "early", message: "before: wait" },
      { type: "warning", code: "late", message: "found: do" },
    ]);
    const wrong = jsonLog({ write }, { gradients: () => [] as never });
    await expect(trainer.fit(data, { callbacks: [wrong] }).then()).rejects.toThrow(
      "jsonLog: gradients must give a Map",
    );
  });

  test("jsonLog has further records at the end, but of no fit that failed, and refuses what is none", async () => {
    using trainer = open();
    const lines: Record<string, unknown>[] = [];
    const write = (line: string) => void lines.push(JSON.parse(line));
    const types = () => lines.splice(0).map(({ type }) => type);
    const atEnd = async () => [await evaluationRecord(trainer, data), { toJSON: () => ({ type: "profile" }) }];
    await trainer.fit(data, { ...batches, callbacks: [jsonLog({ write }, { steps: false, atEnd })] });
    expect(types()).toEqual(["begin", "epoch", "evaluation", "profile", "end"]);
    const failing: Callback = { name: "failing", onEpoch: () => Promise.reject(new Error("enough")) };
    const log = jsonLog({ write }, { steps: false, atEnd });
    await expect(trainer.fit(data, { callbacks: [log, failing] }).then()).rejects.toThrow("enough");
    expect(types()).toEqual(["begin", "epoch", "end"]);
    for (const none of [undefined, {}, [{}], [null], { type: "evaluation" }]) {
      const wrong = jsonLog({ write }, { atEnd: () => none as never });
      await expect(trainer.fit(data, { callbacks: [wrong] }).then()).rejects.toThrow(
        "jsonLog: atEnd must give a list of records",
      );
    }
  });

  test("jsonLog counts what is finite in histograms alone", async () => {
    // The first input is so large that its weights overflow in the first step.
    const model = sequential({ input: [2] }, dense(2));
    using trainer = compileSync(model, { optimizer: sgd({ learningRate: 10 }), loss: crossEntropy(), tripwire: false });
    const x = [[3e38, 1], [3e38, 1]]; // biome-ignore format: a row each
    const lines: { type: string; weights?: unknown }[] = [];
    const write = (line: string) => void lines.push(JSON.parse(line));
    const callback = jsonLog({ write }, { layers: true });
    await trainer.fit({ x, y: [0, 1] }, { callbacks: [callback] });
    const { data: weights } = trainer.parameters().get("0.weight") as { data: Float32Array };
    expect([...weights.subarray(0, 2)].map(Math.abs)).toEqual([Infinity, Infinity]);
    const finite = [...weights.subarray(2)];
    const spread = lines.find(({ type }) => type === "layers")?.weights as Record<string, { counts: number[] }>;
    expect(spread["0.weight"]).toMatchObject({ min: Math.min(...finite), max: Math.max(...finite) });
    expect(spread["0.weight"]?.counts.reduce((sum, count) => sum + count)).toBe(2);
  });
});

describe("validationSplit", () => {
  test("takes the last samples, before anything is shuffled", async () => {
    const count = 40;
    const parts = [
      { x: data.x.slice(0, count * 2), y: data.y.slice(0, count) },
      { x: data.x.slice(count * 2), y: data.y.slice(count) },
    ] as const;
    using reference = open();
    const expected = await reference.fit(parts[0], { batchSize: 8, epochs: 2, validation: parts[1] });
    const nested = { x: Array.from({ length: 50 }, (_, i) => [...data.x.subarray(i * 2, i * 2 + 2)]), y: [...data.y] };
    const list = nested.x.map((x, index) => ({ x, y: nested.y[index] }));
    for (const samples of [data, nested, list]) {
      using trainer = open();
      const history = await trainer.fit(samples, { batchSize: 8, epochs: 2, validationSplit: 0.2 });
      expect(history.map(({ validation }) => validation)).toEqual(expected.map(({ validation }) => validation));
      expect(history[0].samples).toBe(40);
      expect(trainer.checkpoint()).toEqual(reference.checkpoint());
    }
  });

  test("is rounded up, so that the validation has no less than its share", async () => {
    using trainer = open();
    expect((await trainer.fit(blobs(10), { validationSplit: 0.25 }))[0].samples).toBe(7);
  });

  test("is refused next to validation, for loaded data, and if nothing is left", async () => {
    using trainer = open();
    const refused = (given: never, options: object) =>
      trainer.fit(given, options).then(
        () => "",
        (error) => error.message,
      );
    expect(await refused(data as never, { validationSplit: 0.5, validation })).toMatch(
      /validationSplit must be left out next to validation, got 0.5: take one/,
    );
    expect(await refused(data as never, { validationSplit: 1 })).toMatch(/must be a number above 0 and below 1, got 1/);
    expect(await refused(blobs(3) as never, { validationSplit: 0.9 })).toMatch(
      /must leave samples for both parts, got 0.9 of 3/,
    );
    expect(await refused(data as never, { validationSplit: 1e-17 })).toMatch(
      /must leave samples for both parts, got 1e-17 of 50/,
    );
    using loaded = trainer.load(data);
    expect(await refused(loaded as never, { validationSplit: 0.5 })).toMatch(
      /needs samples that are handed in as arrays/,
    );
    expect(trainer.steps).toBe(0);
  });
});
