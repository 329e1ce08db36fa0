/// <reference lib="esnext.disposable" preserve="true" />
// Custom training steps: functions of tensors, with models and layers in them. Each is compiled to a program with its
// own optimizer. All of them work on the same values of the parameters.
import { CLOCK_BYTES, CLOCK_POSITION } from "../engine/constants.js";
import { createEngine, createEngineSync, type Engine, type EngineOptions, engineOf } from "../engine/engine.js";
import { checkFunction, ModelError, SteepestError, showValue } from "../engine/errors.js";
import { type Pointer, serial } from "../engine/instructions.js";
import { kindOf } from "../engine/kind.js";
import { type Lease, leasing } from "../engine/lease.js";
import { flag, integer, type OptionsOf, optional, readOptions, unchecked } from "../engine/options.js";
import { leavesBehind } from "../graph/backward.js";
import { type BuiltProgram, buildProgram } from "../graph/program.js";
import {
  byName,
  createValueStore,
  initializeParameters,
  layoutBlock,
  offsetIn,
  type ParameterValues,
  type ValueStore,
} from "../graph/store.js";
import { input, isTensor, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import {
  checkInputs,
  checkResults,
  type Feed,
  feedWriter,
  type InputShapes,
  inputsFor,
  readResults,
} from "../graph/traced.js";
import type { Values } from "../graph/values.js";
import { copyBeforeChanges, type LayerState, layerContext, type TracedContext } from "../nn/layer.js";
import { createModule } from "../nn/module.js";
import type { Scope } from "../nn/scope.js";
import { gradient } from "../ops/gradient.js";
import { checkOptimizer, type NamedRate, type Optimizer, rateAt, ratesByGroup } from "../optim/optimizer.js";
import { gradientScratch, ownTensors, recordChanges, recordGradients, withPenalties } from "./changes.js";
import { DivergenceError, namesNotFinite } from "./divergence.js";
import { placeOptimizerIn, planOptimizer } from "./optimizer.js";
import { checkUpdate, type ParameterUpdate } from "./parameters.js";
import { createRowStates, placeOfRows, type RowStates, releaseRows, resetRows } from "./rowStates.js";
import { isTrainable, wordsOfSeed } from "./state.js";

export interface WorkspaceOptions extends Omit<EngineOptions, "background"> {
  /** Seed of initial values and of randomness in steps. A whole number of at least 0. Default 0. */
  seed?: number;
  /** Run in this engine, which others may share. Default: a new one. */
  engine?: Engine;
}

const OPTIONS = {
  seed: integer(0, { min: 0 }),
  // Checked by the engine.
  engine: unchecked<Engine | undefined>(),
  build: unchecked<EngineOptions["build"]>(),
  threads: unchecked<EngineOptions["threads"]>(),
  convolution: unchecked<EngineOptions["convolution"]>(),
} satisfies OptionsOf<WorkspaceOptions>;

/** An object with parameters by path: a model, a step. */
export interface HoldsParameters {
  readonly parameters: ReadonlyMap<string, Tensor>;
}

export interface StepOptions<I extends InputShapes> {
  /**
   * Shapes of the inputs by name, with the batch axis. For another dtype than float32: a tensor made with `input()`.
   */
  inputs: I;
  /**
   * What the optimizer changes: a model or several. Default, if there is an optimizer: every parameter that `loss`
   * depends on.
   */
  train?: HoldsParameters | readonly HoldsParameters[];
  /**
   * Makes it a training step: the function must return a scalar `loss`, which the optimizer minimizes. Default none: the step
   * only computes.
   */
  optimizer?: Optimizer;
  /** Whether layers act as in training: dropout, statistics of batches. Default: true if there is an optimizer. */
  training?: boolean;
}

const STEP = {
  // Checked with the model or step that they belong to.
  inputs: unchecked<InputShapes>(),
  train: unchecked<StepOptions<InputShapes>["train"]>(),
  optimizer(where, _name, value) {
    return value === undefined ? undefined : checkOptimizer(where, value);
  },
  training: optional(flag()),
} satisfies OptionsOf<StepOptions<InputShapes>>;

/**
 * A compiled step. It takes values of the inputs, and returns the function's results, from before the parameters
 * changed.
 */
export interface CompiledStep<I extends InputShapes, O extends Readonly<Record<string, Tensor>>>
  extends HoldsParameters {
  (values: { readonly [K in keyof I]: Values }): { [K in keyof O]: Float32Array };
  /** How often it has run. */
  readonly steps: number;
  /** Bytes of its plan: inputs, values between the layers, gradients, optimizer state, instructions. */
  readonly plannedBytes: number;
}

/** Models and their values, and the steps that train and use them. Everything runs on the calling thread. */
export interface Workspace {
  readonly engine: Engine;
  /**
   * Compiles a function of tensors. The scope applies layers and models, as in `functional()`.
   *
   * @throws ModelError if parts do not fit, or a gradient does not exist.
   */
  step<I extends InputShapes, O extends Readonly<Record<string, Tensor>>>(
    body: (inputs: { [K in keyof I]: Tensor }, scope: Scope) => O,
    options: StepOptions<I>,
  ): CompiledStep<I, O>;
  /** Copies the values of a model's or step's parameters, by path. */
  parameters(of: HoldsParameters): Map<string, ParameterValues>;
  /** Sets values by path. All are checked before any is changed. */
  setParameters(of: HoldsParameters, values: ParameterUpdate): void;
  /** Sets what the layers keep from call to call (`scope.state`) back to zeros. */
  resetState(): void;
  /** Frees the memory. All other methods then throw. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/**
 * A place for training that `compile()` does not know: two optimizers in turn, losses across several models, gradients
 * within a loss.
 *
 * @example
 * const model = sequential({ input: [2] }, dense(1));
 * const workspace = await createWorkspace({ seed: 1 });
 * const train = workspace.step(
 *   ({ x, y }, { apply }) => ({ loss: mean(square(sub(apply(x, model), y))) }),
 *   { inputs: { x: [4, 2], y: [4, 1] }, train: model, optimizer: sgd({ learningRate: 0.1 }) },
 * );
 * const [loss] = train({ x: [[0, 0], [0, 1], [1, 0], [1, 1]], y: [[0], [1], [1], [2]] }).loss;
 */
export async function createWorkspace(options: WorkspaceOptions = {}): Promise<Workspace> {
  const seed = checkWorkspace(options);
  const engine = options.engine ?? (await createEngine({ ...engineOptions(options), background: false }));
  return createMethods(options, seed, engine);
}

/** The synchronous form of `createWorkspace`, where the runtime can load the kernels synchronously. */
export function createWorkspaceSync(options: WorkspaceOptions = {}): Workspace {
  const seed = checkWorkspace(options);
  return createMethods(options, seed, options.engine ?? createEngineSync(engineOptions(options)));
}

/** Checks the options, before there is an engine. Returns the seed. */
function checkWorkspace(options: WorkspaceOptions): number {
  const { seed } = readOptions("createWorkspace", options, OPTIONS);
  engineOf("createWorkspace", options);
  return seed;
}

function engineOptions({ build: kind, threads, convolution }: WorkspaceOptions): EngineOptions {
  return { build: kind, threads, convolution };
}

/** The inside of a workspace. */
interface State {
  readonly engine: Engine;
  readonly seed: readonly [low: number, high: number];
  readonly values: ValueStore;
  readonly rowStates: RowStates;
  /** Free the memory of each step. */
  readonly releases: (() => void)[];
  open: boolean;
  /**
   * Number of random streams so far, in all steps. Each step's clock begins at 1, so two steps must not use the same
   * stream.
   */
  streams: number;
}

function createMethods(options: WorkspaceOptions, seed: number, engine: Engine): Workspace {
  const values = createValueStore(engine);
  const state: State = {
    engine,
    seed: wordsOfSeed(seed),
    values,
    releases: [],
    open: true,
    streams: 0,
    rowStates: createRowStates(),
  };
  const dispose = (): void => {
    if (!state.open) return;
    state.open = false;
    for (const release of state.releases) release();
    releaseRows(engine, state.rowStates);
    values.dispose();
    if (options.engine === undefined) engine.dispose();
  };
  /** Values are made when they are first needed. */
  const tensorsOf = (what: string, of: HoldsParameters): ReadonlyMap<string, Tensor> => {
    checkOpen(state);
    checkHolder(`workspace.${what}`, of);
    adopt(state, [...of.parameters.values()]);
    return of.parameters;
  };
  return {
    engine,
    step: (body, given) => makeStep(state, body, given),
    parameters: (of) => byName(tensorsOf("parameters", of), values.read),
    setParameters(of, update) {
      for (const { tensor, copy } of checkUpdate(tensorsOf("setParameters", of), update)) values.write(tensor, copy);
    },
    resetState() {
      checkOpen(state);
      resetRows(engine, state.rowStates);
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/** Allocates memory for states that have none yet. Returns a function that undoes it. */
function adoptRows({ engine, rowStates }: State, states: ReadonlyMap<LayerState, Tensor>): () => void {
  const { places } = rowStates;
  for (const [of, { name, shape }] of states) {
    const known = places.get(of);
    if (known === undefined || known.bytes === sizeOf(shape) * 4) continue;
    throw new ModelError(
      `workspace.step: state ${showValue(name)} has ${known.bytes / 4 / sizeOf(of.shape)} rows in another step, got ${shape[0]}: give all steps that share it one batch size`,
    );
  }
  const added = [...states].filter(([of]) => !places.has(of));
  for (const [of, { shape }] of added) placeOfRows(engine, rowStates, of, shape[0]);
  return () => {
    for (const [of] of added) {
      engine.allocator.free(places.get(of)?.address as Pointer);
      places.delete(of);
    }
  };
}

function checkOpen({ open }: State): void {
  if (!open) throw new SteepestError("workspace: it has been disposed of: make another");
}

/**
 * Makes values for tensors that have none yet, in one block, so that an optimizer needs one instruction. Returns a
 * function that undoes it.
 */
function adopt({ engine, values, seed }: State, tensors: readonly Tensor[]): () => void {
  const added = [...new Set(tensors)].filter((tensor) => !values.has(tensor)).sort((a, b) => a.id - b.id);
  if (added.length === 0) return () => {};
  const firstStream = values.size + 1;
  const block = values.adopt(added);
  const drop = (): void => values.drop(block);
  try {
    initializeParameters(engine, added, values.addressOf, seed, firstStream);
  } catch (error) {
    drop();
    throw error;
  }
  return drop;
}

/** Options of a step, checked. */
interface StepPlan {
  readonly optimizer: Optimizer | undefined;
  readonly training: boolean;
  readonly holders: readonly HoldsParameters[] | undefined;
}

function checkStep(body: unknown, given: StepOptions<InputShapes>): StepPlan {
  checkFunction("workspace.step", "what is traced", body);
  const { optimizer, training = optimizer !== undefined, train } = readOptions("workspace.step", given, STEP);
  const holders = train === undefined ? undefined : holdersOf(train);
  if (holders !== undefined && optimizer === undefined) {
    throw new ModelError(
      `workspace.step: train names what an optimizer is to change, got ${showValue(train)} and no optimizer: give one, or leave it out`,
    );
  }
  return { optimizer, training, holders };
}

/** A step as a graph. */
interface TracedStep<I extends InputShapes, O extends Readonly<Record<string, Tensor>>> {
  readonly inputs: { [K in keyof I]: Tensor };
  readonly clock: Tensor;
  readonly outputs: O;
  /** Of the layers that were applied. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly updates: ReadonlyMap<Tensor, Tensor>;
  readonly states: ReadonlyMap<LayerState, Tensor>;
}

/** If a step cannot be made, its memory and values are freed. */
function makeStep<I extends InputShapes, O extends Readonly<Record<string, Tensor>>>(
  state: State,
  body: (inputs: { [K in keyof I]: Tensor }, scope: Scope) => O,
  given: StepOptions<I>,
): CompiledStep<I, O> {
  checkOpen(state);
  const plan = checkStep(body, given);
  const { streams } = state;
  let forget = (): void => {};
  try {
    const traced = traceStep(state, body, given.inputs, plan);
    const { outputs, updates, parameters } = traced;
    const behind = parametersBehind([...Object.values(outputs), ...updates.values()]);
    const forgetRows = adoptRows(state, traced.states);
    forget = forgetRows;
    const forgetValues = adopt(state, [...behind, ...parameters.values()]);
    forget = () => {
      forgetRows();
      forgetValues();
    };
    return leasing(state.engine, (lease) => {
      const step = callable(state, traced, plan.optimizer, buildStep(state, traced, plan, lease));
      state.releases.push(lease.release);
      return step;
    });
  } catch (error) {
    forget();
    state.streams = streams;
    throw error;
  }
}

function traceStep<I extends InputShapes, O extends Readonly<Record<string, Tensor>>>(
  state: State,
  body: (inputs: { [K in keyof I]: Tensor }, scope: Scope) => O,
  shapes: I,
  { optimizer, training }: StepPlan,
): TracedStep<I, O> {
  const inputs = inputsFor("workspace.step", shapes);
  const clock = input([CLOCK_BYTES / 4], { name: "clock", dtype: "uint32" });
  const module = createModule("workspace.step", "", body);
  const context = { ...layerContext({ training, clock, seed: state.seed }), stream: () => state.streams++ };
  const returned = module.trace(inputs, context);
  checkResults("workspace.step", returned);
  const { updates } = context;
  const outputs = optimizer === undefined && updates.size === 0 ? returned : fromBefore(returned, context.states);
  return { inputs, clock, outputs, parameters: module.parameters, updates, states: context.states };
}

/** A step in the engine's memory. */
interface BuiltStep {
  readonly program: BuiltProgram;
  readonly results: readonly Tensor[];
  readonly clock: Pointer;
  readonly learningRates: Pointer;
  readonly bytes: number;
  /** Empty if the step trains nothing. */
  readonly rates: readonly NamedRate[];
  startSlots(): void;
}

function buildStep<I extends InputShapes, O extends Readonly<Record<string, Tensor>>>(
  { engine, values, rowStates }: State,
  { inputs, clock, outputs, parameters, updates, states }: TracedStep<I, O>,
  { optimizer, holders }: StepPlan,
  lease: Lease,
): BuiltStep {
  const stored = [...states].map(
    ([of, tensor]) => [tensor, placeOfRows(engine, rowStates, of, tensor.shape[0])] as const,
  );
  const kept = new Map(stored);
  const addressOf = (tensor: Tensor): Pointer => kept.get(tensor) ?? values.addressOf(tensor);
  const loss = optimizer === undefined ? undefined : lossOf(outputs);
  const named = loss === undefined ? [] : trainedBy(loss, holders, parameters);
  named.sort(([, a], [, b]) => addressOf(a) - addressOf(b));
  const plan = optimizer && planOptimizer("workspace.step", optimizer, named);
  const { parameters: trained = [], rates = [] } = plan ?? {};
  const gradients = loss === undefined ? [] : ownTensors(gradient(withPenalties(loss, trained), trained));
  const results = [...Object.values(outputs), ...gradients, ...updates.values()];
  checkInputs("workspace.step", results, [...Object.values(inputs), clock, ...states.values()]);
  const layout = layoutBlock(trained);
  const gradientsAt = lease.takeZeros(layout.bytes);
  const clockAt = lease.takeZeros(plan?.layout.clockBytes ?? CLOCK_BYTES);
  const learningRates = lease.takeZeros(Math.max(4, 4 * rates.length));
  const placed =
    plan && placeOptimizerIn(lease, plan, { values, gradients: gradientsAt, block: layout, clock: clockAt });
  const places = gradients.map((tensor, index) => [tensor, gradientsAt + offsetIn(layout, trained[index])] as const);
  const beside = [...Object.values(outputs), ...updates.values()];
  const gradientParts = { optimizer: placed, gradients: gradientsAt, results: beside };
  const program = buildProgram(engine, {
    results,
    values,
    inputs: Object.values(inputs),
    places: new Map([[clock, clockAt], ...places, ...stored]),
    scratchBytes: gradientScratch(gradientParts),
    record(record, compute, _, scratch) {
      record.advance(serial, clockAt, learningRates, rates.length, 0);
      const at = recordGradients(record, compute, gradientParts, scratch);
      placed?.record(record);
      recordChanges(record, trained, updates, addressOf, at);
      placed?.finish(record);
    },
  });
  lease.defer(program.dispose);
  const startSlots = placed?.startSlots ?? (() => {});
  return { program, results, clock: clockAt, learningRates, rates, startSlots, bytes: lease.bytes + program.bytes };
}

function callable<I extends InputShapes, O extends Readonly<Record<string, Tensor>>>(
  state: State,
  { inputs, outputs, parameters }: TracedStep<I, O>,
  optimizer: Optimizer | undefined,
  { program: { program, addressOf }, results, clock, learningRates, rates, startSlots, bytes }: BuiltStep,
): CompiledStep<I, O> {
  const { engine } = state;
  const write = feedWriter<I>("workspace.step", engine, inputs, results, addressOf);
  let steps = 0;
  const call = (feed: Feed<I>): { [K in keyof O]: Float32Array } => {
    checkOpen(state);
    write(feed);
    const due = rates.map((rate) => rateAt(rate, steps + 1));
    engine.write(learningRates, due);
    // Before the first step, parameters may have been set, or changed by other steps.
    if (steps === 0) startSlots();
    engine.clear(clock + CLOCK_POSITION, 4);
    engine.run(program.address, program.end, 1, program.threads);
    steps += 1;
    const result = readResults(engine, outputs, addressOf);
    if (optimizer !== undefined && !Number.isFinite(result.loss[0])) {
      const learningRate = ratesByGroup(rates, due);
      const notFinite = [
        ...namesNotFinite(result, "result"),
        ...namesNotFinite(valuesOf(state, parameters), "parameter"),
      ];
      throw new DivergenceError("workspace.step", { step: steps, loss: result.loss[0], learningRate, notFinite });
    }
    return result;
  };
  const step = Object.assign(call, { parameters, plannedBytes: bytes, steps: 0 });
  return Object.defineProperty(step, "steps", { get: () => steps });
}

function valuesOf({ values }: State, parameters: ReadonlyMap<string, Tensor>): Record<string, Float32Array> {
  return Object.fromEntries([...parameters].map(([path, tensor]) => [path, values.read(tensor).data]));
}

/** The outputs, copied if the changes of the step would change them. */
function fromBefore<O extends Readonly<Record<string, Tensor>>>(outputs: O, states: TracedContext["states"]): O {
  const entries = Object.entries(outputs).map(([name, tensor]) => [name, copyBeforeChanges(tensor, states)]);
  return Object.fromEntries(entries) as O;
}

/** The loss that a training step minimizes. */
function lossOf(outputs: Readonly<Record<string, Tensor>>): Tensor {
  const { loss } = outputs;
  if (loss !== undefined && loss.shape.length === 0) return loss;
  const got = loss === undefined ? Object.keys(outputs).join(", ") : `a loss of shape ${showShape(loss.shape)}`;
  throw new ModelError(
    `workspace.step: with an optimizer the function must return a scalar named loss, got ${got}: take its mean()`,
  );
}

/** The parameters that the optimizer changes. */
function trainedBy(
  loss: Tensor,
  holders: readonly HoldsParameters[] | undefined,
  own: ReadonlyMap<string, Tensor>,
): [path: string, parameter: Tensor][] {
  const known = holders?.map(({ parameters }) => parameters) ?? [own];
  // The first path that a parameter has.
  const paths = new Map(
    known.flatMap((parameters) => [...parameters].map(([path, tensor]) => [tensor, path] as const)).reverse(),
  );
  const all = holders === undefined ? parametersBehind([loss]) : [...paths.keys()].reverse();
  const trained = all.filter(isTrainable).map((tensor): [string, Tensor] => [paths.get(tensor) ?? tensor.name, tensor]);
  if (trained.length > 0 || holders === undefined) return trained;
  throw new ModelError("workspace.step: train must name a model with parameters, got none: name one with some");
}

// More than any program names.
const MAX_HOLDERS = 10_000;

function holdersOf(train: NonNullable<StepOptions<InputShapes>["train"]>): readonly HoldsParameters[] {
  const where = "workspace.step: train";
  const isList = Array.isArray(train) && train.length <= MAX_HOLDERS;
  return isList ? Array.from(train, (one) => checkHolder(where, one)) : [checkHolder(where, train)];
}

/** Throws if `of` has no parameters by path. */
function checkHolder(where: string, of: unknown): HoldsParameters {
  const { parameters } = (of ?? {}) as Partial<HoldsParameters>;
  const isHolder = kindOf(parameters) === "Map" && [...(parameters?.values() ?? [])].every(isTensor);
  if (isHolder) return of as HoldsParameters;
  throw new ModelError(`${where}: must be a model, or a step, with parameters, got ${showValue(of)}`);
}

function parametersBehind(results: readonly Tensor[]): Tensor[] {
  return leavesBehind(results).filter(({ source }) => source.kind === "parameter");
}
