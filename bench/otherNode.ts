// The whole bench on another Node (`--node`).
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { TYPESCRIPT } from "./children.js";
import { UsageError } from "./options.js";

/** Calls the bench with the same arguments but `--node`; returns its exit code. What it prints goes on. */
export async function runOnNode(node: string, args: readonly string[]): Promise<number> {
  const { stdout, error } = spawnSync(node, ["--version"], { encoding: "utf8" });
  if (error !== undefined || !/^v\d+\.\d+\.\d+/.test(stdout)) {
    throw new UsageError(`--node: "${node}" must be a Node: ${error?.message ?? "it does not tell its version"}`);
  }
  const bench = fileURLToPath(new URL("./index.ts", import.meta.url));
  const child = spawn(node, [...TYPESCRIPT, bench, ...withoutNode(args)], { stdio: "inherit" });
  const [code] = await once(child, "close");
  return code ?? 1;
}

/** `--node PATH` and `--node=PATH`. */
export function withoutNode(args: readonly string[]): string[] {
  return args.filter((arg, i) => arg !== "--node" && args[i - 1] !== "--node" && !arg.startsWith("--node="));
}
