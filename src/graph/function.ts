/// <reference lib="esnext.disposable" preserve="true" />
// Compiles any function of symbolic tensors to a program, and calls it with values.
import { createEngine, createEngineSync, type Engine, type EngineOptions, engineOf } from "../engine/engine.js";
import {
  checkFunction,
  checkInteger,
  checkOptions,
  ModelError,
  SteepestError,
  showNames,
  showValue,
} from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import { nodesBehind } from "./backward.js";
import { indexBounds } from "./bounds.js";
import { planMemory } from "./plan.js";
import { type BlockLayout, initializeParameters, installPlan, layoutBlock, offsetIn, type Program } from "./program.js";
import { bytesOf, sizeOf, type Tensor } from "./tensor.js";
import { checkFeed, checkResults, type Feed, type InputShapes, inputsFor } from "./traced.js";
import { type Bound, checkSize, flattenValues, type Values, writeWords } from "./values.js";

export interface CompileFunctionOptions extends Omit<EngineOptions, "background"> {
  /** Run in this engine, which others may share, instead of one of its own. */
  engine?: Engine;
  /** Seed of the parameters' initial values, a whole number of at least 0. Default 0. */
  seed?: number;
}

/** A program that takes values and gives values (indices as float32 numbers); its parameters stay in its memory between calls. */
export interface CompiledFunction<I extends InputShapes, O extends Record<string, Tensor>> {
  (values: Feed<I>): { [K in keyof O]: Float32Array };
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
 * Traces `trace` once with symbolic inputs and compiles what it returns: an object of tensors. What is refused leaves no
 * memory taken in a shared engine.
 *
 * @throws ModelError where a shape, an option or what `trace` returns is not right; what is made throws DataError for
 * values that do not fit.
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
  const traced = traceFunction(trace, inputs, options);
  const { build, threads } = options;
  return install(traced, options, options.engine ?? (await createEngine({ build, threads, background: false })));
}

/** The synchronous form of `compileFunction`, where the runtime can load the kernels synchronously. */
export function compileFunctionSync<I extends InputShapes, O extends Record<string, Tensor>>(
  trace: (inputs: { [K in keyof I]: Tensor }) => O,
  inputs: I,
  options: CompileFunctionOptions = {},
): CompiledFunction<I, O> {
  const traced = traceFunction(trace, inputs, options);
  const { build, threads } = options;
  return install(traced, options, options.engine ?? createEngineSync({ build, threads }));
}

const WHERE = "compileFunction";

/** What a function does, before there is an engine to do it. */
interface TracedFunction<I extends InputShapes, O extends Record<string, Tensor>> {
  readonly inputs: { [K in keyof I]: Tensor };
  readonly outputs: O;
  readonly leaves: readonly Tensor[];
  readonly seed: readonly [low: number, high: number];
}

function traceFunction<I extends InputShapes, O extends Record<string, Tensor>>(
  trace: (inputs: { [K in keyof I]: Tensor }) => O,
  shapes: I,
  options: CompileFunctionOptions,
): TracedFunction<I, O> {
  checkFunction(WHERE, "what is traced", trace);
  checkOptions(WHERE, options, ["engine", "build", "threads", "seed"]);
  const seed = checkInteger(WHERE, "seed", options.seed ?? 0, 0);
  engineOf(WHERE, options);
  const inputs = inputsFor(WHERE, shapes);
  const outputs = trace(inputs);
  checkResults(WHERE, outputs);
  const leaves = findLeaves(Object.values(outputs), Object.values(inputs));
  return { inputs, outputs, leaves, seed: [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0] };
}

/** Lays a traced function into an engine. What it cannot finish it leaves no trace of. */
function install<I extends InputShapes, O extends Record<string, Tensor>>(
  traced: TracedFunction<I, O>,
  options: CompileFunctionOptions,
  engine: Engine,
): CompiledFunction<I, O> {
  const addresses: Pointer[] = [];
  const release = (): void => {
    for (const address of addresses) engine.allocator.free(address);
    if (options.engine === undefined) engine.dispose();
  };
  try {
    return callable(engine, traced, layOut(engine, traced, addresses), release);
  } catch (error) {
    release();
    throw error;
  }
}

/** Where a traced function lies. */
interface LaidOut {
  readonly program: Program;
  readonly parameters: readonly Tensor[];
  readonly plannedBytes: number;
  addressOf(tensor: Tensor): Pointer;
}

/** Takes memory for it, of which `addresses` tells also where it fails. */
function layOut<I extends InputShapes, O extends Record<string, Tensor>>(
  engine: Engine,
  { outputs, leaves, seed }: TracedFunction<I, O>,
  addresses: Pointer[],
): LaidOut {
  const take = (bytes: number): Pointer => {
    const address = engine.allocator.allocate(bytes);
    addresses.push(address);
    return address;
  };
  const block: BlockLayout = layoutBlock(leaves);
  const leafBlock = take(block.bytes);
  const pinned = new Map(leaves.map((tensor) => [tensor, leafBlock + offsetIn(block, tensor)]));
  const plan = planMemory(Object.values(outputs), pinned);
  const arena = engine.allocator.mark("transient", take(plan.arenaBytes));
  const { program, addressOf } = installPlan(engine, plan, arena, pinned);
  addresses.push(program.address);
  const parameters = leaves.filter((tensor) => tensor.source.kind === "parameter");
  engine.clear(leafBlock, block.bytes);
  for (const tensor of leaves) {
    if (tensor.source.kind === "constant") writeLeaf(engine, addressOf(tensor), tensor, tensor.source.data);
  }
  initializeParameters(engine, parameters, addressOf, seed);
  const plannedBytes = block.bytes + plan.arenaBytes + (program.end - program.address);
  return { program, parameters, plannedBytes, addressOf };
}

function callable<I extends InputShapes, O extends Record<string, Tensor>>(
  engine: Engine,
  { inputs, outputs }: TracedFunction<I, O>,
  { program, parameters, plannedBytes, addressOf }: LaidOut,
  release: () => void,
): CompiledFunction<I, O> {
  let open = true;
  const checkOpen = (): void => {
    if (!open) throw new SteepestError("compileFunction: this function has been disposed of: compile it again");
  };
  const parameterNamed = (name: string): Tensor => {
    checkOpen();
    const [found, ...others] = parameters.filter((tensor) => tensor.name === name);
    if (found !== undefined && others.length === 0) return found;
    const names = showNames(parameters.map((tensor) => tensor.name));
    throw new ModelError(
      found === undefined
        ? `${WHERE}: must be asked for one of the parameters ${names}, got ${showValue(name)}`
        : `${WHERE}: parameters must differ in their names to be asked for, got ${others.length + 1} named ${showValue(name)}`,
    );
  };
  const names = Object.keys(inputs);
  const bounds = indexBounds(Object.values(outputs));
  const call = (values: Feed<I>) => {
    checkOpen();
    checkFeed(WHERE, names, values);
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
    release();
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
    plannedBytes,
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
        `${WHERE}: the results must depend on the inputs only, got one that depends on another, ${showValue(tensor.name)}: name it among the inputs`,
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
