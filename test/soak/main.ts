// npm run test:soak: a million steps, 20,000 trainers one after the other, and so on (soaks.ts). Takes an hour; ends with code 1 if
// anything grew. A tenth of it, or only some: npm run test:soak -- 0.1 trainers stream
import { grownKinds, growth, type Held } from "./held.js";
import { heldBy, SOAKS } from "./soaks.js";

const MOMENTS = 10;
const names = process.argv.slice(2).filter((word) => Number.isNaN(Number(word)));
const share = Number(process.argv.slice(2).find((word) => !Number.isNaN(Number(word))) ?? 1);
const MEGABYTE = 2 ** 20;

const COLUMNS: readonly [title: string, of: (held: Held) => number | string][] = [
  ["times", ({ done }) => done],
  ["pages", ({ wasmPages }) => wasmPages],
  ["used bytes", ({ usedBytes }) => usedBytes],
  ["heap MB", ({ heapBytes }) => (heapBytes / MEGABYTE).toFixed(2)],
  ["objects KB", ({ objectBytes = 0 }) => (objectBytes / 1024).toFixed(1)],
  ["code MB", ({ codeBytes }) => (codeBytes / MEGABYTE).toFixed(2)],
  ["external MB", ({ externalBytes }) => (externalBytes / MEGABYTE).toFixed(2)],
  ["handles", ({ handles }) => handles],
  ["workers", ({ workers }) => workers],
  ["files", ({ openFiles }) => openFiles],
  ["resident MB", ({ residentBytes }) => Math.round(residentBytes / MEGABYTE)],
];
const line = (cells: readonly (number | string)[]) => cells.map((cell) => String(cell).padStart(12)).join("");

for (const soak of SOAKS) {
  if (names.length > 0 && !names.some((name) => soak.what.includes(name))) continue;
  // A whole number of thousands where an epoch is a thousand steps.
  const unit = soak.long >= 100_000 ? 10_000 : MOMENTS;
  const times = Math.max(unit, Math.round((soak.long * share) / unit) * unit);
  console.log(`\n${soak.what}, ${times} times\n${line(COLUMNS.map(([title]) => title))}`);
  const onHeld = (held: Held) => console.log(line(COLUMNS.map(([, of]) => of(held))));
  const all = await heldBy(soak, times, { moments: MOMENTS, exact: true, onHeld });
  for (const kind of grownKinds(all)) console.log(`  ${kind}`);
  for (const grown of growth(all)) {
    console.error(`${soak.what}: ${grown}`);
    process.exitCode = 1;
  }
}
