import { readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";
import { createEngineSync } from "../../src/engine/engine.js";
import { forMemory } from "../../src/engine/module.js";
import { adam, compileSync, dense, meanSquaredError, sequential, tanh } from "../../src/platform/node.js";

const bytes = readFileSync(new URL(`${process.env.STEEPEST_WASM_FOLDER ?? "../../dist/"}strict.wasm`, import.meta.url));

test("one file serves shared and plain memory", () => {
  const plain = new WebAssembly.Module(forMemory(bytes, false));
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
  const { exports } = new WebAssembly.Instance(plain, { env: { memory } });
  const values = new Float32Array(memory.buffer, 1024, 8);
  values.set([1, 2, 3, 4, 10, 20, 30, 40]);
  (exports.add as (...args: number[]) => void)(0, 1, 1024, 1024, 1040, 4);
  expect([...values.subarray(0, 4)]).toEqual([11, 22, 33, 44]);
  expect(() => new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } })).toThrow();
  expect(forMemory(bytes, true)).toBe(bytes);
  expect(() => forMemory(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0), false)).toThrow(/import no shared memory/);
});

test("an unknown build is refused; an engine that was disposed of gives nothing", () => {
  expect(() => createEngineSync({ build: "quick" as never })).toThrow(
    /build must be "strict" or "fast" or "wide", got "quick"/,
  );
  const engine = createEngineSync({ build: "fast" });
  engine.dispose();
  expect(() => engine.floats(64, 1)).toThrow(/disposed of/);
});

test("the kernels with assertions, which the package leaves out, run in place of the others", async () => {
  vi.stubEnv("STEEPEST_WASM_FOLDER", "../../build/debug/");
  vi.resetModules();
  try {
    const { compileSync, dense, meanSquaredError, sequential, sgd } = await import("../../src/platform/node.js");
    using trainer = compileSync(sequential({ input: [3] }, dense(2)), { loss: meanSquaredError(), optimizer: sgd() });
    const [first, second] = trainer.trainStepsSync({ x: [1, 2, 3], y: [1, 2] }, { steps: 2 });
    expect(second).toBeLessThan(first);
  } finally {
    vi.unstubAllEnvs();
    vi.resetModules();
  }
});

test("where the runtime has no shared memory, a plain one does the same", async () => {
  const run = (): Float32Array => {
    using trainer = compileSync(sequential({ input: [3] }, dense(5), tanh(), dense(1)), {
      loss: meanSquaredError(),
      optimizer: adam({ learningRate: 0.1 }),
      seed: 3,
    });
    // More data than the first pages hold: plain memory is detached when it grows.
    const x = Float32Array.from({ length: 300_000 }, (_, i) => Math.sin(i));
    return trainer.trainStepsSync({ x, y: x.subarray(0, 100_000) }, { steps: 20, batchSize: 64 });
  };
  const shared = run();
  vi.stubGlobal("SharedArrayBuffer", undefined);
  try {
    expect(createEngineSync().shared).toBe(false);
    expect(run()).toEqual(shared);
  } finally {
    vi.unstubAllGlobals();
  }
});
