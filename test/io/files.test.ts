import { execFileSync } from "node:child_process";
import { once } from "node:events";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { SteepestError } from "steepest";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  readFileBytes,
  readFile as readFrom,
  writeFileAtomic,
  writeFile as writeTo,
} from "../../src/platform/files.js";
import { temporaryFor } from "../../src/platform/temporary.js";
import { brokenDisk, type Faults } from "./brokenDisk.js";

const OLD = Uint8Array.of(1, 2, 3);
const NEW = Uint8Array.from({ length: 1000 }, (_, i) => i & 0xff);
const onWindows = process.platform === "win32";

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "steepest-files-"));
  path = join(folder, "model.bin");
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

  it("takes a file: URL, and bytes of any buffer", async () => {
    await writeFileAtomic(pathToFileURL(path), NEW.buffer);
    expect(await readFileBytes(pathToFileURL(path))).toStrictEqual(NEW);
    const shared = new Uint8Array(new SharedArrayBuffer(8)).fill(7);
    await writeFileAtomic(path, shared.subarray(2, 5));
    expect(await contents(path)).toStrictEqual(Uint8Array.of(7, 7, 7));
  });

  it("writes no bytes", async () => {
    await writeFileAtomic(path, new Uint8Array(0));
    expect((await stat(path)).size).toBe(0);
  });

  it("has the bytes on the disk before they take the name, and the name before it returns", async () => {
    const disk = brokenDisk();
    await writeTo(disk, path, NEW);
    expect(disk.calls.slice(disk.calls.indexOf("open"))).toStrictEqual([
      ...["open", "fstat", "readdir", "lstat", "write", "sync", "close", "rename"],
      ...["open folder", "sync folder", "close folder"],
    ]);
  });

  it("of several writes of one path at once, the last stays", async () => {
    const files = Array.from({ length: 8 }, (_, i) => new Uint8Array(100_000 - 10_000 * i).fill(i));
    await Promise.all(files.map((bytes) => writeFileAtomic(path, bytes)));
    expect(await contents(path)).toStrictEqual(files[7]);
    expect(await readdir(folder)).toStrictEqual(["model.bin"]);
  });

  it("a write that fails is no matter of those that follow", async () => {
    const failing = writeTo(brokenDisk({ fail: (call) => (call === "sync" ? "EIO" : undefined) }), path, OLD);
    const [first, second] = await Promise.allSettled([failing, writeFileAtomic(path, NEW)]);
    expect([first.status, second.status]).toEqual(["rejected", "fulfilled"]);
    expect(await contents(path)).toStrictEqual(NEW);
  });

  it("refuses bytes that shrink while they are written", async () => {
    await writeFile(path, OLD);
    const buffer = Reflect.construct(ArrayBuffer, [1000, { maxByteLength: 1000 }]) as ArrayBuffer & {
      resize(bytes: number): void;
    };
    const disk = brokenDisk({ shorten: () => 10, fail: (call) => void (call === "write" && buffer.resize(500)) });
    await expect(writeTo(disk, path, new Uint8Array(buffer))).rejects.toThrow(
      /the bytes changed .*, 1000 became 500: /,
    );
    expect(await contents(path)).toStrictEqual(OLD);
  });

  it.skipIf(onWindows)("keeps the permissions of the file it replaces", async () => {
    await writeFile(path, OLD);
    for (const mode of [0o640, 0o600, 0o444, 0o777]) {
      await chmod(path, mode);
      await writeFileAtomic(path, NEW);
      expect((await stat(path)).mode & 0o777).toBe(mode);
    }
  });

  it.skipIf(onWindows)("never shows a private file's bytes to others", async () => {
    await writeFile(path, OLD, { mode: 0o600 });
    const modes: number[] = [];
    const disk = brokenDisk();
    const open: typeof disk.open = async (file, flags, mode) => {
      modes.push(mode ?? 0);
      return disk.open(file, flags, mode);
    };
    await writeTo({ ...disk, open }, path, NEW);
    expect(modes[0]).toBe(0o600);
  });

  describe.skipIf(onWindows)("through links", () => {
    it.each([
      ["to a file", true, (target: string) => target],
      ["to a file, relative", true, (target: string) => relative(folder, target)],
      ["to nothing yet", false, (target: string) => target],
      ["to nothing yet, relative", false, (target: string) => relative(folder, target)],
    ])("a link %s stays a link", async (_, isThere, spell) => {
      const [link, elsewhere] = [join(folder, "link"), join(folder, "elsewhere")];
      await mkdir(elsewhere);
      const target = join(elsewhere, "real.bin");
      if (isThere) await writeFile(target, OLD);
      await symlink(spell(target), link);
      await writeFileAtomic(link, NEW);
      expect((await lstat(link)).isSymbolicLink()).toBe(true);
      expect((await lstat(target)).isSymbolicLink()).toBe(false);
      expect(await contents(target)).toStrictEqual(NEW);
      expect(await readdir(elsewhere)).toStrictEqual(["real.bin"]);
      expect((await readdir(folder)).sort()).toStrictEqual(["elsewhere", "link"]);
    });

    it("links to links, through a folder that is a link", async () => {
      await mkdir(join(folder, "a/b"), { recursive: true });
      await symlink(join(folder, "a/b"), join(folder, "short"));
      await symlink("../next", join(folder, "short/link")); // from a/b, so a/next
      await symlink("real.bin", join(folder, "a/next"));
      await writeFileAtomic(join(folder, "short/link"), NEW);
      expect(await contents(join(folder, "a/real.bin"))).toStrictEqual(NEW);
    });

    it("a link into a folder that is not there, and links in a circle, are refused by name", async () => {
      const [link, one, two] = ["link", "one", "two"].map((name) => join(folder, name)) as [string, string, string];
      await symlink(join(folder, "missing/real.bin"), link);
      await expect(writeFileAtomic(link, NEW)).rejects.toThrow(
        `cannot write file "${link}", a link to "${join(folder, "missing/real.bin")}": no such file or folder: make its folder first`,
      );
      await symlink(one, two);
      await symlink(two, one);
      await expect(writeFileAtomic(one, NEW)).rejects.toThrow("links lead in a circle: check the path");
      expect((await readdir(folder)).sort()).toStrictEqual(["link", "one", "two"]);
    });
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
    await expect(writeFileAtomic(path, NEW)).rejects.toThrow(`cannot write file "${path}": this is a folder`);
    expect(await readdir(folder)).toStrictEqual(["model.bin"]);
    expect(await readdir(path)).toStrictEqual(["inside"]);
  });

  it("does not take a file for a folder", async () => {
    await writeFile(path, OLD);
    await expect(writeFileAtomic(join(path, "x"), NEW)).rejects.toThrow("a part of the path is a file, not a folder");
    expect(await contents(path)).toStrictEqual(OLD);
  });
});

describe("a disk that fails", () => {
  const writing = (faults: Faults, bytes = NEW) => writeTo(brokenDisk(faults), path, bytes);

  /** What becomes of a failure: tolerated, or an error before or after the new file is in place. */
  function fateOf(call: string, code: string): "done" | "old" | "new" {
    const isUnsupported = code === "EACCES";
    if (["readdir", "lstat", "unlink"].includes(call)) return "done"; // of leftovers, which may stay
    if (call === "chmod") return isUnsupported ? "done" : "old";
    if (call.endsWith(" folder")) return isUnsupported ? "done" : "new";
    return "old";
  }

  it.each(["ENOSPC", "EIO", "EACCES"])(
    "with %s at every call in turn: an error that says so, and a whole file",
    async (code) => {
      const counting = brokenDisk();
      await writeFile(path, OLD);
      await writeTo(counting, path, OLD);
      expect(counting.calls).toContain("chmod");
      for (const [index, call] of counting.calls.entries()) {
        await writeFile(path, OLD);
        const fate = fateOf(call, code);
        const outcome = await writing({ fail: (_, i) => (i === index ? code : undefined) }).catch((error) => error);
        expect(await contents(path), `${index}: ${call}`).toStrictEqual(fate === "old" ? OLD : NEW);
        expect(await readdir(folder), `${index}: ${call}`).toStrictEqual(["model.bin"]);
        if (fate === "done") {
          expect(outcome, `${index}: ${call}`).toBe(undefined);
          continue;
        }
        expect(outcome, `${index}: ${call}`).toBeInstanceOf(SteepestError);
        expect(outcome.message).toMatch(
          /^cannot write file ".*model\.bin": (no space left|the disk has failed|permission denied)/,
        );
        expect(outcome.cause).toMatchObject({ code });
      }
    },
  );

  it("with every call from one on: what failed first is the cause", async () => {
    const counting = brokenDisk();
    await writeFile(path, OLD);
    await writeTo(counting, path, OLD);
    for (const [index] of counting.calls.entries()) {
      await writeFile(path, OLD);
      const fail = (_: string, i: number) => (i === index ? "ENOSPC" : i > index ? "EIO" : undefined);
      const error = await writing({ fail }).catch((error) => error);
      const first = fateOf(counting.calls[index] as string, "ENOSPC") === "done" ? "EIO" : "ENOSPC";
      expect(error.cause, `${index}: ${counting.calls[index]}`).toMatchObject({ code: first });
      expect([OLD, NEW]).toContainEqual(await contents(path));
      for (const name of await readdir(folder)) if (name !== "model.bin") await rm(join(folder, name));
    }
  });

  it("at renaming and at removing: both are named, the first is the cause", async () => {
    const fail = (call: string) => ({ rename: "EACCES", unlink: "EIO" })[call];
    const error = await writing({ fail }).catch((error) => error);
    expect(error.message).toMatch(
      /^cannot write file ".*": permission denied: .*; nor could the temporary file ".*\.tmp" be removed \(EIO\): remove it$/,
    );
    expect(error.cause).toMatchObject({ code: "EACCES" });
  });

  it("with short writes and short reads: all of the bytes all the same", async () => {
    const disk = brokenDisk({ shorten: (length) => Math.min(length, 7) });
    await writeTo(disk, path, NEW);
    expect(disk.calls.filter((call) => call === "write")).toHaveLength(Math.ceil(1000 / 7));
    expect(await contents(path)).toStrictEqual(NEW);
    expect(await readFrom(disk, path)).toStrictEqual(NEW);
  });

  it("with a write of nothing: an error, not a loop", async () => {
    await writeFile(path, OLD);
    await expect(writing({ shorten: () => 0 })).rejects.toThrow(/the disk took 0 of 1000 bytes: free some space/);
    expect(await contents(path)).toStrictEqual(OLD);
  });

  it("while it is read: an error that says so", async () => {
    await writeFile(path, OLD);
    const counting = brokenDisk();
    await readFrom(counting, path);
    for (const [index, call] of counting.calls.entries()) {
      const disk = brokenDisk({ fail: (_, i) => (i === index ? "EIO" : undefined) });
      await expect(readFrom(disk, path), call).rejects.toThrow(/^cannot read file ".*model\.bin": the disk has failed/);
    }
    await expect(readFrom(brokenDisk({ shorten: () => 0 }), path)).rejects.toThrow(/became shorter while it was read/);
  });
});

describe("what killed saves left", () => {
  const dead = () => Number(execFileSync(process.execPath, ["-p", "process.pid"], { encoding: "utf8" }));
  const as = (pid: number, file = path) => temporaryFor(file).replace(`-${process.pid}-`, `-${pid}-`);
  const elsewhere = (file: string) => file.replace(/(steepest-\w{16}-)\w{8}/, "$100000000");
  const aDayAgo = new Date(Date.now() - 25 * 3600 * 1000);

  it("is removed by the next save of the path, and nothing that another process may be writing", async () => {
    const left = { dead: as(dead()), before: temporaryFor(path), long: elsewhere(as(1)) };
    const living = { parent: as(process.ppid), own: temporaryFor(path), elsewhere: elsewhere(as(dead())) };
    const others = { file: as(dead(), join(folder, "other.bin")), user: join(folder, ".steepest-mine.tmp") };
    for (const file of [left, living, others].flatMap((files) => Object.values(files))) await writeFile(file, OLD);
    await utimes(left.long, aDayAgo, aDayAgo);
    const beforeStart = new Date(Date.now() - process.uptime() * 1000 - 60_000);
    await utimes(left.before, beforeStart, beforeStart);
    await writeFileAtomic(path, NEW);
    const kept = [living, others].flatMap((files) => Object.values(files));
    expect((await readdir(folder)).map((name) => join(folder, name)).sort()).toEqual([path, ...kept].sort());
  });

  it("is removed beside the file that a link leads to", async () => {
    if (onWindows) return;
    await mkdir(join(folder, "elsewhere"));
    const target = join(folder, "elsewhere/real.bin");
    await symlink(target, path);
    await writeFile(as(dead(), target), OLD);
    await writeFileAtomic(path, NEW);
    expect(await readdir(join(folder, "elsewhere"))).toEqual(["real.bin"]);
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

  it("refuses a file beyond 4 GiB by its size", async () => {
    await writeFile(path, "");
    await truncate(path, 2 ** 32 + 1);
    await expect(readFileBytes(path)).rejects.toThrow("at most 4294967296 bytes, got 4294967297: split it");
  });
});

describe.skipIf(onWindows)("what is no file is neither read nor replaced", () => {
  async function refused(odd: string, kind: string): Promise<void> {
    const before = await stat(odd);
    await expect(readFileBytes(odd)).rejects.toThrow(`cannot read file "${odd}": this is ${kind}, not a file: name a`);
    await expect(writeFileAtomic(odd, NEW)).rejects.toThrow(`cannot write file "${odd}": this is ${kind}, not a file`);
    expect((await stat(odd)).ino).toBe(before.ino);
  }

  it.each(["/dev/zero", "/dev/null", "/dev/urandom"])("%s", (device) => refused(device, "a device"));

  it("a named pipe, also behind a link", async () => {
    execFileSync("mkfifo", [path]);
    await refused(path, "a named pipe");
    await symlink(path, join(folder, "link"));
    await refused(join(folder, "link"), "a named pipe");
  });

  it("a socket", async () => {
    const server = createServer().listen(path);
    await once(server, "listening");
    await refused(path, "a socket");
    server.close();
  });

  it("a pipe that takes the place of a file after it was looked at", async () => {
    await writeFile(path, OLD);
    const looked = await stat(path);
    const disk = brokenDisk();
    execFileSync("mkfifo", [join(folder, "pipe")]);
    // Opened for both, so that opening it does not wait for a writer.
    const open: typeof disk.open = (_, __, mode) => disk.open(join(folder, "pipe"), "r+", mode);
    await expect(readFrom({ ...disk, stat: async () => looked, open }, path)).rejects.toThrow("this is a named pipe");
  });
});
