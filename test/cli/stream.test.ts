// Rows go through the program piece by piece: a heap in which the table would have no room is enough.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { compile, dense, meanSquaredError, sequential } from "steepest";
import { table } from "steepest/data";
import { saveModel } from "steepest/io";
import { expect, test } from "vitest";
import { program, temporaryFolder } from "./processes.js";

const cwd = temporaryFolder();
// A million rows take a minute.
const ROWS = process.env.STEEPEST_EXHAUSTIVE ? 1_000_000 : 200_000;
const HEAP_MB = 40;
const kinds = ["oak", "ash", "elm"];

test(`${ROWS} rows in a heap of ${HEAP_MB} MB: an answer for each, in order`, async () => {
  const rows = Array.from({ length: 90 }, (_, i) => ({ size: i, kind: kinds[i % 3], tall: 3 * i + (i % 3) }));
  const { transform, inputShape } = table(rows, { target: { column: "tall", as: "numbers" }, seed: 1 });
  const trainer = await compile(sequential({ input: inputShape }, dense(1)), { loss: meanSquaredError(), seed: 1 });
  await saveModel(trainer, join(cwd, "model.safetensors"), { preprocessing: { table: transform } });
  const cycle = Array.from({ length: 300 }, (_, i) => ({ size: i % 100, kind: kinds[i % 3] }));
  const expected = transform.decode(await trainer.predict(transform.transform(cycle))).map(Number);
  trainer.dispose();
  const args = [`--max-old-space-size=${HEAP_MB}`, program, "predict", "model.safetensors", "-", "--keep", "id"];
  const child = spawn(process.execPath, args, { cwd, stdio: ["pipe", "pipe", "inherit"] });
  const closed = once(child, "close");
  let count = -1; // the head
  let wrong = 0;
  const reading = (async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      const [id, prediction] = line.split(",");
      if (count >= 0 && !(Number(id) === count && Math.abs(Number(prediction) - expected[count % 300]) < 1e-3)) wrong++;
      count++;
    }
  })();
  child.stdin.write("id,size,kind\n");
  for (let first = 0; first < ROWS; first += 1000) {
    const lines = Array.from(
      { length: 1000 },
      (_, at) => `${first + at},${(first + at) % 100},${kinds[(first + at) % 3]}\n`,
    );
    if (!child.stdin.write(lines.join(""))) await Promise.race([once(child.stdin, "drain"), closed]);
  }
  child.stdin.end();
  await reading;
  expect(await closed).toEqual([0, null]);
  expect([count, wrong]).toEqual([ROWS, 0]);
});
