// Packages that are optional peers: what is said if one is not installed.
import { csvRows, parquetRows } from "steepest/data";
import { expect, test, vi } from "vitest";

vi.mock("csv-parse/sync", () => {
  throw new Error("Cannot find package");
});
vi.mock("hyparquet", () => {
  throw new Error("Cannot find package");
});

test.each([
  ["csvRows", csvRows("a,b\n1,2\n"), "csv-parse"],
  ["parquetRows", parquetRows(new Uint8Array(20)), "hyparquet"],
])("%s", async (name, rows, peer) => {
  const message = `${name}: needs the package ${peer}, which is not there: npm install ${peer}`;
  await expect(rows.blocks().next()).rejects.toThrow(message);
});
