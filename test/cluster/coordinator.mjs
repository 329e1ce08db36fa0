// The program of a run: prints each round as a line of JSON, and at the end the digest of the parameters. With STEEPEST_TEST_OPEN it
// leaves the run open, and must end all the same.
import { createHash } from "node:crypto";
import { distribute } from "steepest/cluster";

const { options, job } = JSON.parse(process.argv[2]);
const run = await distribute(job, options);
let [last, before] = [undefined, performance.now()];
const parameters = [...run.trainer.parameters().values()].reduce((sum, { data }) => sum + data.length, 0);
for await (const { round, loss, validation, workers, byWorker } of run) {
  const seconds = (performance.now() - before) / 1000;
  before = performance.now();
  // The milliseconds of the worker that trained longest.
  const training = Math.max(...[...byWorker.values()].map(({ milliseconds }) => milliseconds));
  last = { round, loss, accuracy: validation?.accuracy, workers, parameters, seconds, training };
  console.log(JSON.stringify(last));
}
const hash = createHash("sha256");
for (const { data } of run.trainer.parameters().values())
  hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
console.log(JSON.stringify({ digest: hash.digest("hex"), ...last }));
if (process.env.STEEPEST_TEST_OPEN === undefined) await run.close();
