// A disk that notes what it is asked for, and fails where it is told to.
import type { Disk, OpenFile } from "../../src/platform/disk.js";
import { realDisk } from "../../src/platform/disk.js";

export interface BrokenDisk extends Disk {
  /** What it was asked for, in order. */
  readonly calls: string[];
}

export interface Faults {
  /** Decides whether a call fails: the code of its error. A write that fails has written half of its bytes. */
  readonly fail?: (call: string, index: number) => string | undefined;
  /** Called when a call has failed half way. */
  readonly afterFailing?: () => void;
  /** How many bytes of a piece are written. */
  readonly shorten?: (length: number) => number;
}

export function brokenDisk({
  fail = () => undefined,
  shorten = (length) => length,
  afterFailing = () => {},
}: Faults = {}): BrokenDisk {
  const calls: string[] = [];
  async function call<T>(name: string, act: () => Promise<T>, before?: () => Promise<unknown>): Promise<T> {
    const code = fail(name, calls.length);
    calls.push(name);
    if (code === undefined) return act();
    await before?.();
    afterFailing();
    throw Object.assign(new Error(`${code}: made to fail`), { code });
  }
  function opened(file: OpenFile, suffix: string): OpenFile {
    return {
      stat: () => call(`fstat${suffix}`, () => file.stat()),
      chmod: (mode) => call(`chmod${suffix}`, () => file.chmod(mode)),
      read: (to, offset, length, position) => call("read", () => file.read(to, offset, shorten(length), position)),
      write: (bytes, offset, length, position) =>
        call(
          "write",
          () => file.write(bytes, offset, shorten(length), position),
          () => file.write(bytes, offset, length >> 1, position),
        ),
      sync: () => call(`sync${suffix}`, () => file.sync()),
      // Closed all the same, as systems do it.
      close: () =>
        call(
          `close${suffix}`,
          () => file.close(),
          () => file.close(),
        ),
    };
  }
  return {
    calls,
    async open(path, flags, mode) {
      const suffix = flags === "r" ? " folder" : "";
      return opened(await call(`open${suffix}`, () => realDisk.open(path, flags, mode)), suffix);
    },
    stat: (path) => call("stat", () => realDisk.stat(path)),
    lstat: (path) => call("lstat", () => realDisk.lstat(path)),
    readlink: (path) => call("readlink", () => realDisk.readlink(path)),
    realpath: (path) => call("realpath", () => realDisk.realpath(path)),
    readdir: (path) => call("readdir", () => realDisk.readdir(path)),
    rename: (from, to) => call("rename", () => realDisk.rename(from, to)),
    unlink: (path) => call("unlink", () => realDisk.unlink(path)),
    mkdir: (path, options) => call("mkdir", () => realDisk.mkdir(path, options)),
  };
}
