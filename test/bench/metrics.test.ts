import { afterAll, expect, test } from "vitest";
import { disposeEngines } from "../../bench/engines.js";
import { LeftOut, prepareIn } from "../../bench/workload.js";
import { metricsWorkload } from "../../bench/workloads/metrics.js";

afterAll(disposeEngines);

test("an epoch with metrics, whose accuracy is that of the predictions, and one without", async () => {
  const workload = metricsWorkload(2);
  for (const name of ["steepest-strict-1", "steepest-strict-1/without"] as const) {
    const contestant = await prepareIn(workload, name);
    const { elapsedMs } = (await contestant.run(2)) ?? {};
    expect(elapsedMs).toBeGreaterThan(0);
    contestant.dispose();
  }
  await expect(prepareIn(workload, "javascript")).rejects.toThrow(LeftOut);
});
