// Programs that start others themselves.
import { spawn } from "node:child_process";
import process from "node:process";

/** Starts a program with all that it starts itself; `end` ends them all. It ends them too where this process ends. */
export function start(path, args, { env, stdio }) {
  // A group of its own: a browser's processes outlive the driver that is killed alone.
  const child = spawn(path, args, { env, stdio, detached: true });
  const kill = () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // They have ended.
    }
  };
  process.once("exit", kill);
  const failed = new Promise((_, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`${path} ended with ${signal ?? `code ${code}`}`)));
  });
  failed.catch(() => {});
  const end = () => {
    process.off("exit", kill);
    kill();
  };
  return { child, failed, end };
}
