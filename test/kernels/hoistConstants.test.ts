// The build's pass over the kernels: constants leave the loops, results keep their bits.
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { compile, instantiate, runnableBuilds } from "./compile.js";

interface Pass {
  hoistConstants(bytes: Uint8Array): Uint8Array<ArrayBuffer>;
  textOf(bytes: Uint8Array): string;
}
const pass: Pass = await import(new URL("../../scripts/hoistConstants.mjs", import.meta.url).href);

/** The v128.const instructions of a module's text inside of loops, zeros left out. */
function constantsInLoops(text: string): string[] {
  const found: string[] = [];
  const open: string[] = [];
  for (const [, name, operand] of text.matchAll(/^\s+(block|if|loop|end|v128\.const)\b(.*)/gm)) {
    if (name === "end") open.pop();
    else if (name !== "v128.const") open.push(name);
    else if (open.includes("loop") && /[1-9a-f]/.test(operand.replace(/i32x4|0x/g, ""))) found.push(operand.trim());
  }
  expect(open).toEqual([]);
  return found;
}

test.each(["strict", "fast", "wide"])("no constant but zero is left in a loop of %s.wasm", (build) => {
  const text = pass.textOf(readFileSync(new URL(`../../dist/${build}.wasm`, import.meta.url)));
  expect(text).toMatch(/\bloop\b/);
  expect(constantsInLoops(text)).toEqual([]);
});

type Kernel = (begin: number, end: number, ...addressesAndSizes: number[]) => void;

const LENGTH = 4099;
const [Y, X, DY] = [0x10000, 0x20000, 0x30000];
const SPECIAL = [Number.NaN, Infinity, -Infinity, 0, -0, 1e-40, -1e-40, 88.5, -88.5, -103.9, 3e38, -3e38, 1e-8];

test.each(["strict", "fast", "wide"])(
  "each function of %s.wasm that waits ends its locals with one that nobody uses",
  (build) => {
    const text = pass.textOf(readFileSync(new URL(`../../dist/${build}.wasm`, import.meta.url)));
    const waiting = text.split("\n (func ").filter((body) => body.includes("memory.atomic.wait"));
    expect(waiting.length).toBeGreaterThan(0);
    for (const body of waiting) {
      const last = [...body.matchAll(/\(local (\$\w+) (\w+)\)/g)].at(-1);
      expect(last?.[2]).toBe("i64");
      expect(body).not.toMatch(new RegExp(`local\\.(get|set|tee) \\${last?.[1]}\\b`));
    }
  },
);

describe.each(runnableBuilds())("activations, %s build", (build) => {
  let before: Uint8Array<ArrayBuffer>;
  let after: Uint8Array<ArrayBuffer>;
  beforeAll(async () => {
    before = await compile("../../assembly/kernels/activation.ts", build);
    after = pass.hoistConstants(before);
  });

  test("the pass has something to do, and does it", () => {
    expect(constantsInLoops(pass.textOf(before)).length).toBeGreaterThan(100);
    expect(constantsInLoops(pass.textOf(after))).toEqual([]);
  });

  test("imports, exports and the memory stay", () => {
    const [old, hoisted] = [new WebAssembly.Module(before), new WebAssembly.Module(after)];
    expect(WebAssembly.Module.exports(hoisted)).toEqual(WebAssembly.Module.exports(old));
    expect(WebAssembly.Module.imports(hoisted)).toEqual(WebAssembly.Module.imports(old));
  });

  test("every kernel gives the bits it gave", () => {
    const run = (bytes: BufferSource): [name: string, bits: Uint32Array][] => {
      const { memory, ...kernels } = instantiate<Record<string, Kernel>>(bytes);
      // What ends in Lanes takes vectors, which JavaScript cannot pass.
      const names = Object.keys(kernels).filter((name) => !name.endsWith("Lanes"));
      return names.map((name) => {
        const floats = new Float32Array(memory.buffer);
        for (let i = 0; i < LENGTH; i++) {
          floats[X / 4 + i] = SPECIAL[i] ?? Math.sin(i) * 10 ** ((i % 9) - 6);
          floats[DY / 4 + i] = Math.cos(i);
        }
        floats.fill(-7, Y / 4, Y / 4 + LENGTH + 1);
        const inputs = name.endsWith("Gradient") ? [DY, X] : [X];
        kernels[name](0, Math.ceil(LENGTH / 4), Y, ...inputs, LENGTH, 0.3);
        return [name, new Uint32Array(memory.buffer.slice(Y, Y + 4 * LENGTH + 4))];
      });
    };
    const expected = run(before);
    expect(expected.map(([name]) => name)).toEqual(expect.arrayContaining(["sigmoid", "geluGradient", "softplus"]));
    expect(new Set(expected.map(([, bits]) => bits[LENGTH - 1])).size).toBeGreaterThan(10);
    for (const [i, [name, bits]] of run(after).entries()) {
      const different = bits.findIndex((word, at) => word !== expected[i][1][at]);
      expect(different, `${name}: the first element that differs`).toBe(-1);
    }
  });
});
