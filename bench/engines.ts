// The engines that steepest is measured on: one for each variant.
import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";
import { createEngine, type Engine } from "../src/engine/engine.js";
import { hasRelaxedSimd } from "../src/engine/features.js";
import "../src/platform/node.js";
import { type Implementation, LeftOut, type Variant, variantOf, type Yardstick } from "./workload.js";

/** Turns relaxed SIMD on where it is behind a flag (Node 20). Only works before the first module is compiled. */
export function enableRelaxedSimd(): void {
  if (!hasRelaxedSimd()) setFlagsFromString("--experimental-wasm-relaxed-simd");
}

/** Why an implementation cannot run here; undefined where it can. */
export function whyUnavailable(
  implementation: Implementation | Yardstick,
  processors: number = availableParallelism(),
): string | undefined {
  const { build = "strict", threads = 1 } = variantOf(implementation) ?? {};
  if (build === "fast" && !hasRelaxedSimd()) {
    return 'this runtime has no relaxed SIMD, so build "fast" would run as "strict"';
  }
  return threads > processors ? `${threads} threads need ${threads} processors, and there is ${processors}` : undefined;
}

const engines = new Map<string, Promise<Engine>>();

/**
 * The engine of a variant. Each reserves 4 GiB of addresses, so workloads share it. Throws LeftOut where the build does not
 * run. To find out, `wide` has V8 compile differently from then on: it needs a process of its own.
 */
export async function engineOf({ build, threads }: Variant): Promise<Engine> {
  const name = `${build}-${threads}`;
  const starting = engines.get(name) ?? createEngine({ build, threads });
  engines.set(name, starting);
  const engine = await starting;
  const got = `${engine.build}-${engine.threads}`;
  if (got === name) return engine;
  // Loaded here, as earlier revisions have no such file.
  const { whyNot } = await import("../src/engine/build.js");
  const reason = engine.build === build ? undefined : await whyNot(build);
  if (reason !== undefined) throw new LeftOut(`build "${build}" would run as "${engine.build}": ${reason}`);
  throw new Error(`engine ${name}: runs as ${got}`);
}

/** Ends all engines and their threads. Those asked for later are new. */
export async function disposeEngines(): Promise<void> {
  const started = await Promise.allSettled(engines.values());
  engines.clear();
  for (const result of started) if (result.status === "fulfilled") result.value.dispose();
}
