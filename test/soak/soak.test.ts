// The short form of `npm run test:soak`: what a few thousand steps and a few hundred trainers hold does not grow.
import { expect, test } from "vitest";
import { growth, type Held, soakCycles, soakSteps } from "./soak.js";

async function all(soak: AsyncGenerator<Held>): Promise<Held[]> {
  const held: Held[] = [];
  for await (const one of soak) held.push(one);
  return held;
}

test("many steps hold what few do", async () => {
  const held = await all(soakSteps(20_000, 4));
  expect(held.map(({ done }) => done)).toEqual([0, 6000, 10_000, 16_000, 20_000]);
  expect(growth(held)).toEqual([]);
});

test("many trainers, one after the other, hold what few do", async () => {
  const held = await all(soakCycles(100, 4));
  expect(held.map(({ done }) => done)).toEqual([0, 25, 50, 75, 100]);
  expect(growth(held)).toEqual([]);
});

test("what grows is found", () => {
  const held: Held = {
    done: 0,
    wasmPages: 10,
    usedBytes: 1000,
    heapBytes: 1e7,
    externalBytes: 1e6,
    handles: 0,
    workers: 1,
    residentBytes: 1e8,
  };
  const first = { ...held, usedBytes: 500 };
  expect(growth([first, held, held])).toEqual([]);
  for (const name of ["wasmPages", "usedBytes", "handles", "workers"] as const) {
    expect(growth([first, held, { ...held, [name]: held[name] + 1 }])).toEqual([
      `${name} grew by 1, from ${held[name]} to ${held[name] + 1}`,
    ]);
  }
  for (const name of ["heapBytes", "externalBytes"] as const) {
    expect(growth([first, held, { ...held, [name]: held[name] + 2 ** 20 }])).toEqual([]);
    expect(growth([first, held, { ...held, [name]: held[name] + 2 ** 20 + 1 }])).toHaveLength(1);
  }
});
