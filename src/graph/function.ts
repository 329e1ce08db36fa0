/// <reference lib="esnext.disposable" preserve="true" />
// Compiles any function of symbolic tensors to a program, and calls it with values.
import { checkMade } from "../engine/copies.js";
import { createEngine, createEngineSync, type Engine, type EngineOptions } from "../engine/engine.js";
import { checkOptions, ModelError, SteepestError } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import { nodesBehind } from "./backward.js";
import { indexBounds } from "./bounds.js";
import { planMemory } from "./plan.js";
import { type BlockLayout, initializeParameters, installPlan, layoutBlock } from "./program.js";
import { bytesOf, input, type Shape, sizeOf, type Tensor } from "./tensor.js";
import { type Bound, checkSize, flattenValues, type Values, writeWords } from "./values.js";

export interface CompileFunctionOptions extends Omit<EngineOptions, "background"> {
  /** Run in this engine, which others may share, instead of one of its own. */
  engine?: Engine;
  /** Seed of the parameters' initial values. Default 0. */
  seed?: number;
}

/** Shapes by input name; a tensor made with `input()` where a name or another dtype is wanted. */
export type InputShapes = Record<string, Shape | Tensor>;

/** A program that takes values and gives values (indices as float32 numbers); its parameters stay in its memory between calls. */
export interface CompiledFunction<I extends InputShapes, O extends Record<string, Tensor>> {
  (values: { readonly [K in keyof I]: Values }): { [K in keyof O]: Float32Array };
  /** Current values of a parameter, by its name, as a copy. */
  parameter(name: string): Float32Array;
  setParameter(name: string, values: Values): void;
  /** Bytes of arena, inputs, parameters and instructions, as planned. */
  readonly plannedBytes: number;
  readonly engine: Engine;
  /** Gives the memory back. Calling the function afterwards throws. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/**
 * Traces `trace` once with symbolic inputs and compiles what it returns.
 *
 * @example
 * const f = await compileFunction(({ x }) => ({ y: sum(square(x)) }), { x: [3] });
 * f({ x: [1, 2, 3] }).y; // Float32Array [14]
 */
export async function compileFunction<I extends InputShapes, O extends Record<string, Tensor>>(
  trace: (inputs: { [K in keyof I]: Tensor }) => O,
  inputs: I,
  options: CompileFunctionOptions = {},
): Promise<CompiledFunction<I, O>> {
  return build(
    trace,
    inputs,
    options,
    options.engine ?? (await createEngine({ build: options.build, threads: options.threads, background: false })),
  );
}

/** The synchronous form of `compileFunction`, where the runtime can load the kernels synchronously. */
export function compileFunctionSync<I extends InputShapes, O extends Record<string, Tensor>>(
  trace: (inputs: { [K in keyof I]: Tensor }) => O,
  inputs: I,
  options: CompileFunctionOptions = {},
): CompiledFunction<I, O> {
  return build(
    trace,
    inputs,
    options,
    options.engine ?? createEngineSync({ build: options.build, threads: options.threads }),
  );
}

function build<I extends InputShapes, O extends Record<string, Tensor>>(
  trace: (inputs: { [K in keyof I]: Tensor }) => O,
  shapes: I,
  options: CompileFunctionOptions,
  engine: Engine,
): CompiledFunction<I, O> {
  checkOptions("compileFunction", options, ["engine", "build", "threads", "seed"]);
  checkMade("compileFunction", engine);
  const inputs = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, "source" in shape ? shape : input(shape, { name })]),
  ) as { [K in keyof I]: Tensor };
  const outputs = trace(inputs);
  const results = Object.values(outputs);
  const bounds = indexBounds(results);
  const leaves = findLeaves(results, Object.values(inputs));
  const block: BlockLayout = layoutBlock(leaves);
  const addresses: Pointer[] = [];
  const take = (bytes: number): Pointer => {
    const address = engine.allocator.allocate(bytes);
    addresses.push(address);
    return address;
  };

  const leafBlock = take(block.bytes);
  const pinned = new Map(leaves.map((tensor) => [tensor, leafBlock + (block.offsets.get(tensor) as number)]));
  const plan = planMemory(results, pinned);
  const { program, addressOf } = installPlan(
    engine,
    plan,
    engine.allocator.mark("transient", take(plan.arenaBytes)),
    pinned,
  );
  addresses.push(program.address);
  const parameters = leaves.filter((tensor) => tensor.source.kind === "parameter");
  engine.clear(leafBlock, block.bytes);
  for (const tensor of leaves) {
    if (tensor.source.kind === "constant") writeLeaf(engine, addressOf(tensor), tensor, tensor.source.data);
  }
  initializeParameters(engine, parameters, addressOf, [(options.seed ?? 0) >>> 0, 0]);

  let open = true;
  const checkOpen = (): void => {
    if (!open) throw new SteepestError("compileFunction: this function has been disposed of: compile it again");
  };
  const parameterNamed = (name: string): Tensor => {
    checkOpen();
    const found = parameters.find((tensor) => tensor.name === name);
    if (found) return found;
    throw new ModelError(
      `compileFunction: no parameter is named "${name}": there are ${parameters.map((p) => p.name).join(", ")}`,
    );
  };
  const call = (values: { readonly [K in keyof I]: Values }) => {
    checkOpen();
    for (const [name, tensor] of Object.entries(inputs))
      writeLeaf(engine, addressOf(tensor), tensor, values[name], name, bounds.get(tensor));
    engine.run(program.address, program.end, 1, program.threads);
    return Object.fromEntries(
      Object.entries(outputs).map(([name, tensor]) => [name, readResult(engine, addressOf(tensor), tensor)]),
    ) as { [K in keyof O]: Float32Array };
  };
  const dispose = (): void => {
    if (!open) return;
    open = false;
    for (const address of addresses) engine.allocator.free(address);
    if (options.engine === undefined) engine.dispose();
  };
  return Object.assign(call, {
    parameter: (name: string) => {
      const tensor = parameterNamed(name);
      return engine.floats(addressOf(tensor), sizeOf(tensor.shape)).slice();
    },
    setParameter: (name: string, values: Values) => {
      const tensor = parameterNamed(name);
      writeLeaf(engine, addressOf(tensor), tensor, values);
    },
    plannedBytes: block.bytes + plan.arenaBytes + (program.end - program.address),
    engine,
    dispose,
    [Symbol.dispose]: dispose,
  });
}

/** Inputs first, then every parameter and constant the results depend on, in order of creation. */
function findLeaves(results: readonly Tensor[], inputs: readonly Tensor[]): Tensor[] {
  const found = new Set<Tensor>();
  const seen = [...results, ...nodesBehind(results).flatMap((node) => node.inputs)];
  for (const tensor of seen.sort((a, b) => a.id - b.id)) {
    if (tensor.source.kind === "result") continue;
    if (tensor.source.kind === "input" && !inputs.includes(tensor)) {
      throw new ModelError(
        `compileFunction: the result depends on input "${tensor.name}", which is not among the inputs`,
      );
    }
    found.add(tensor);
  }
  return [...new Set([...inputs, ...found])];
}

/** A copy of a result. Indices become float32 numbers, which are exact up to 2^24. */
export function readResult(engine: Engine, address: Pointer, { dtype, shape }: Tensor): Float32Array {
  const n = sizeOf(shape);
  return dtype === "uint32" ? Float32Array.from(engine.words(address, n)) : engine.floats(address, n).slice();
}

/** Checks values against an input's or parameter's shape, and whole numbers against what they choose from; writes them. */
export function writeLeaf(
  engine: Engine,
  address: Pointer,
  tensor: Tensor,
  values: Values,
  name = tensor.name,
  bound?: Bound,
): void {
  const where = `"${name}"`;
  const flat = flattenValues(where, values);
  checkSize(where, flat, tensor.shape);
  if (tensor.dtype === "uint32") writeWords(where, engine.words(address, bytesOf(tensor) / 4), flat.data, bound);
  else engine.floats(address, bytesOf(tensor) / 4).set(flat.data);
  engine.changed(address, bytesOf(tensor));
}
