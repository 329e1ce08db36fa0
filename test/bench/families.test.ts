import { expect, test } from "vitest";
import { loadWorkload } from "../../bench/families.js";
import { workloads } from "../../bench/workloads.js";

test("each workload is found by its name, without those of other families", async () => {
  expect(new Set(workloads.map(({ name }) => name)).size).toBe(workloads.length);
  for (const { name, description } of workloads) expect((await loadWorkload(name)).description).toBe(description);
});

test("a name that is not there is refused", async () => {
  for (const name of ["gemm-65", "nothing"]) {
    await expect(loadWorkload(name)).rejects.toThrow(`there is no workload "${name}"`);
  }
});
