// The short form of `npm run test:soak`: what is done often does not hold more and more.
import { expect, test } from "vitest";
import { growth, type Held } from "./held.js";
import { heldBy, SOAKS } from "./soaks.js";

const MOMENTS = 4;

test.each(SOAKS.filter(({ short }) => short > 0).map((soak) => [soak.what, soak] as const))("%s", async (_, soak) => {
  const held = await heldBy(soak, soak.short, { moments: MOMENTS });
  expect(held.map(({ done }) => done)).toEqual([1, 2, 3, 4].map((part) => (part * soak.short) / MOMENTS));
  expect(growth(held)).toEqual([]);
});

test("what grows is found", async () => {
  const kept: number[][] = [];
  const [steps] = SOAKS;
  const run: (typeof SOAKS)[number]["run"] = (times, done) =>
    (steps as (typeof SOAKS)[number]).run(times, (engine) => {
      kept.push(Array.from({ length: 100_000 }, () => Math.random()));
      return done(engine);
    });
  const what = "steps that keep something";
  const held = await heldBy({ what, short: 4, long: 4, run }, 4, { moments: MOMENTS });
  expect(growth(held)).toEqual([expect.stringMatching(/^heapBytes grew by \d+/)]);
});

test("growth is judged from the first measurement to the last", () => {
  const held: Held = {
    done: 0,
    wasmPages: 10,
    usedBytes: 1000,
    heapBytes: 1e7,
    codeBytes: 1e6,
    objectBytes: 2e6,
    externalBytes: 1e6,
    handles: 0,
    workers: 1,
    openFiles: 20,
    residentBytes: 1e8,
  };
  const more = (name: Exclude<keyof Held, "kinds">, by: number) => [
    held,
    held,
    { ...held, [name]: (held[name] ?? 0) + by },
  ];
  expect(growth(more("residentBytes", 0))).toEqual([]);
  for (const name of ["wasmPages", "usedBytes", "handles", "workers", "openFiles"] as const)
    expect(growth(more(name, 1))).toEqual([`${name} grew by 1, from ${held[name]} to ${held[name] + 1}`]);
  for (const [name, bytes] of [
    ["heapBytes", 2 ** 20],
    ["externalBytes", 2 ** 20],
    ["objectBytes", 2 ** 15],
  ] as const) {
    expect(growth(more(name, bytes))).toEqual([]);
    expect(growth(more(name, bytes + 1))).toHaveLength(1);
  }
});
