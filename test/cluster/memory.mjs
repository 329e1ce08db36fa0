// Loaded before a worker or a coordinator, with --expose-gc: on SIGUSR2 it prints what is alive, as a line of JSON. `objects` is what
// programs hold: objects, arrays, strings, functions. The heap also has V8's own code, which grows for thousands of rounds while more
// functions are compiled and their types are learnt, and shrinks when unused code is thrown away: it says nothing about leaks.
import { setTimeout as sleep } from "node:timers/promises";
import { getHeapSnapshot } from "node:v8";

const NOT_HELD = new Set(["code", "hidden", "synthetic", "native"]);

/** Bytes by the types of V8's heap snapshots. */
async function bytesByType() {
  const chunks = [];
  for await (const chunk of getHeapSnapshot()) chunks.push(chunk);
  const { nodes, snapshot } = JSON.parse(Buffer.concat(chunks));
  const { node_fields: fields, node_types: types } = snapshot.meta;
  const [type, size] = [fields.indexOf("type"), fields.indexOf("self_size")];
  const bytes = {};
  for (let node = 0; node < nodes.length; node += fields.length) {
    const name = types[type][nodes[node + type]];
    bytes[name] = (bytes[name] ?? 0) + nodes[node + size];
  }
  return bytes;
}

process.on("SIGUSR2", async () => {
  // Buffers are freed by another thread, after the collection that has found them unused.
  for (let time = 0; time < 3; time++) {
    globalThis.gc();
    await sleep(100);
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  const types = await bytesByType();
  const objects = Object.entries(types).reduce((sum, [type, bytes]) => (NOT_HELD.has(type) ? sum : sum + bytes), 0);
  console.log(JSON.stringify({ event: "memory", objects, arrayBuffers, code: types.code, heapUsed }));
});
