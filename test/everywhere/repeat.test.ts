// A run that gives no answer is made once more in a new browser, never silently; one that fails is not.
import { expect, test, vi } from "vitest";

type Result = { broken?: string; repeated?: string; passed?: number };
type RunTwice = (make: () => Promise<Result>, renew: () => Promise<void>, ms: number) => Promise<Result>;
const { runTwice }: { runTwice: RunTwice } = await import(new URL("./runtimes/repeat.mjs", import.meta.url).href);
const { recordOf } = await import(new URL("./records.mjs", import.meta.url).href);

const never = () => new Promise<Result>(() => {});
const renew = vi.fn(async () => {});
const MS = 60;
const silence = "no answer within 0.001 minutes";

test("what answers is made once", async () => {
  renew.mockClear();
  expect(await runTwice(async () => ({ passed: 3 }), renew, MS)).toEqual({ passed: 3 });
  expect(await runTwice(async () => ({ broken: "a check failed" }), renew, MS)).toEqual({ broken: "a check failed" });
  expect(await runTwice(() => Promise.reject(new Error("gone")), renew, MS)).toEqual({ broken: "Error: gone" });
  expect(renew).not.toHaveBeenCalled();
});

test("what gives no answer is made again in a new browser, and its record says why", async () => {
  renew.mockClear();
  const make = vi.fn(never).mockImplementationOnce(never).mockResolvedValueOnce({ passed: 3 });
  const result = await runTwice(make, renew, MS);
  expect(result).toEqual({ passed: 3, repeated: silence });
  expect(renew).toHaveBeenCalledTimes(1);
  const record = recordOf("browser", "1", { build: "strict", threads: 4 }, result);
  expect([record.failed, record.repeated]).toEqual([0, silence]);
});

test("the second silence is a failure, and so is a browser that does not start again", async () => {
  renew.mockClear();
  const make = vi.fn(never);
  expect(await runTwice(make, renew, MS)).toEqual({ broken: silence, repeated: silence });
  expect(make).toHaveBeenCalledTimes(2);
  renew.mockRejectedValueOnce(new Error("no display"));
  expect(await runTwice(never, renew, MS)).toEqual({
    broken: `${silence}, and no other browser could be started: Error: no display`,
  });
});
