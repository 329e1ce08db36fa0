// Steepest as a contestant: functions whose inputs stay in an engine's memory.
import type { Engine } from "../src/engine/engine.js";
import { createLease } from "../src/engine/lease.js";
import { apply, type Operation } from "../src/graph/operation.js";
import { buildProgram } from "../src/graph/program.js";
import { bytesOf, input, type Shape, sizeOf, type Tensor } from "../src/graph/tensor.js";
import { gradient } from "../src/ops/gradient.js";
import type { Contestant } from "./workload.js";

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
  const leaves = inputs.map(({ shape, values }, i) => ({ tensor: input(shape, { name: `input${i}` }), values }));
  return residentProgram(engine, leaves, trace(...leaves.map(({ tensor }) => tensor)));
}

/** A tensor that is not computed, and what is in it. */
export interface Leaf {
  readonly tensor: Tensor;
  readonly values: Float32Array | Uint32Array;
}

/** Whatever computes tensors from values that lie in memory. */
export interface ResidentProgram extends Contestant {
  results(): Float32Array[];
  /** Gives a leaf other values. */
  write(leaf: Leaf): void;
}

/** Compiles what `outputs` depend on. All leaves but constants must be given. */
export function residentProgram(engine: Engine, leaves: readonly Leaf[], outputs: readonly Tensor[]): ResidentProgram {
  const lease = createLease(engine);
  const places = new Map(leaves.map(({ tensor }) => [tensor, lease.take(bytesOf(tensor))]));
  const write = ({ tensor, values }: Leaf): void => engine.write(places.get(tensor) as number, values, tensor.dtype);
  for (const leaf of leaves) write(leaf);
  const { program, addressOf, dispose } = buildProgram(engine, { results: outputs, places });
  lease.defer(dispose);
  return {
    reset() {},
    run: (steps) => engine.run(program.address, program.end, steps, program.threads),
    results: () => outputs.map((tensor) => engine.floats(addressOf(tensor), sizeOf(tensor.shape)).slice()),
    write,
    dispose: lease.release,
  };
}

/** Stands for whatever comes behind y and gives it the gradient `upstream`. Nobody asks for its value. */
const rest: Operation = {
  name: "rest",
  infer: () => [{ shape: [] }],
  forward() {
    throw new Error("rest: it has no value, only a gradient");
  },
  backward: ({ inputs: [, upstream] }) => [upstream, undefined],
};

/** Gradients from that of y, as in the middle of a network: no loss is computed, which would be timed too. */
export function gradientsFrom(y: Tensor, upstream: Tensor, wrt: readonly Tensor[]): Tensor[] {
  return wrt.length === 0 ? [] : gradient(apply(rest, [y, upstream], undefined), wrt);
}
