// Three hosts on one machine: each in a network namespace of its own, with a cable to a switch that can be unplugged. Linux, as root.
import { execFileSync } from "node:child_process";
import { atEnd } from "./world.mjs";

const ip = (...args) => execFileSync("ip", args, { stdio: "pipe", encoding: "utf8" });
const nameOf = (host) => `steepest-${process.pid}-${host}`;

/** Why there can be none here; `undefined` if there can. */
export function whyNoNetwork() {
  try {
    ip("netns", "add", nameOf("trial"));
    ip("netns", "exec", nameOf("trial"), "ip", "link", "set", "lo", "up");
    return undefined;
  } catch (error) {
    return error.code === "ENOENT" ? "the program ip is not installed" : `${error.stderr ?? error}`.trim();
  } finally {
    try {
      ip("netns", "del", nameOf("trial"));
    } catch {}
  }
}

/** Hosts 1 to `count`, at 10.99.0.1 and so on, and their switch. */
export function createNetwork(count) {
  const hub = nameOf("hub");
  const names = [hub];
  const end = () => {
    atEnd.delete(end);
    for (const name of names) {
      try {
        ip("netns", "del", name);
      } catch {}
    }
  };
  atEnd.add(end);
  ip("netns", "add", hub);
  ip("-n", hub, "link", "add", "switch", "type", "bridge");
  ip("-n", hub, "link", "set", "switch", "up");
  const hosts = Array.from({ length: count }, (_, index) => {
    const [name, port, address] = [nameOf(index + 1), `port${index + 1}`, `10.99.0.${index + 1}`];
    names.push(name);
    ip("netns", "add", name);
    ip("-n", hub, "link", "add", port, "type", "veth", "peer", "name", "cable", "netns", name);
    ip("-n", hub, "link", "set", port, "master", "switch");
    ip("-n", hub, "link", "set", port, "up");
    ip("-n", name, "address", "add", `${address}/24`, "dev", "cable");
    for (const device of ["lo", "cable"]) ip("-n", name, "link", "set", device, "up");
    return {
      address,
      /** Words before a program that has it run there. */
      host: ["ip", "netns", "exec", name],
      /** Unplugs the cable at the switch, or puts it in again. Nobody is told: what was sent is lost. */
      cut: () => ip("-n", hub, "link", "set", port, "nomaster"),
      mend: () => ip("-n", hub, "link", "set", port, "master", "switch"),
    };
  });
  return { hosts, end };
}
