// Runs other programs and keeps what they print.
import { spawn } from "node:child_process";
import { join } from "node:path";

const LONGEST_MS = 300_000;
const windows = process.platform === "win32";

/** Runs a program to its end and returns its output; an error that holds the end of all output where it fails. */
export function run(command, args, { cwd, shell = false, env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      shell,
      env: { ...process.env, NO_COLOR: "1", ...env },
      timeout: LONGEST_MS,
    });
    const [out, all] = [[], []];
    child.stdout.on("data", (data) => {
      out.push(data);
      all.push(data);
    });
    child.stderr.on("data", (data) => all.push(data));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) return resolve(String(Buffer.concat(out)));
      const end = String(Buffer.concat(all)).trim().slice(-2000);
      reject(new Error(`${[command, ...args].join(" ")}: ${signal ?? `exit code ${code}`}\n${end}`));
    });
  });
}

export const node = (args, cwd) => run(process.execPath, args, { cwd });

/** npm as the one that runs this program, where there is one. */
export function npm(args, cwd) {
  const path = process.env.npm_execpath;
  if (path?.endsWith(".js")) return node([path, ...args], cwd);
  return run("npm", args, { cwd, shell: windows });
}

/** Packs a folder as it would be published; returns the tarball's path. */
export async function pack(folder, destination) {
  const args = ["pack", folder, "--json", "--ignore-scripts", "--pack-destination", destination];
  return join(destination, Object.values(JSON.parse(await npm(args, destination)))[0].filename);
}

/** Starts a server and waits until it prints an address. */
export function startServer(args, cwd) {
  const child = spawn(process.execPath, args, { cwd, env: { ...process.env, NO_COLOR: "1" } });
  return new Promise((resolve, reject) => {
    let said = "";
    const listen = (data) => {
      said += data;
      const address = said.match(/http:\/\/\S+/)?.[0];
      if (address !== undefined) resolve({ address, close: () => child.kill() });
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`${args.join(" ")}: ended with code ${code}\n${said}`)));
  });
}
