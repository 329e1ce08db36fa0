/// <reference lib="esnext.disposable" preserve="true" />
// Compiles any function of symbolic tensors to a program, and calls it with values.
import { createEngine, createEngineSync, type Engine, type EngineOptions, engineOf } from "../engine/engine.js";
import { checkFunction, ModelError, SteepestError, showNames, showValue } from "../engine/errors.js";
import { integer, type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { leavesBehind } from "./backward.js";
import { type BuiltProgram, buildProgram } from "./program.js";
import { createValueStore, initializeParameters, layoutBlock, type ValueStore } from "./store.js";
import type { Shape, Tensor } from "./tensor.js";
import {
  checkInputs,
  checkResults,
  type Feed,
  feedWriter,
  type InputShapes,
  inputsFor,
  readResults,
  writeValues,
} from "./traced.js";
import type { Values } from "./values.js";

export interface CompileFunctionOptions extends Omit<EngineOptions, "background"> {
  /** Run in this engine, which others may share. Default: a new one. */
  engine?: Engine;
  /** Seed of the parameters' initial values, a whole number of at least 0. Default 0. */
  seed?: number;
}

const OPTIONS = {
  // The engine's own checks these.
  build: unchecked<EngineOptions["build"]>(),
  threads: unchecked<number | undefined>(),
  convolution: unchecked<EngineOptions["convolution"]>(),
  engine: unchecked<Engine | undefined>(),
  seed: integer(0, { min: 0 }),
} satisfies OptionsOf<CompileFunctionOptions>;

/**
 * A program that takes values and returns values (indices as float32). Its parameters stay in its memory between calls.
 */
export interface CompiledFunction<I extends InputShapes, O extends Record<string, Tensor>> {
  (values: Feed<I>): { [K in keyof O]: Float32Array };
  /** A copy of the current values of a parameter: by the parameter itself, or by its name if no other has it. */
  parameter(which: string | Tensor): Float32Array;
  setParameter(which: string | Tensor, values: Values): void;
  /** The shape of each result, whose numbers are row-major. */
  readonly outputShapes: { readonly [K in keyof O]: Shape };
  /** Planned bytes of the arena, inputs, parameters and instructions. */
  readonly plannedBytes: number;
  readonly engine: Engine;
  /** Frees the memory. Calling the function afterwards throws. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/**
 * Calls `trace` once with symbolic inputs, and compiles the tensors that it returns, in an object by name. If it
 * throws, no memory of a shared engine stays in use.
 *
 * @throws ModelError if a shape, an option or the result of `trace` is wrong. The compiled function throws DataError
 * for values that do not fit.
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
  const { build, threads, convolution } = options;
  const own = { build, threads, convolution, background: false };
  return install(traced, options, options.engine ?? (await createEngine(own)));
}

/** The synchronous form of `compileFunction`, for runtimes that can load the kernels synchronously. */
export function compileFunctionSync<I extends InputShapes, O extends Record<string, Tensor>>(
  trace: (inputs: { [K in keyof I]: Tensor }) => O,
  inputs: I,
  options: CompileFunctionOptions = {},
): CompiledFunction<I, O> {
  const traced = traceFunction(trace, inputs, options);
  const { build, threads, convolution } = options;
  return install(traced, options, options.engine ?? createEngineSync({ build, threads, convolution }));
}

const WHERE = "compileFunction";

/** A traced function, before there is an engine for it. */
interface TracedFunction<I extends InputShapes, O extends Record<string, Tensor>> {
  readonly inputs: { [K in keyof I]: Tensor };
  readonly outputs: O;
  readonly seed: readonly [low: number, high: number];
}

function traceFunction<I extends InputShapes, O extends Record<string, Tensor>>(
  trace: (inputs: { [K in keyof I]: Tensor }) => O,
  shapes: I,
  options: CompileFunctionOptions,
): TracedFunction<I, O> {
  checkFunction(WHERE, "what is traced", trace);
  const { seed } = readOptions(WHERE, options, OPTIONS);
  engineOf(WHERE, options);
  const inputs = inputsFor(WHERE, shapes);
  const outputs = trace(inputs);
  checkResults(WHERE, outputs);
  checkInputs(WHERE, Object.values(outputs), Object.values(inputs));
  return { inputs, outputs, seed: [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0] };
}

/** Builds a traced function in an engine. If it throws, no memory stays in use. */
function install<I extends InputShapes, O extends Record<string, Tensor>>(
  { inputs, outputs, seed }: TracedFunction<I, O>,
  options: CompileFunctionOptions,
  engine: Engine,
): CompiledFunction<I, O> {
  const values = createValueStore(engine);
  const release = (): void => {
    values.dispose();
    if (options.engine === undefined) engine.dispose();
  };
  try {
    const results = Object.values(outputs);
    const parameters = leavesBehind(results).filter(({ source }) => source.kind === "parameter");
    values.adopt(parameters);
    initializeParameters(engine, parameters, values.addressOf, seed);
    const built = buildProgram(engine, { results, values, inputs: Object.values(inputs) });
    return callable({ inputs, outputs }, parameters, values, built, release);
  } catch (error) {
    release();
    throw error;
  }
}

function callable<I extends InputShapes, O extends Record<string, Tensor>>(
  { inputs, outputs }: Pick<TracedFunction<I, O>, "inputs" | "outputs">,
  parameters: readonly Tensor[],
  values: ValueStore,
  { program, bytes, addressOf, dispose: disposeOfProgram }: BuiltProgram,
  release: () => void,
): CompiledFunction<I, O> {
  const { engine } = values;
  let open = true;
  const checkOpen = (): void => {
    if (!open) throw new SteepestError("compileFunction: this function has been disposed of: compile it again");
  };
  const parameterAt = (which: string | Tensor): Tensor => {
    checkOpen();
    return find(parameters, which);
  };
  const write = feedWriter<I>(WHERE, engine, inputs, Object.values(outputs), addressOf);
  const call = (feed: Feed<I>) => {
    checkOpen();
    write(feed);
    engine.run(program.address, program.end, 1, program.threads);
    return readResults(engine, outputs, addressOf);
  };
  const dispose = (): void => {
    if (!open) return;
    open = false;
    disposeOfProgram();
    release();
  };
  return Object.assign(call, {
    parameter: (which: string | Tensor) => values.read(parameterAt(which)).data,
    setParameter: (which: string | Tensor, given: Values) => {
      const tensor = parameterAt(which);
      writeValues(engine, values.addressOf(tensor), tensor, given);
    },
    outputShapes: shapesOf(outputs),
    plannedBytes: bytes + layoutBlock(parameters).bytes,
    engine,
    dispose,
    [Symbol.dispose]: dispose,
  });
}

function shapesOf<O extends Record<string, Tensor>>(outputs: O): { [K in keyof O]: Shape } {
  const shapes = Object.entries(outputs).map(([name, { shape }]): [string, Shape] => [name, [...shape]]);
  return Object.fromEntries(shapes) as { [K in keyof O]: Shape };
}

function find(parameters: readonly Tensor[], which: string | Tensor): Tensor {
  const [found, ...others] = parameters.filter((tensor) => tensor === which || tensor.name === which);
  if (found !== undefined && others.length === 0) return found;
  const names = showNames(parameters.map((tensor) => tensor.name));
  throw new ModelError(
    found === undefined
      ? `${WHERE}: must be asked for one of the parameters ${names}, got ${showValue(which)}`
      : `${WHERE}: parameters must differ in their names to be asked for by these, got ${others.length + 1} named ${showValue(which)}: hand in the parameter itself`,
  );
}
