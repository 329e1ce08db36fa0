// Stores of checkpoints, in memory and wherever the runtime has one: what each must do, and the latest that is whole.
import { expect } from "./checks.js";
import { sameBits } from "./numbers.js";

export async function checkStores({ steepest, io }, kit, checks) {
  if (io === undefined) return checks.skip("stores", "without steepest/io");
  const name = `steepest-${Math.random().toString(36).slice(2)}`;
  const checkpoint = await checkpointOf(steepest, kit);
  const check = (what, store) => checks.check(what, () => checkStore(io, store(), checkpoint));
  await check("memoryStore", io.memoryStore);
  const isPage = kit.file === undefined;
  const handle = globalThis.FileSystemFileHandle?.prototype;
  const hasOpfs = globalThis.navigator?.storage?.getDirectory !== undefined && handle?.createWritable !== undefined;
  if (hasOpfs) await check("opfsStore", () => io.opfsStore(`${name}/checkpoints`));
  else if (isPage) checks.skip("opfsStore", "this runtime has no such files");
  if (globalThis.indexedDB !== undefined) await check("indexedDbStore", () => io.indexedDbStore(name));
  else if (isPage) checks.skip("indexedDbStore", "this runtime has no such database");
  if (kit.file !== undefined) await check("folderStore", () => io.folderStore(`${kit.file}.checkpoints`));
}

async function checkpointOf({ compile, dense, meanSquaredError, sequential, sgd }, kit) {
  const options = { loss: meanSquaredError(), optimizer: sgd({ momentum: 0.9 }), seed: 3, engine: kit.engine };
  const trainer = await compile(sequential({ input: [2] }, dense(1)), options);
  await trainer.trainSteps({ x: Float32Array.of(1, 2, 3, 4), y: Float32Array.of(1, 2) }, { steps: 3 });
  const checkpoint = trainer.checkpoint();
  trainer.dispose();
  return checkpoint;
}

/** What every store does; it must be empty, and is so at the end. */
export async function checkStore(io, store, checkpoint) {
  const list = async () => (await store.list()).join();
  expect((await list()) === "", `a new store has ${await list()}`);
  expect((await io.loadLatest(store)) === undefined, "an empty store has a latest checkpoint");
  await store.remove("none");
  const bytes = io.encodeCheckpoint(checkpoint, { step: "10" });
  // A part of a buffer, shared where that can be, and changed as soon as the save has been awaited.
  const buffer = globalThis.SharedArrayBuffer === undefined ? new ArrayBuffer(99999) : new SharedArrayBuffer(99999);
  const part = new Uint8Array(buffer, 8, bytes.length);
  part.set(bytes);
  await store.save("step-10", part);
  part.fill(7);
  await store.save("step-9", io.encodeCheckpoint(checkpoint, { step: "9" }));
  expect((await list()) === "step-9,step-10", `not in natural order: ${await list()}`);
  const loaded = await store.load("step-10");
  expect(sameBits(loaded, bytes), "other bytes than were saved");
  loaded.fill(1);
  expect(sameBits(await store.load("step-10"), bytes), "what load() gave is not a copy");
  const latest = await io.loadLatest(store);
  expect(latest.name === "step-10" && latest.checkpoint.metadata.step === "10", `the latest is ${latest.name}`);
  await fails(store.load("step-8"), /store must have "step-8", it has step-9, step-10: /);
  await fails(store.save("../x", bytes), /name must be of letters/);
  await fallBack(io, store, bytes);
  // Of several at once, the last one asked for stays.
  const versions = Array.from({ length: 5 }, (_, index) => new Uint8Array(1000 - index).fill(index));
  await Promise.all(versions.map((version) => store.save("raced", version)));
  expect(sameBits(await store.load("raced"), versions[4]), "not the last of several saves");
  await Promise.all(["step-9", "step-10", "raced"].map((name) => store.remove(name)));
  expect((await list()) === "", `${await list()} were removed`);
}

/** The latest is torn, then altered, then empty: each time the one before it comes, and it says so. */
async function fallBack(io, store, bytes) {
  const altered = bytes.slice();
  altered[bytes.length - 3] ^= 4;
  const { warn } = console;
  const said = [];
  console.warn = (text) => said.push(text);
  try {
    for (const bad of [bytes.subarray(0, bytes.length - 9), altered, new Uint8Array(0)]) {
      await store.save("step-11", bad);
      const { name, skipped } = await io.loadLatest(store, { prefix: "step-" });
      expect(name === "step-10", `the latest that is whole is ${name}`);
      expect(skipped.length === 1 && skipped[0].name === "step-11", "it does not say what it skipped");
      expect(skipped[0].error.name === "FormatError", `skipped for ${skipped[0].error}`);
    }
    expect(said.length === 3 && said.every((text) => text.includes("step-11")), `it said ${said.join("; ")}`);
    await fails(io.loadLatest(store, { prefix: "step-11" }), /must be whole.*step-11/);
  } finally {
    console.warn = warn;
  }
  await store.remove("step-11");
}

async function fails(promise, message) {
  const outcome = await promise.then(
    () => "no error",
    (error) => String(error.message),
  );
  expect(message.test(outcome), `${message} is not in: ${outcome}`);
}
