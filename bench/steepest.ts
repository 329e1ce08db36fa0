// Steepest as a contestant: one engine for each variant, and functions whose inputs stay in its memory.
import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";
import { createEngine, type Engine } from "../src/engine/engine.js";
import { hasRelaxedSimd } from "../src/engine/features.js";
import { planMemory } from "../src/graph/plan.js";
import { installPlan } from "../src/graph/program.js";
import { bytesOf, input, type Shape, sizeOf, type Tensor } from "../src/graph/tensor.js";
import "../src/platform/node.js";
import { type Contestant, type Implementation, type Variant, variantOf } from "./workload.js";

/** Turns relaxed SIMD on where it is behind a flag (Node 20). Only works before the first module is compiled. */
export function enableRelaxedSimd(): void {
  if (!hasRelaxedSimd()) setFlagsFromString("--experimental-wasm-relaxed-simd");
}

/** Why an implementation cannot run here; undefined where it can. */
export function whyUnavailable(
  implementation: Implementation,
  processors: number = availableParallelism(),
): string | undefined {
  const { build = "strict", threads = 1 } = variantOf(implementation) ?? {};
  if (build === "fast" && !hasRelaxedSimd()) {
    return 'this runtime has no relaxed SIMD, so build "fast" would run as "strict"';
  }
  return threads > processors ? `${threads} threads need ${threads} processors, and there is ${processors}` : undefined;
}

const engines = new Map<string, Promise<Engine>>();

/** The engine of a variant. Each reserves 4 GiB of addresses, so workloads share it. */
export async function engineOf({ build, threads }: Variant): Promise<Engine> {
  const name = `${build}-${threads}`;
  const starting = engines.get(name) ?? createEngine({ build, threads });
  engines.set(name, starting);
  const engine = await starting;
  const got = `${engine.build}-${engine.threads}`;
  if (got !== name) throw new Error(`engine ${name}: runs as ${got}`);
  return engine;
}

/** Ends all engines and their threads. Those asked for later are new. */
export async function disposeEngines(): Promise<void> {
  const started = await Promise.allSettled(engines.values());
  engines.clear();
  for (const result of started) if (result.status === "fulfilled") result.value.dispose();
}

/** A function of fixed inputs, computed again in each step. */
export interface ResidentFunction extends Contestant {
  result(): Float32Array;
}

/** Compiles `trace` for inputs that are laid into memory once: nothing is copied while it runs. */
export function residentFunction(
  engine: Engine,
  inputs: readonly ResidentInput[],
  trace: (...tensors: Tensor[]) => Tensor,
): ResidentFunction {
  const { results, ...contestant } = residentFunctions(engine, inputs, (...tensors) => [trace(...tensors)]);
  return { ...contestant, result: () => results()[0] };
}

export interface ResidentInput {
  readonly shape: Shape;
  readonly values: Float32Array;
}

/** The same with several results. */
export function residentFunctions(
  engine: Engine,
  inputs: readonly ResidentInput[],
  trace: (...tensors: Tensor[]) => readonly Tensor[],
): Contestant & { results(): Float32Array[] } {
  const addresses: number[] = [];
  const take = (bytes: number): number => {
    const address = engine.allocator.allocate(bytes);
    addresses.push(address);
    return address;
  };
  const pinned = new Map<Tensor, number>();
  const tensors = inputs.map(({ shape, values }, i) => {
    const tensor = input(shape, { name: `input${i}` });
    const address = take(bytesOf(tensor));
    pinned.set(tensor, address);
    engine.floats(address, values.length).set(values);
    return tensor;
  });
  const outputs = trace(...tensors);
  const plan = planMemory(outputs, pinned);
  const { program, addressOf } = installPlan(engine, plan, take(plan.arenaBytes), pinned);
  addresses.push(program.address);
  return {
    reset() {},
    run: (steps) => engine.run(program.address, program.end, steps, program.threads),
    results: () => outputs.map((tensor) => engine.floats(addressOf(tensor), sizeOf(tensor.shape)).slice()),
    dispose() {
      for (const address of addresses) engine.allocator.free(address);
    },
  };
}
