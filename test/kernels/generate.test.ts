// The generator: every exported function of a kernels' file is a kernel or listed as none, and constants are what they are
// in the sources.
import { expect, test } from "vitest";

interface Generator {
  readKernels(sources: ReadonlyMap<string, string>): { name: string }[];
  readConstants(sources: ReadonlyMap<string, string>): Map<string, { value: number }>;
}

const generator: Generator = await import(new URL("../../scripts/generate.mjs", import.meta.url).href);
const { readConstants, readKernels } = generator;

const kernel = "/** y = 0. */\nexport function zero(\n  begin: u32, end: u32, y: usize, n: u32,\n): void {}\n";
const SHARED = ["firstInside", "reluLanes", "sigmoidLanes", "tanhLanes", "useInRound"];
const others = SHARED.map((name) => `export function ${name}(x: v128): v128 { return x; }\n`).join("");

const kernelsOf = (source: string) => readKernels(new Map([["one.ts", others + source]])).map(({ name }) => name);

test("kernels are found by their form; generic functions are loops for other files", () => {
  expect(kernelsOf(kernel)).toEqual(["zero"]);
  expect(kernelsOf(`${kernel}export function loop<Op>(begin: u32, end: u32): void {}\n`)).toEqual(["zero"]);
});

test.each([
  ["that returns something", "export function zero(begin: u32, end: u32, y: usize): u32 { return 0; }"],
  [
    "with brackets in its parameters",
    "export function zero(begin: u32, end: u32, y: usize, n: u32 = (1 + 1)): void {}",
  ],
  ["with a parameter of another type", "export function zero(begin: u32, end: u32, y: u64): void {}"],
  ["without a range", "export function zero(y: usize, n: u32): void {}"],
  ["with an indent", "  export function zero(y: usize): u32 { return 0; }"],
])("an exported function %s is refused, not left out", (_, source) => {
  expect(() => kernelsOf(source)).toThrow(/zero/);
});

test("functions that are listed as no kernels must be there, and be none", () => {
  expect(() => readKernels(new Map([["one.ts", kernel]]))).toThrow(/no file exports firstInside/);
  const both = kernel.replace("zero", "reluLanes");
  expect(() => readKernels(new Map([["one.ts", others.replace(/.*reluLanes.*\n/, both)]]))).toThrow(
    /reluLanes is a kernel/,
  );
});

test("constants are numbers, or calculated of others; those of one build alone are left out", () => {
  const source = `
const OWN: u32 = 0x10;
export const A: u32 = OWN * 4;
export const B: usize = (A + 1_000) << 2;
export const HEIGHT: u32 = ASC_FEATURE_RELAXED_SIMD ? 6 : 5;
export const FREE: usize = HEIGHT * 4;
export const COLUMNS: u32 = IS_WIDE ? 16 : 8;
export const TILE: u32 = COLUMNS * 2;
export const RATE: f32 = 0.5;
`;
  const found = readConstants(new Map([["one.ts", source]]));
  expect([...found].map(([name, { value }]) => [name, value])).toEqual([
    ["A", 64],
    ["B", 4256],
  ]);
  const twice = new Map([
    ["one.ts", "export const A: u32 = 1;"],
    ["two.ts", "export const A: u32 = 1;"],
  ]);
  expect(() => readConstants(twice)).toThrow("two.ts: another file exports A too");
  expect(() => readConstants(new Map([["one.ts", "export const A: u32 = B;"]]))).toThrow("the value of B");
  expect(() => readConstants(new Map([["one.ts", "export const A: u32 = 1 / 2;"]]))).toThrow("must be a whole number");
});
