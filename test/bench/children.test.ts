import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Children, createChildren, type Tree, thisTree } from "../../bench/children.js";
import { LeftOut } from "../../bench/workload.js";

/** As another revision: this source without `tanh`, and with an engine that has a build less. */
let other: Tree & { readonly commit: string };

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "steepest-tree-"));
  other = { folder, commit: "abc1234" };
  const { folder: root } = thisTree;
  await cp(join(root, "bench"), join(folder, "bench"), {
    recursive: true,
    filter: (source) => !source.endsWith("node_modules"),
  });
  for (const name of ["node_modules", "dist", "package.json", "tsconfig.json"]) {
    await symlink(join(root, name), join(folder, name));
  }
  await mkdir(join(folder, "src"));
  for (const name of await readdir(join(root, "src"))) {
    if (name !== "index.ts") await symlink(join(root, "src", name), join(folder, "src", name));
  }
  const index = await readFile(join(root, "src/index.ts"), "utf8");
  expect(index).toMatch(/\btanh,/);
  await writeFile(join(folder, "src/index.ts"), index.replace(/\btanh,/g, ""));
});
afterAll(() => rm(other.folder, { recursive: true }));

async function withChildren(workload: string, use: (children: Children) => Promise<void>): Promise<void> {
  const children = createChildren(workload);
  try {
    await use(children);
  } finally {
    children.end();
  }
}

describe("a contestant in a process of its own", () => {
  test("of this source and of another: checked, then each takes its own time", () =>
    withChildren("gemm-64", async (children) => {
      const mine = await children.prepare("steepest-strict-1", thisTree);
      const theirs = await children.prepare("steepest-strict-1", other);
      for (const contestant of [mine, theirs, mine]) {
        await contestant.reset();
        const [once, often] = [await contestant.run(1), await contestant.run(200)];
        expect(once.elapsedMs).toBeGreaterThan(0);
        expect(often.elapsedMs).toBeGreaterThan(0);
      }
    }));

  test("is left out where the other source lacks what the workload needs; here that is an error", () =>
    withChildren("xor", async (children) => {
      const reason = /^abc1234: it cannot do this: .* does not provide an export named 'tanh'$/;
      await expect(children.prepare("steepest-strict-1", other)).rejects.toThrow(LeftOut);
      await expect(children.prepare("steepest-strict-1", other)).rejects.toThrow(reason);
      const faulty: Tree = { folder: other.folder };
      const failure = await children.prepare("steepest-strict-1", faulty).catch((error: Error) => error);
      expect(failure).not.toBeInstanceOf(LeftOut);
      expect(String(failure)).toContain("does not provide an export named 'tanh'");
    }));

  test("is left out with the reason where it cannot run", () =>
    withChildren("ceiling", async (children) => {
      await expect(children.prepare("steepest-strict-2", thisTree)).rejects.toThrow(
        new LeftOut("it is one core's ceiling"),
      );
      await expect(children.prepare("steepest-strict-1", thisTree)).resolves.toBeDefined();
    }));

  test("that ends says why", () =>
    withChildren("xor", async (children) => {
      const nowhere: Tree = { folder: join(other.folder, "src") };
      await expect(children.prepare("steepest-strict-1", nowhere)).rejects.toThrow(/^the child ended .*serve\.ts/s);
    }));
});
