// Runs sweep.ts in a process of its own, and ends it if it says nothing for long: a reader that hangs cannot be ended from within.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Swept } from "./sweep.js";

/** A machine with a hundred times as much to do takes no longer for what a line stands for. */
const HANGS_AFTER_MS = 120_000;
// Whoever fills the heap, by something that no constructor was asked for, ends too.
const MAX_HEAP_MB = 512;

/** All that was swept. Throws if a process hangs or crashes. */
export async function sweeps(
  [form, part = "", mutation = "0"]: readonly [form: "brief" | "whole" | "one", part?: string, mutation?: string],
  onSwept: (swept: Swept) => void = () => {},
  onPlace: (at: string) => void = () => {},
): Promise<Swept[]> {
  const all: Swept[] = [];
  let next: Swept["next"];
  do {
    const from = [form, part, ...(next === undefined ? [mutation] : next.map(String))];
    const swept = await sweepOf(from, onSwept, onPlace);
    next = swept.at(-1)?.next;
    all.push(...swept);
  } while (next !== undefined);
  return all;
}

async function sweepOf(
  args: readonly string[],
  onSwept: (swept: Swept) => void,
  onPlace: (at: string) => void,
): Promise<Swept[]> {
  const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
  const loader = ["--import", new URL("../../bench/typescript.mjs", import.meta.url).href];
  const flags = [`--max-old-space-size=${MAX_HEAP_MB}`, ...loader, path("sweep.ts"), ...args];
  const child = spawn(process.execPath, flags, { stdio: ["ignore", "pipe", "pipe"] });
  const all: Swept[] = [];
  let [last, errors] = ["before the first mutation", ""];
  let hangs = false;
  const end = () => {
    hangs = true;
    child.kill("SIGKILL");
  };
  let watch = setTimeout(end, HANGS_AFTER_MS);
  child.stderr.on("data", (piece) => {
    errors = `${errors}${piece}`.slice(-2000);
  });
  const closed = new Promise<number | null>((resolve) => child.on("close", resolve));
  for await (const line of createInterface({ input: child.stdout })) {
    clearTimeout(watch);
    watch = setTimeout(end, HANGS_AFTER_MS);
    const said = JSON.parse(line) as Swept | { readonly at: string };
    if ("at" in said) {
      last = said.at;
      onPlace(last);
    } else {
      all.push(said);
      last = `${said.of}, ${said.file}: done`;
      onSwept(said);
    }
  }
  const code = await closed;
  clearTimeout(watch);
  if (hangs) throw new Error(`a reader hangs, soon after ${last}`);
  if (code !== 0) throw new Error(`the sweep ended with code ${code}, soon after ${last}: ${errors}`);
  return all;
}
