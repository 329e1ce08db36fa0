// Temporary files of saves: names that say whose they are, so that the next save of a path can clear away what killed
// ones left, and nothing else.
//
//   .steepest-<file>-<place>-<process>-<random>.tmp     file: digest of its name; place: digest of the machine
import { createHash, randomBytes } from "node:crypto";
import { readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { codeOf, type Disk } from "./disk.js";

const NAME = /^\.steepest-(?<file>[0-9a-f]{16})-(?<place>[0-9a-f]{8})-(?<pid>\d+)-[0-9a-f]{12}\.tmp$/;
// A save that has written nothing for so long is over, wherever it ran.
const LONG_MS = 24 * 60 * 60 * 1000;

/** A name beside `target` that nobody else has. */
export function temporaryFor(target: string): string {
  const parts = [digest(basename(target), 16), place(), process.pid, randomBytes(6).toString("hex")];
  return join(dirname(target), `.steepest-${parts.join("-")}.tmp`);
}

/**
 * Removes what killed saves of `target` left beside it. Never fails: a save does not depend on it.
 *
 * @param nowMs The time by the clock of the disk, which may be another machine's.
 */
export async function removeLeftovers(disk: Disk, target: string, nowMs: number): Promise<void> {
  const folder = dirname(target);
  const file = digest(basename(target), 16);
  for (const name of await disk.readdir(folder).catch(() => [])) {
    const parts = NAME.exec(name)?.groups;
    if (parts?.file !== file) continue;
    const path = join(folder, name);
    try {
      const { mtimeMs } = await disk.lstat(path);
      if (isLeft(parts.place, Number(parts.pid), mtimeMs, nowMs)) await disk.unlink(path);
    } catch {
      // Another save was faster, or the folder is not ours.
    }
  }
}

/** Whether nobody writes it any longer. */
function isLeft(where: string, pid: number, mtimeMs: number, nowMs: number): boolean {
  if (mtimeMs < nowMs - LONG_MS) return true;
  if (where !== place()) return false;
  // One of an earlier process with this number, as in a container that was started anew; or of another thread of this one.
  if (pid === process.pid) return mtimeMs < nowMs - process.uptime() * 1000;
  return !isAlive(pid);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== "ESRCH"; // it is another user's, or may not be asked for
  }
}

let ownPlace: string | undefined;

/** Where the numbers of processes mean the same: a machine, or a container on it. */
function place(): string {
  if (ownPlace === undefined)
    ownPlace = digest(`${attempt(hostname)} ${attempt(() => readlinkSync("/proc/self/ns/pid"))}`, 8);
  return ownPlace;
}

function attempt(ask: () => string): string {
  try {
    return ask();
  } catch {
    return ""; // there is none on this system, or it may not be asked for
  }
}

function digest(text: string, length: number): string {
  return createHash("sha256").update(text).digest("hex").slice(0, length);
}
