import { afterAll, describe, expect, test } from "vitest";
import { disposeEngines } from "../../bench/engines.js";
import { LeftOut, prepareIn } from "../../bench/workload.js";
import { epochWorkloads } from "../../bench/workloads/epoch.js";

afterAll(disposeEngines);

describe.each(epochWorkloads(2))("$name", (workload) => {
  test("runs, with the bits of its yardstick, and the yardstick does", async () => {
    for (const name of ["steepest-strict-1", `steepest-strict-1/${workload.yardstick?.name}`] as const) {
      const contestant = await prepareIn(workload, name as never);
      const { elapsedMs } = (await contestant.run(2)) ?? {};
      expect(elapsedMs).toBeGreaterThan(0);
      contestant.dispose();
    }
    await expect(prepareIn(workload, "javascript")).rejects.toThrow(LeftOut);
  });
});
