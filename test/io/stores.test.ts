// Stores of checkpoints under Node; those of browsers are tested where these are: test/everywhere/suite/stores.js.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  compileSync,
  createEngineSync,
  dense,
  ModelError,
  meanSquaredError,
  SteepestError,
  sequential,
  sgd,
} from "steepest";
import * as io from "steepest/io";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { checkpoints } from "../../src/callbacks/index.js";
import { compareNames } from "../../src/io/store.js";
import { folderStoreOn } from "../../src/platform/folderStore.js";
// @ts-expect-error: plain JavaScript, for every runtime.
import { checkStore } from "../everywhere/suite/stores.js";
import { brokenDisk } from "./brokenDisk.js";

const engine = createEngineSync();
const root = mkdtempSync(join(tmpdir(), "steepest-stores-"));
afterEach(() => void vi.restoreAllMocks());
afterAll(() => {
  engine.dispose();
  rmSync(root, { recursive: true });
});

const trainer = compileSync(sequential({ input: [2] }, dense(40)), {
  loss: meanSquaredError(),
  optimizer: sgd({ momentum: 0.9 }),
  engine,
});
const bytesOf = (step: number) => io.encodeCheckpoint(trainer.checkpoint(), { step: String(step) });
let folders = 0;
const folderPath = () => join(root, String(++folders), "deep");

test.each([
  ["memoryStore", () => io.memoryStore()],
  ["folderStore", () => io.folderStore(folderPath())],
  ["folderStore of a URL", () => io.folderStore(pathToFileURL(folderPath()))],
])("%s does what a store does", async (_, make) => {
  await checkStore(io, make(), trainer.checkpoint());
});

test("natural order, whatever the names", () => {
  const ordered = [
    "1",
    "02",
    "2",
    "10",
    "a",
    "a1",
    "a1.x",
    "a2",
    "a10",
    "a10b2",
    "a10b11",
    "a.b",
    "best",
    "step-99999999999999999998",
    "step-99999999999999999999",
  ];
  ordered.forEach((a, i) => {
    ordered.forEach((b, j) => {
      expect(Math.sign(compareNames(a, b)), `${a}, ${b}`).toBe(Math.sign(i - j));
    });
  });
});

describe("folderStore", () => {
  test("lists files that it could have written, and nothing else", async () => {
    const path = folderPath();
    const store = io.folderStore(path);
    await store.save("step-1", bytesOf(1));
    mkdirSync(join(path, "folder"));
    for (const name of [".hidden", "a b", "-x"]) writeFileSync(join(path, name), "");
    symlinkSync(join(path, "nowhere"), join(path, "link"));
    expect(await store.list()).toEqual(["step-1"]);
    expect(readFileSync(join(path, "step-1"))).toEqual(Buffer.from(bytesOf(1)));
  });

  test("says what is wrong with a path or a name", async () => {
    expect(() => io.folderStore(5 as never)).toThrow(/folderStore: path must be text/);
    const file = join(root, "file");
    writeFileSync(file, "");
    const store = io.folderStore(file);
    await expect(store.save("a", bytesOf(1))).rejects.toThrow(SteepestError);
    await expect(store.list()).rejects.toThrow(/cannot list folder .*a part of the path is a file/);
    await expect(store.load("a")).rejects.toThrow(/cannot read file .*file\/a|cannot read file/);
    for (const name of ["", ".a", "a.", "a/b", "..", "a\\b", "ü", "x".repeat(201), 5, undefined] as string[]) {
      for (const method of ["load", "remove"] as const)
        await expect(store[method](name)).rejects.toThrow(/folderStore: \w+: name must be of letters/);
      await expect(store.save(name, bytesOf(1))).rejects.toThrow(ModelError);
    }
  });

  test("every call to the system that fails, in each way: a clear error, and no earlier checkpoint is lost", async () => {
    const path = folderPath();
    const sound = io.folderStore(path);
    await sound.save("step-1", bytesOf(1));
    await sound.save("step-2", bytesOf(2));
    for (const name of ["step-2", "step-3"]) {
      const undo = async () => {
        await sound.save("step-2", bytesOf(2));
        await sound.remove("step-3");
      };
      await undo();
      const { calls } = await savesOn(path, name, bytesOf(3), {});
      expect(calls.length).toBeGreaterThan(10);
      for (const [index, call] of calls.entries()) {
        for (const code of ["ENOSPC", "EIO"]) {
          await undo();
          const { error } = await savesOn(path, name, bytesOf(3), {
            fail: (_, at) => (at === index ? code : undefined),
          });
          // Only what looks for leftovers may fail in silence.
          if (error === undefined) expect(["readdir", "lstat"]).toContain(call);
          else expect(error.message, call).toMatch(/no space left on the disk|the disk has failed/);
          const isInPlace = error === undefined || index > calls.indexOf("rename");
          const latest = await io.loadLatest(sound);
          expect(latest?.skipped).toEqual([]);
          expect(latest?.checkpoint.metadata.step, `${code} of ${index}: ${call}`).toBe(isInPlace ? "3" : "2");
          expect((await io.loadLatest(sound, { prefix: "step-1" }))?.checkpoint.metadata.step).toBe("1");
          expect(readdirSync(path).filter((file) => file.startsWith("."))).toEqual([]);
        }
      }
    }
  });

  test("short writes are continued; a disk that takes no more is an error", async () => {
    const path = folderPath();
    const sound = io.folderStore(path);
    await sound.save("step-1", bytesOf(1));
    const short = await savesOn(path, "step-2", bytesOf(2), { shorten: (length) => Math.min(length, 7) });
    expect(short.error).toBeUndefined();
    expect((await io.loadLatest(sound))?.name).toBe("step-2");
    let left = 100;
    const full = await savesOn(path, "step-3", bytesOf(3), {
      shorten: (length) => {
        const taken = Math.min(length, left);
        left -= taken;
        return taken;
      },
    });
    expect(full.error?.message).toMatch(/the disk took 100 of \d+ bytes: free some space/);
    expect(await sound.list()).toEqual(["step-1", "step-2"]);
  });
});

test("checkpoints() of a fit whose disk fails at the nth write: the fit ends with the reason, and earlier checkpoints stay", async () => {
  const path = folderPath();
  const train = (fail: (call: string, index: number) => string | undefined) => {
    const disk = brokenDisk({ fail });
    const saver = checkpoints({ store: folderStoreOn(disk, path), everySteps: 1, keep: 2 });
    const data = { x: new Float32Array(20), y: new Float32Array(400) };
    return { disk, ended: trainer.fit(data, { epochs: 1, batchSize: 2, callbacks: [saver] }) };
  };
  const sound = io.folderStore(path);
  for (const [code, message] of [
    ["ENOSPC", /no space left on the disk: free some/],
    ["EIO", /the disk has failed: check it/],
  ] as const) {
    for (const nth of [1, 2, 4]) {
      trainer.reset();
      for (const name of await sound.list()) await sound.remove(name);
      let writes = 0;
      const { ended } = train((call) => (call === "write" && ++writes === nth ? code : undefined));
      await expect(ended).rejects.toThrow(message);
      expect(trainer.steps).toBe(nth);
      const latest = await io.loadLatest(sound);
      expect([latest?.name, latest?.checkpoint.steps]).toEqual(
        nth === 1 ? [undefined, undefined] : [`step-${nth - 1}`, nth - 1],
      );
      // The trainer is whole, and goes on from here or from there.
      expect(trainer.checkpoint().steps).toBe(nth);
      if (latest !== undefined) trainer.restore(latest.checkpoint);
    }
  }
  trainer.reset();
});

async function savesOn(path: string, name: string, bytes: Uint8Array, faults: Parameters<typeof brokenDisk>[0]) {
  const disk = brokenDisk(faults);
  let error: Error | undefined;
  await folderStoreOn(disk, path)
    .save(name, bytes)
    .catch((reason) => {
      expect(reason).toBeInstanceOf(SteepestError);
      error = reason;
    });
  return { calls: disk.calls, error };
}

describe("loadLatest", () => {
  test("skips as many as are broken, and what cannot be read, latest first", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const store = io.memoryStore();
    for (const step of [8, 9, 10, 11]) await store.save(`step-${step}`, bytesOf(step));
    await store.save("step-10", new Uint8Array(20));
    const load = async (name: string) => {
      if (name === "step-11") throw new SteepestError("cannot read it: the disk has failed");
      return store.load(name);
    };
    const latest = await io.loadLatest({ ...store, load });
    expect(latest?.name).toBe("step-9");
    expect(latest?.checkpoint.metadata).toEqual({ step: "9" });
    expect(latest?.skipped.map(({ name }) => name)).toEqual(["step-11", "step-10"]);
    expect(warn.mock.calls.flat()).toEqual([
      "steepest: loadLatest skips a checkpoint: cannot read it: the disk has failed",
      expect.stringMatching(/^steepest: loadLatest skips a checkpoint: safetensors file "step-10": /),
    ]);
  });

  test("what is no error of the library's goes on; so does one of memory", async () => {
    const store = io.memoryStore();
    await store.save("a", bytesOf(1));
    const load = async () => {
      throw new TypeError("a fault of the store");
    };
    await expect(io.loadLatest({ ...store, load })).rejects.toThrow(TypeError);
  });

  test("refuses what is no store, and options that are none", async () => {
    const store = io.memoryStore();
    for (const bad of [undefined, null, 5, {}, { ...store, list: undefined }])
      await expect(io.loadLatest(bad as never)).rejects.toThrow(ModelError);
    await expect(io.loadLatest({ ...store, list: async () => "a" as never })).rejects.toThrow(
      /store.list must resolve to/,
    );
    await expect(io.loadLatest(store, { prefix: 5 as never })).rejects.toThrow(/prefix must be text, got 5/);
    await expect(io.loadLatest(store, { prefx: "a" } as never)).rejects.toThrow(/prefx/);
  });
});

test.each([
  ["opfsStore", () => io.opfsStore()],
  ["indexedDbStore", () => io.indexedDbStore()],
])("%s says so where there is no such storage", async (name, make) => {
  const store = make();
  await expect(store.list()).rejects.toThrow(`${name}: needs a browser that has this storage, got none here: use `);
  await expect(store.save("a", bytesOf(1))).rejects.toThrow(SteepestError);
  await expect(store.load("a")).rejects.toThrow(SteepestError);
  await expect(store.remove("a")).rejects.toThrow(SteepestError);
});

test("directories and databases that are none", () => {
  for (const directory of ["", "/a", "a//b", "../a", 5, null] as string[])
    expect(() => io.opfsStore(directory)).toThrow(/opfsStore: directory must be names/);
  for (const database of ["", "a b", 5, null] as string[])
    expect(() => io.indexedDbStore(database)).toThrow(/indexedDbStore: database: name must be of letters/);
});
