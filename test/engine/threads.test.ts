// The interpreter alone, without the engine around it: its barrier and the range-of-units rule. Here worker
// threads run one program together over the shared memory, and must give the bits of a single thread.
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { CONTROL_BYTES } from "../../src/engine/constants.js";
import { CRASHED } from "../../src/engine/control.js";
import { rows, serial, startRecording } from "../../src/engine/instructions.js";

const bytes = readFileSync(new URL(`${process.env.STEEPEST_WASM_FOLDER ?? "../../dist/"}strict.wasm`, import.meta.url));
const module = new WebAssembly.Module(bytes);

const WORKER = `
  const { workerData, parentPort } = require("node:worker_threads");
  const { module, memory, thread, threads, program, end, steps, barrier, scratch } = workerData;
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  parentPort.postMessage(exports.run(program, end, steps, thread, threads, barrier, scratch + thread * (1 << 20)));
`;

const N = 96;
const STEPS = 25;

/** total += sum of C; C = A·B; A = A + C·1e-3: parallel and serial instructions in turn, each needing the one before. */
async function runWith(threads: number): Promise<Uint32Array> {
  const memory = new WebAssembly.Memory({ initial: 200, maximum: 65536, shared: true });
  const at = (index: number): number => 131072 + index * N * N * 4;
  const [a, b, c] = [at(0), at(1), at(2)];
  const [barrier, total] = [at(3), at(3) + CONTROL_BYTES];
  const [program, scratch] = [total + 64, 2 << 20];
  const values = new Float32Array(memory.buffer);
  for (let i = 0; i < 2 * N * N; i++) values[a / 4 + i] = ((i * 7919) % 1000) / 1000 - 0.5;
  const { record, words } = startRecording();
  const parallel = (units: number) => rows(units, 1e9);
  record.gemm(parallel(N * Math.ceil(N / 256)), c, a, b, 0, N, N, N, 0, 0, 0, 256);
  record.addTotals(serial, total, c, 1, 1);
  record.scaleShift(parallel((N * N) / 4), c, c, N * N, 1e-3, 0);
  record.add(parallel((N * N) / 4), a, a, c, N * N);
  record.addTotals(serial, total, a, 1, 1);
  const instructions = words();
  new Uint32Array(memory.buffer, program, instructions.length).set(instructions);
  const shared = {
    module,
    memory,
    threads,
    program,
    end: program + instructions.byteLength,
    steps: STEPS,
    barrier,
    scratch,
  };
  const done = await Promise.all(
    Array.from({ length: threads }, (_, thread) => {
      const worker = new Worker(WORKER, { eval: true, workerData: { ...shared, thread } });
      return new Promise<number>((resolve, reject) => worker.once("message", resolve).once("error", reject));
    }),
  );
  expect(done).toEqual(new Array(threads).fill(STEPS));
  return new Uint32Array(memory.buffer.slice(a, total + 8));
}

test("1, 2, 3 and 8 threads give the same bits", async () => {
  const alone = await runWith(1);
  expect(alone.some((word) => word !== 0)).toBe(true);
  for (const threads of [2, 3, 8]) {
    const together = await runWith(threads);
    const start = alone.length - 2;
    expect(together.subarray(start)).toEqual(alone.subarray(start));
    expect(together.subarray(0, 3 * N * N)).toEqual(alone.subarray(0, 3 * N * N));
  }
});

test("a crashed thread ends the others' wait", async () => {
  const memory = new WebAssembly.Memory({ initial: 4, maximum: 65536, shared: true });
  const barrier = 131072;
  const { record, words } = startRecording();
  record.fill(rows(4, 1e9), 140000, 16, 1);
  const instructions = words();
  new Uint32Array(memory.buffer, 150016, instructions.length).set(instructions);
  const workerData = {
    module,
    memory,
    thread: 0,
    threads: 2,
    program: 150016,
    end: 150016 + instructions.byteLength,
    steps: 3,
    barrier,
    scratch: 0,
  };
  const worker = new Worker(WORKER, { eval: true, workerData });
  const done = new Promise<number>((resolve, reject) => worker.once("message", resolve).once("error", reject));
  Atomics.store(new Int32Array(memory.buffer), barrier / 4 + CRASHED, 1);
  expect(await done).toBe(0);
});
