import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readFileBytes, writeFileAtomic } from "../../src/platform/files.js";

type Call = "open" | "write" | "sync" | "close" | "rename" | "open folder" | "sync folder" | "close folder";

/** What the file system was asked for, in order, and the call that is to fail, with its error's code. */
const disk = vi.hoisted(() => ({ calls: [] as string[], fail: {} as Record<string, string> }));

vi.mock("node:fs/promises", async (importOriginal) => {
  const real = await importOriginal<typeof import("node:fs/promises")>();
  const call = <T>(name: string, act: () => Promise<T>): Promise<T> => {
    disk.calls.push(name);
    const code = disk.fail[name];
    return code === undefined ? act() : Promise.reject(Object.assign(new Error(`${code}: made to fail`), { code }));
  };
  const open = async (path: string, flags: string) => {
    const suffix = flags === "r" ? " folder" : "";
    const handle = await call(`open${suffix}`, () => real.open(path, flags));
    return {
      writeFile: async (bytes: Uint8Array) => {
        await handle.write(bytes, 0, bytes.length >> 1); // a failure comes half way
        await call("write", () => handle.writeFile(bytes.subarray(bytes.length >> 1)));
      },
      sync: () => call(`sync${suffix}`, () => handle.sync()),
      close: () => call(`close${suffix}`, () => handle.close()),
    };
  };
  return { ...real, open, rename: (from: string, to: string) => call("rename", () => real.rename(from, to)) };
});

const OLD = Uint8Array.of(1, 2, 3);
const NEW = Uint8Array.from({ length: 1000 }, (_, i) => i & 0xff);

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "steepest-files-"));
  path = join(folder, "model.bin");
  disk.calls = [];
  disk.fail = {};
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const contents = async (file: string) => new Uint8Array(await readFile(file));

describe("writeFileAtomic", () => {
  it("creates a file, and nothing else", async () => {
    await writeFileAtomic(path, NEW);
    expect(await contents(path)).toStrictEqual(NEW);
    expect(await readdir(folder)).toStrictEqual(["model.bin"]);
  });

  it("replaces a file", async () => {
    await writeFile(path, "old and longer than what follows");
    await writeFileAtomic(path, OLD);
    expect(await contents(path)).toStrictEqual(OLD);
    expect(await readdir(folder)).toStrictEqual(["model.bin"]);
  });

  it("writes no bytes", async () => {
    await writeFileAtomic(path, new Uint8Array(0));
    expect((await stat(path)).size).toBe(0);
  });

  it("has the bytes on the disk before they take the name, and the name before it returns", async () => {
    await writeFileAtomic(path, NEW);
    const file: Call[] = ["open", "write", "sync", "close", "rename"];
    expect(disk.calls).toStrictEqual([...file, "open folder", "sync folder", "close folder"]);
  });

  it("writes one of several files written at once, whole", async () => {
    const files = Array.from({ length: 8 }, (_, i) => new Uint8Array(100_000 + i).fill(i));
    await Promise.all(files.map((bytes) => writeFileAtomic(path, bytes)));
    expect(files).toContainEqual(await contents(path));
    expect(await readdir(folder)).toStrictEqual(["model.bin"]);
  });

  it.skipIf(process.platform === "win32")("keeps the permissions of the file it replaces", async () => {
    await writeFile(path, OLD);
    await chmod(path, 0o640);
    await writeFileAtomic(path, NEW);
    expect((await stat(path)).mode & 0o777).toBe(0o640);
  });

  it.skipIf(process.platform === "win32")("replaces the target of a link, not the link", async () => {
    const [link, elsewhere] = [join(folder, "link"), join(folder, "elsewhere")];
    await mkdir(elsewhere);
    await writeFile(join(elsewhere, "real.bin"), OLD);
    await symlink(join(elsewhere, "real.bin"), link);
    await writeFileAtomic(link, NEW);
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect(await contents(join(elsewhere, "real.bin"))).toStrictEqual(NEW);
    expect(await readdir(elsewhere)).toStrictEqual(["real.bin"]);
  });

  it.each<[Call, string, string]>([
    ["open", "EACCES", "permission denied: check the permissions of the file and its folder"],
    ["write", "ENOSPC", "no space left on the disk: free some, or choose another folder"],
    ["sync", "EIO", "EIO: made to fail"],
    ["rename", "EROFS", "the disk is read-only: choose another folder"],
  ])("keeps the old file and leaves no temporary when %s fails with %s", async (call, code, message) => {
    await writeFile(path, OLD);
    disk.fail = { [call]: code };
    await expect(writeFileAtomic(path, NEW)).rejects.toThrow(`cannot write file "${path}": ${message}`);
    await expect(writeFileAtomic(path, NEW)).rejects.toMatchObject({ cause: { code } });
    expect(await contents(path)).toStrictEqual(OLD);
    expect(await readdir(folder)).toStrictEqual(["model.bin"]);
  });

  it.each(["open", "write", "sync", "rename"])("leaves no new file when %s fails", async (call) => {
    disk.fail = { [call]: "EIO" };
    await expect(writeFileAtomic(path, NEW)).rejects.toThrow("EIO");
    expect(await readdir(folder)).toStrictEqual([]);
  });

  const unsupported = ["EISDIR", "EPERM", "EACCES", "EINVAL", "ENOTSUP", "ENOSYS"];
  it.each(unsupported)("does without the folder's entry on the disk where the system answers %s", async (code) => {
    for (const call of ["open folder", "sync folder"] satisfies Call[]) {
      disk.fail = { [call]: code };
      await writeFileAtomic(path, NEW);
      expect(await contents(path)).toStrictEqual(NEW);
    }
  });

  it.each(["write", "sync"])("closes the temporary when %s fails", async (call) => {
    disk.fail = { [call]: "EIO" };
    await expect(writeFileAtomic(path, NEW)).rejects.toThrow("EIO");
    expect(disk.calls).toContain("close");
  });

  it("reports a disk that fails while the folder's entry is saved", async () => {
    disk.fail = { "sync folder": "EIO" };
    await expect(writeFileAtomic(path, NEW)).rejects.toThrow("EIO");
    expect(await contents(path)).toStrictEqual(NEW);
  });

  it("asks for the folder when it is missing, and does not make it", async () => {
    const missing = join(folder, "missing", "model.bin");
    await expect(writeFileAtomic(missing, NEW)).rejects.toThrow(
      `cannot write file "${missing}": no such file or folder: make its folder first`,
    );
    expect(await readdir(folder)).toStrictEqual([]);
  });

  it("does not replace a folder", async () => {
    await mkdir(path);
    await writeFile(join(path, "inside"), OLD);
    await expect(writeFileAtomic(path, NEW)).rejects.toThrow(`cannot write file "${path}": `);
    expect(await readdir(folder)).toStrictEqual(["model.bin"]);
    expect(await readdir(path)).toStrictEqual(["inside"]);
  });

  it("does not take a file for a folder", async () => {
    await writeFile(path, OLD);
    await expect(writeFileAtomic(join(path, "x"), NEW)).rejects.toThrow("a part of the path is a file, not a folder");
    expect(await contents(path)).toStrictEqual(OLD);
  });
});

describe("readFileBytes", () => {
  it("reads what was written, as a plain Uint8Array", async () => {
    await writeFileAtomic(path, NEW);
    const bytes = await readFileBytes(path);
    expect(bytes).toStrictEqual(NEW);
    expect(bytes.constructor).toBe(Uint8Array);
  });

  it("says which file is missing, and what to do", async () => {
    await expect(readFileBytes(path)).rejects.toThrow(
      `cannot read file "${path}": no such file or folder: check the path, or fetch the file first`,
    );
    await expect(readFileBytes(path)).rejects.toMatchObject({ cause: { code: "ENOENT" } });
  });

  it("says where a relative path leads", async () => {
    await expect(readFileBytes("no-such-file.bin")).rejects.toThrow(
      `cannot read file "no-such-file.bin" (${join(process.cwd(), "no-such-file.bin")}): `,
    );
  });

  it("says that a folder is no file", async () => {
    await expect(readFileBytes(folder)).rejects.toThrow(
      `cannot read file "${folder}": this is a folder: name a file in it`,
    );
  });
});
