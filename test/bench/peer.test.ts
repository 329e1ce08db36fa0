import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { encode } from "../../bench/conversation.js";
import { createRandom, uniformValues } from "../../bench/data.js";
import { startPeer } from "../../bench/peer.js";
import { commandOf, INSTALL_HINT, PEERS, type PeerCommand } from "../../bench/peerList.js";
import { CheckError, LeftOut, type PeerTask, type PeerWork } from "../../bench/workload.js";
import { checkProduct } from "../../bench/workloads/product.js";
import { checkFalling } from "../../bench/workloads/training.js";

const program = fileURLToPath(new URL("./fakePeer.mjs", import.meta.url));
const fakePeer = (fault = ""): PeerCommand => ({ command: process.execPath, args: [program, fault] });

const trainTask: PeerTask = {
  kind: "train",
  sizes: [2, 1],
  hidden: "relu",
  loss: "binaryCrossEntropy",
  optimizer: "sgd",
  learningRate: 1,
  batch: 1,
  batches: 2,
  x: Float32Array.of(0, 1, 1, 0),
  y: Float32Array.of(0, 1),
  initial: [],
  results: 4,
};
const training: PeerWork = { task: trainTask, check: (losses) => checkFalling(losses, 4) };
const prediction: PeerWork = { task: { kind: "predict", sizes: [], x: new Float32Array(0), initial: [] }, check() {} };

describe("a peer", () => {
  test("is asked for its first losses, which are checked, and then takes its own time", async () => {
    const seen: unknown[] = [];
    const peer = await startPeer(fakePeer("wrong batch"), {
      task: trainTask,
      check: (losses, alike) => seen.push([...losses], alike),
    });
    expect(seen).toEqual([[4, 3, 2, 1], false]);
    expect([peer.version, peer.note]).toEqual(["1.2.3", "counts down"]);
    for (const steps of [1, 5]) {
      await peer.reset();
      expect((await peer.run(steps)).elapsedMs).toBeGreaterThanOrEqual(0);
    }
    peer.dispose();
  });

  test("gets arrays bit by bit", async () => {
    const n = 9;
    const random = createRandom(1);
    const [a, b] = [uniformValues(random, n * n), uniformValues(random, 2 * n * n).subarray(n * n)];
    const check = (c: readonly number[]) => checkProduct(Float32Array.from(c), a, b, n, random);
    const peer = await startPeer(fakePeer(), { task: { kind: "product", n, a, b }, check });
    await peer.run(3);
    peer.dispose();
  });

  test("with a wrong result is refused, NaN too, which JSON does not have", async () => {
    const rising: PeerWork = { ...training, check: (losses) => checkFalling(losses.toReversed(), 4) };
    await expect(startPeer(fakePeer(), rising)).rejects.toThrow(CheckError);
    await expect(startPeer(fakePeer("NaN"), training)).rejects.toThrow(
      "loss must fall in 4 steps, went from NaN to NaN",
    );
  });

  test("says what it leaves out", async () => {
    await expect(startPeer(fakePeer(), prediction)).rejects.toThrow(new LeftOut("sees no future"));
    await expect(startPeer(fakePeer("ignorant"), prediction)).rejects.toThrow(new LeftOut("prediction not measured"));
  });

  test("that fails says why", async () => {
    await expect(startPeer(fakePeer("crash"), training)).rejects.toThrow(
      /^the peer ended with exit code 1: .*no luck/s,
    );
    await expect(startPeer(fakePeer("noise"), prediction)).rejects.toThrow(
      "the peer: a line must be JSON, got not JSON",
    );
    await expect(startPeer({ command: `${program}-missing`, args: [] }, training)).rejects.toThrow("ENOENT");
    const peer = await startPeer(fakePeer("fails"), training);
    await expect(peer.run(1)).rejects.toThrow("cannot step");
    peer.dispose();
  });
});

test.each(PEERS)("%s has a program, or it is said what is missing", (name) => {
  const found = commandOf(name);
  if ("leftOut" in found) expect([INSTALL_HINT, "there is no /usr/bin/python3"]).toContain(found.leftOut);
  else expect(existsSync(found.args[0])).toBe(true);
});

test("encode: typed arrays are base64 of their bytes, also as part of a longer buffer", () => {
  const message = { x: Float32Array.of(9, 1, -2).subarray(1), y: Uint32Array.of(258) };
  // 1 = 0x3f800000, -2 = 0xc0000000, 258 = 0x102, little-endian
  const base64 = (...bytes: number[]) => Buffer.from(bytes).toString("base64");
  expect(JSON.parse(encode(message))).toEqual({
    x: { float32: base64(0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0) },
    y: { uint32: base64(2, 1, 0, 0) },
  });
});
