// The short form of `npm run test:mutations`: every mutation of a valid file is read, or refused by an error of the library, asks for no
// more memory than files of its size may, and changes no model that is there. No time is asserted, but what hangs is ended.
import { expect, test } from "vitest";
import { sweeps } from "./watched.js";

/** At least this many are read here of formats whose reader takes microseconds; and of all of them by the long form. */
const MANY = 100_000;
const IN_WHOLE = ["safetensors", "PyTorch", "NumPy array", "NumPy archive", "IDX", "brain.js"];

test("mutations of files of each format", async () => {
  const all = await sweeps(["brief"]);
  expect(all.filter(({ wrong }) => wrong.length > 0)).toEqual([]);
  // A mutation that were none would not be refused.
  expect(all.filter(({ refused, count }) => count >= 100 && refused < count / 2)).toEqual([]);
  const counts = new Map<string, number>();
  for (const { of, count } of all) counts.set(of, (counts.get(of) ?? 0) + count);
  expect([...counts].filter(([, count]) => count >= MANY).map(([of]) => of)).toEqual(IN_WHOLE);
  const others = ["sharded safetensors", "saved model", "checkpoint", "ONNX", "TensorFlow.js", "Keras"];
  expect([...counts.keys()].sort()).toEqual([...IN_WHOLE, ...others].sort());
});
