// npm run test:soak: a million steps, and 20,000 trainers one after the other. Takes minutes; ends with code 1 if anything grew.
// Other numbers: npm run test:soak -- 100000 2000
import { growth, type Held, soakCycles, soakSteps } from "./soak.js";

const [steps = 1_000_000, cycles = 20_000] = process.argv.slice(2).map(Number);
const INTERVALS = 10;

async function watch(what: string, soak: AsyncGenerator<Held>): Promise<void> {
  const all: Held[] = [];
  console.log(`\n${what}       pages  used bytes  heap KB  external KB  handles  workers  resident MB`);
  for await (const held of soak) {
    all.push(held);
    const { done, wasmPages, usedBytes, heapBytes, externalBytes, handles, workers, residentBytes } = held;
    const kilobytes = [heapBytes, externalBytes].map((bytes) => Math.round(bytes / 1024));
    const cells = [done, wasmPages, usedBytes, ...kilobytes, handles, workers, Math.round(residentBytes / 2 ** 20)];
    console.log(cells.map((cell) => String(cell).padStart(11)).join(""));
  }
  for (const line of growth(all)) {
    console.error(`${what}: ${line}`);
    process.exitCode = 1;
  }
}

await watch("steps ", soakSteps(steps, INTERVALS));
await watch("cycles", soakCycles(cycles, INTERVALS));
