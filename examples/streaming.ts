// Data larger than memory: samples that are made when they are needed go through a trainer once, and the process does not grow.
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { quick, report } from "./common/report.js";
import { trainStream } from "./recipes/trainStream.js";

const WIDTH = 256;
const ROWS = 1024;
const MB = 2 ** 20;

/** Batches of numbers, a megabyte each, and what is to be learned of them. The arrays are filled anew for each. */
export function numbers(batches: number) {
  return {
    count: batches * ROWS,
    *open() {
      const x = new Float32Array(ROWS * WIDTH);
      const y = new Float32Array(ROWS);
      let state = 1;
      for (let batch = 0; batch < batches; batch++) {
        for (let row = 0; row < ROWS; row++) {
          for (let i = row * WIDTH; i < (row + 1) * WIDTH; i++) {
            // A linear congruential generator (Knuth; Numerical Recipes).
            state = (Math.imul(state, 1664525) + 1013904223) | 0;
            x[i] = state / 2 ** 31;
          }
          y[row] = x[row * WIDTH] - 0.5 * x[row * WIDTH + 1] + Math.abs(x[row * WIDTH + 2]);
        }
        yield { x, y };
      }
    },
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { quick: { type: "boolean" }, gigabytes: { type: "string", default: quick ? "0.3" : "10" } },
  });
  const batches = Math.round(Number(values.gigabytes) * 1024);
  const source = numbers(batches);
  let [least, most, next] = [Number.POSITIVE_INFINITY, 0, 0];
  const { loss, samples, durationMs } = await trainStream(source, WIDTH, (seen) => {
    // The first tenth is for starting up.
    if (seen < source.count / 10 || seen < next) return;
    next = seen + source.count / 20;
    const resident = process.memoryUsage().rss / MB;
    least = Math.min(least, resident);
    most = Math.max(most, resident);
    const gigabytes = ((seen / ROWS) * 1) / 1024;
    console.log(`${gigabytes.toFixed(2).padStart(6)} GB read, the process has ${resident.toFixed(0)} MB`);
  });
  if (!(loss < 1)) throw new Error(`nothing was learned: the loss is ${loss}`);
  const rate = samples / ROWS / (durationMs / 1000);
  console.log(`\n${samples} samples, ${rate.toFixed(0)} MB a second, loss ${loss.toFixed(4)}`);
  report("streaming", most - least);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
