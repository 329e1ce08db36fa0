// npm run test:mutations: the mutations of mutations.test.ts, and more of .h5. Ends with code 1 if one throws an error that is
// none of the library, takes more than 50 ms, asks for more memory than files of its size may, or changes an existing model.
// Only some: npm run test:mutations -- ONNX. One mutation, with its error: npm run test:mutations -- "ONNX, of PyTorch" 2795
import type { Swept } from "./sweep.js";
import { sweeps } from "./watched.js";

const SLOW_MS = 50;
const [part = "", only] = process.argv.slice(2);

function show({ of, file, sizeBytes, count, refused, asked, allowed, slowest, wrong, next }: Swept): void {
  const cells = [
    `${of}, ${file}`.padEnd(42),
    `${sizeBytes} bytes`.padStart(12),
    `${count} mutations`.padStart(17),
    `${((100 * refused) / count).toFixed(1)}% refused`.padStart(14),
    `at most ${asked[0]} of ${allowed} bytes (${asked[1]})`.padStart(40),
    `slowest ${slowest[0].toFixed(1)} ms (${slowest[1]})`.padStart(26),
  ];
  console.log(cells.join(""));
  if (next !== undefined)
    console.log(`  its library reads no file any more after mutation ${next[1] - 1}: on in another process`);
  const slow = slowest[0] > SLOW_MS ? [`mutation ${slowest[1]} takes ${slowest[0].toFixed(1)} ms, however often`] : [];
  for (const what of [...wrong, ...slow]) {
    console.error(`  ${what}`);
    process.exitCode = 1;
  }
}

const places = only === undefined ? undefined : console.log;
const all = await sweeps(only === undefined ? ["whole", part] : ["one", part, only], show, places);
const counts = new Map<string, number>();
for (const { of, count } of all) counts.set(of, (counts.get(of) ?? 0) + count);
for (const [of, count] of counts) console.log(`${of}: ${count}`);
