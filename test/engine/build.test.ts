// Which build runs, and what is said of it: the trial itself is in wide.test.ts.
import { afterEach, beforeEach, expect, test, vi } from "vitest";

const compareWide = vi.fn<() => Promise<string | undefined>>();
vi.mock("../../src/engine/wide.js", () => ({ compareWide }));

const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
const nodeWide = () => import("../../src/platform/nodeWide.js").then(({ wide }) => wide);

/** A copy of the package whose platform may have operations joined. */
async function loadCopy({ lacks = () => undefined as string | undefined } = {}) {
  vi.resetModules();
  const wide = await nodeWide();
  vi.spyOn(wide, "lacks").mockImplementation(lacks);
  vi.spyOn(wide, "enable").mockImplementation(() => {});
  return import("../../src/platform/node.js");
}

/** The verdict is on the global object, for all copies; each test begins without one. */
function forget(): void {
  const verdict = (globalThis as unknown as Record<symbol, object>)[Symbol.for("steepest source wide")];
  for (const name of Object.keys(verdict ?? {})) Reflect.deleteProperty(verdict, name);
}

beforeEach(() => {
  forget();
  compareWide.mockReset();
  warn.mockClear();
});
afterEach(forget);

test("wide runs where its trial says so; it is tried once for all who ask, of all copies", async () => {
  compareWide.mockResolvedValue(undefined);
  const copies = [await loadCopy(), await loadCopy()];
  const engines = await Promise.all(
    copies.flatMap(({ createEngine }) => [1, 2].map(() => createEngine({ build: "wide" }))),
  );
  engines.push(copies[1].createEngineSync({ build: "wide" }));
  expect(engines.map(({ build }) => build)).toEqual(["wide", "wide", "wide", "wide", "wide"]);
  expect(compareWide).toHaveBeenCalledOnce();
  expect(warn).not.toHaveBeenCalled();
  for (const engine of engines) engine.dispose();
});

test("strict runs if the trial fails, and the first who asks is told why", async () => {
  compareWide.mockResolvedValue("it is not faster here");
  const { compile, createEngine, dense, sequential } = await loadCopy();
  const [a, b] = await Promise.all([createEngine({ build: "wide" }), createEngine({ build: "wide" })]);
  const trainer = await compile(sequential({ input: [1] }, dense(1)), { build: "wide" });
  expect([a.build, b.build, trainer.build]).toEqual(["strict", "strict", "strict"]);
  expect(warn.mock.calls).toEqual([['steepest: build "wide" runs as "strict": it is not faster here']]);
  for (const one of [a, b, trainer]) one.dispose();
});

test("a trial that fails for want of a file is made again", async () => {
  compareWide.mockRejectedValueOnce(new Error("no wide.wasm")).mockResolvedValueOnce(undefined);
  const { createEngine } = await loadCopy();
  await expect(createEngine({ build: "wide" })).rejects.toThrow("no wide.wasm");
  using engine = await createEngine({ build: "wide" });
  expect(engine.build).toBe("wide");
});

test("a runtime that lacks it is not tried", async () => {
  const { createEngine, createEngineSync } = await loadCopy({ lacks: () => "V8 12 does not join operations" });
  using engine = await createEngine({ build: "wide" });
  using second = createEngineSync({ build: "wide" });
  expect([engine.build, second.build]).toEqual(["strict", "strict"]);
  expect(warn.mock.calls).toEqual([['steepest: build "wide" runs as "strict": V8 12 does not join operations']]);
  expect(compareWide).not.toHaveBeenCalled();
});

test("the synchronous form does not try it, and says what to do first", async () => {
  const { createEngineSync } = await loadCopy();
  using engine = createEngineSync({ build: "wide" });
  expect(engine.build).toBe("strict");
  expect(warn.mock.calls).toEqual([
    [
      'steepest: build "wide" runs as "strict": it must be tried first, which takes time: create an engine by createEngine({ build: "wide" }) before',
    ],
  ]);
});

test("strict and fast ask for no trial", async () => {
  const { createEngine } = await loadCopy();
  for (const build of ["strict", "fast"] as const) (await createEngine({ build })).dispose();
  expect(compareWide).not.toHaveBeenCalled();
});

test.each([
  [{ v8: "11.3.244.8-node.38" }, "x64", "V8 11.3.244.8-node.38 does not join operations: use Node 24 or newer"],
  [{ v8: "12.4.254.21-node.57" }, "x64", "V8 12.4.254.21-node.57 does not join operations: use Node 24 or newer"],
  [{ v8: "13.6.233.17-node.53" }, "x64", undefined],
  [{ v8: "15.0.245.2-rusty", deno: "2.9.6" }, "x64", undefined],
  [{ v8: "14.6.202.34-node.34" }, "arm64", "V8 joins operations on x64 alone, and this is arm64"],
  [{ v8: "14.6.202.34-node.20", bun: "1.4.5" }, "x64", "Bun's engine does not join operations: use Node 24 or newer"],
])("under %j on %s: %s", async (versions, arch, reason) => {
  vi.restoreAllMocks();
  vi.resetModules();
  const wide = await nodeWide();
  vi.stubGlobal("process", { versions, arch });
  try {
    expect(wide.lacks()).toBe(reason);
  } finally {
    vi.unstubAllGlobals();
  }
});
