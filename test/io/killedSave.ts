// Runs in a process of its own: saves until it is killed, or kills itself at a call to the system.
import { writeFile } from "../../src/platform/files.js";
import { brokenDisk } from "./brokenDisk.js";

const [path = "", size = "0", mode, argument] = process.argv.slice(2);
const end = () => process.kill(process.pid, "SIGKILL");

if (mode === "at") {
  // At that call: before it, or half way where it is a write.
  const disk = brokenDisk({
    fail: (call, index) => {
      if (index !== Number(argument)) return undefined;
      if (call !== "write") end();
      return "EIO";
    },
    afterFailing: end,
  });
  await writeFile(disk, path, new Uint8Array(Number(size)).fill(2));
} else {
  const bytes = new Uint8Array(Number(size)).fill(Number(argument));
  // Says when it asks the system for something, so that it can be killed at any of these moments.
  const disk = brokenDisk({
    shorten: (length) => Math.min(length, 200_000),
    fail: () => void process.stdout.write("."),
  });
  for (;;) await writeFile(disk, path, bytes);
}
