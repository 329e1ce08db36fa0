/// <reference lib="esnext.disposable" preserve="true" />
// Custom training steps: functions of tensors with models and layers in them, each compiled to a program with an
// optimizer of its own. All of them work on the same values of the parameters.
import { createEngine, createEngineSync, type Engine, type EngineOptions, engineOf } from "../engine/engine.js";
import {
  checkFlag,
  checkFunction,
  checkInteger,
  checkOptions,
  ModelError,
  SteepestError,
  showValue,
} from "../engine/errors.js";
import { type Pointer, serial } from "../engine/instructions.js";
import { kindOf } from "../engine/kind.js";
import { nodesBehind } from "../graph/backward.js";
import { indexBounds } from "../graph/bounds.js";
import { readResult, writeLeaf } from "../graph/function.js";
import { align, planMemory } from "../graph/plan.js";
import { initializeParameters, installPlan, layoutBlock, offsetIn, placeConstants } from "../graph/program.js";
import { bytesOf, input, isTensor, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFeed, checkResults, type Feed, type InputShapes, inputsFor } from "../graph/traced.js";
import type { Values } from "../graph/values.js";
import { copyBeforeChanges, layerContext } from "../nn/layer.js";
import { createBlueprint, type Scope } from "../nn/scope.js";
import { gradient } from "../ops/gradient.js";
import { checkOptimizer, type Optimizer, rateAt } from "../optim/optimizer.js";
import { ownTensors, recordChanges, withPenalties } from "./changes.js";
import { DivergenceError } from "./divergence.js";
import { checkUpdate, type ParameterUpdate, type ParameterValues } from "./parameters.js";
import { isTrainable, wordsOfSeed } from "./state.js";

export interface WorkspaceOptions extends Omit<EngineOptions, "background"> {
  /** Of initial values and of randomness in steps. A whole number of at least 0. Default 0. */
  seed?: number;
  /** Run in this engine, which others may share, instead of one of its own. */
  engine?: Engine;
}

/** What holds parameters by path: a model, a step. */
export interface HoldsParameters {
  readonly parameters: ReadonlyMap<string, Tensor>;
}

export interface StepOptions<I extends InputShapes> {
  /** Shapes of the inputs by name, with the batch axis; a tensor made with `input()` where another dtype is wanted. */
  inputs: I;
  /** What the optimizer changes: a model or several. Default, where there is an optimizer: all that `loss` depends on. */
  train?: HoldsParameters | readonly HoldsParameters[];
  /** Makes a training step of it: the function must then return a scalar `loss`, which is to become smaller. */
  optimizer?: Optimizer;
  /** Whether layers act as in training: dropout, statistics of batches. Default: where there is an optimizer. */
  training?: boolean;
}

/** A compiled step: takes values, gives the values that the function returned, from before the parameters changed. */
export interface CompiledStep<I extends InputShapes, O extends Readonly<Record<string, Tensor>>>
  extends HoldsParameters {
  (values: { readonly [K in keyof I]: Values }): { [K in keyof O]: Float32Array };
  /** How often it ran. */
  readonly steps: number;
  /** Bytes of its plan: values between the layers, gradients, optimizer state, instructions. */
  readonly plannedBytes: number;
}

/** Models and their values, and the steps that train and use them. Everything runs on the calling thread. */
export interface Workspace {
  readonly engine: Engine;
  /**
   * Compiles a function of tensors. The scope applies layers and models, as in `functional()`.
   *
   * @throws ModelError where parts do not fit, or a gradient does not exist.
   */
  step<I extends InputShapes, O extends Readonly<Record<string, Tensor>>>(
    body: (inputs: { [K in keyof I]: Tensor }, scope: Scope) => O,
    options: StepOptions<I>,
  ): CompiledStep<I, O>;
  /** Copies of the values of a model's or step's parameters, by path. */
  parameters(of: HoldsParameters): Map<string, ParameterValues>;
  /** Sets values by path; all are checked before any is changed. */
  setParameters(of: HoldsParameters, values: ParameterUpdate): void;
  /** Gives the memory back. Everything else then throws. */
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
  return build(options, seed, engine);
}

/** The synchronous form of `createWorkspace`, where the runtime can load the kernels synchronously. */
export function createWorkspaceSync(options: WorkspaceOptions = {}): Workspace {
  const seed = checkWorkspace(options);
  return build(options, seed, options.engine ?? createEngineSync(engineOptions(options)));
}

/** Checks the options, before there is an engine. Returns the seed. */
function checkWorkspace(options: WorkspaceOptions): number {
  checkOptions("createWorkspace", options, ["seed", "build", "threads", "engine"]);
  engineOf("createWorkspace", options);
  return checkInteger("createWorkspace", "seed", options.seed ?? 0, 0);
}

function engineOptions({ build: kind, threads }: WorkspaceOptions): EngineOptions {
  return { build: kind, threads };
}

const CLOCK_BYTES = 64;
const CLOCK_POSITION = 1;

function build(options: WorkspaceOptions, seed: number, engine: Engine): Workspace {
  const key = wordsOfSeed(seed);
  const values = new Map<Tensor, Pointer>();
  const allocated: Pointer[] = [];
  let open = true;
  // Steps number their random numbers in one row: their clocks all begin at 1, so the same stream would give the same.
  let streams = 0;
  const checkOpen = (): void => {
    if (!open) throw new SteepestError("workspace: it has been disposed of: make another");
  };
  const take = (bytes: number): Pointer => {
    const address = engine.allocateZeros(Math.max(bytes, CLOCK_BYTES));
    allocated.push(address);
    return address;
  };
  /** Gives the tensors values that have none yet: in one block, as an optimizer likes them. */
  const adopt = (tensors: readonly Tensor[]): void => {
    const added = tensors.filter((tensor) => !values.has(tensor)).sort((a, b) => a.id - b.id);
    if (added.length === 0) return;
    const layout = layoutBlock(added);
    const block = take(layout.bytes);
    const firstStream = values.size + 1;
    for (const tensor of added) values.set(tensor, block + offsetIn(layout, tensor));
    initializeParameters(engine, added, addressOfValue, key, firstStream);
  };
  const addressOfValue = (tensor: Tensor): Pointer => {
    const address = values.get(tensor);
    if (address === undefined) throw new SteepestError(`workspace: ${tensor.name} must have a value, got none`);
    return address;
  };

  function step<I extends InputShapes, O extends Readonly<Record<string, Tensor>>>(
    body: (inputs: { [K in keyof I]: Tensor }, scope: Scope) => O,
    given: StepOptions<I>,
  ): CompiledStep<I, O> {
    checkOpen();
    checkFunction("workspace.step", "what is traced", body);
    checkOptions("workspace.step", given, ["inputs", "train", "optimizer", "training"]);
    const { optimizer, training = optimizer !== undefined } = given;
    if (optimizer !== undefined) checkOptimizer("workspace.step", optimizer);
    checkFlag("workspace.step", "training", training);
    const holders = given.train === undefined ? undefined : holdersOf(given.train);
    if (holders !== undefined && optimizer === undefined) {
      throw new ModelError(
        `workspace.step: train names what an optimizer is to change, got ${showValue(given.train)} and no optimizer: give one, or leave it out`,
      );
    }
    const inputs = inputsFor("workspace.step", given.inputs);
    const clock = input([CLOCK_BYTES / 4], { name: "clock", dtype: "uint32" });
    const blueprint = createBlueprint("workspace.step", "", body);
    const context = { ...layerContext({ training, clock, seed: key }), stream: () => streams++ };
    const traced = blueprint.trace(inputs, context);
    checkResults("workspace.step", traced);
    const outputs = optimizer === undefined && context.updates.size === 0 ? traced : fromBefore(traced);
    const updates = [...context.updates.values()];
    const ownParameters = [...blueprint.parameters.values()];
    adopt([...parametersBehind([...Object.values(outputs), ...updates]), ...ownParameters]);

    const goal = optimizer === undefined ? undefined : goalOf(outputs);
    const trained = goal === undefined ? [] : trainedBy(goal, holders);
    trained.sort((a, b) => addressOfValue(a) - addressOfValue(b));
    const gradients = goal === undefined ? [] : ownTensors(gradient(withPenalties(goal, trained), trained));
    const results = [...Object.values(outputs), ...gradients, ...updates];
    const bounds = indexBounds(results);
    const layout = layoutBlock(trained);
    const offsetOf = (tensor: Tensor): number => offsetIn(layout, tensor);
    const gradientsAt = take(layout.bytes);
    const slots = (optimizer?.slots ?? []).map(() => take(layout.bytes));
    const [clockAt, ratesAt] = [take(CLOCK_BYTES), take(CLOCK_BYTES)];
    const pinned = new Map<Tensor, Pointer>([...values, [clock, clockAt]]);
    for (const tensor of Object.values(inputs)) pinned.set(tensor, take(bytesOf(tensor)));
    gradients.forEach((tensor, index) => {
      pinned.set(tensor, gradientsAt + offsetOf(trained[index]));
    });
    allocated.push(...placeConstants(engine, results, pinned));
    const plan = planMemory(results, pinned);
    const { program, addressOf } = installPlan(
      engine,
      plan,
      engine.allocator.mark("transient", take(plan.arenaBytes)),
      pinned,
      (record) => record.advance(serial, clockAt, ratesAt, 0),
      (record, at) => {
        for (const { first, bytes } of stretchesOf(trained, addressOfValue)) {
          const from = offsetOf(first);
          optimizer?.record(record, {
            parameters: addressOfValue(first),
            gradients: gradientsAt + from,
            slots: slots.map((slot) => slot + from),
            clock: clockAt,
            length: bytes / 4,
          });
        }
        recordChanges(record, trained, context.updates, addressOfValue, at);
      },
    );
    allocated.push(program.address);

    let steps = 0;
    const call = (feed: Feed<I>): { [K in keyof O]: Float32Array } => {
      checkOpen();
      checkFeed("workspace.step", Object.keys(inputs), feed);
      for (const [name, tensor] of Object.entries(inputs)) {
        writeLeaf(engine, addressOf(tensor), tensor, feed[name], name, bounds.get(tensor));
      }
      const rate = optimizer === undefined ? 0 : rateAt(optimizer, steps + 1);
      engine.write(ratesAt, [rate]);
      engine.clear(clockAt + 4 * CLOCK_POSITION, 4);
      engine.run(program.address, program.end, 1, program.threads);
      steps += 1;
      const read = Object.entries(outputs).map(([name, tensor]) => [
        name,
        readResult(engine, addressOf(tensor), tensor),
      ]);
      const result = Object.fromEntries(read) as { [K in keyof O]: Float32Array };
      if (goal !== undefined && !Number.isFinite(result.loss[0])) {
        throw new DivergenceError("workspace.step", { step: steps, loss: result.loss[0], learningRate: rate });
      }
      return result;
    };
    const slotBytes = layout.bytes * (1 + slots.length);
    const step = Object.assign(call, {
      parameters: blueprint.parameters,
      plannedBytes: plan.arenaBytes + slotBytes + (program.end - program.address),
      steps: 0,
    });
    return Object.defineProperty(step, "steps", { get: () => steps });
  }

  /** What cannot be made to the end leaves no memory and no values behind. */
  const whole = <T>(make: () => T): T => {
    const [taken, known, firstStream] = [allocated.length, new Set(values.keys()), streams];
    try {
      return make();
    } catch (error) {
      for (const address of allocated.splice(taken)) engine.allocator.free(address);
      for (const tensor of [...values.keys()]) if (!known.has(tensor)) values.delete(tensor);
      streams = firstStream;
      throw error;
    }
  };
  const dispose = (): void => {
    if (!open) return;
    open = false;
    for (const address of allocated) engine.allocator.free(address);
    if (options.engine === undefined) engine.dispose();
  };
  /** Values are made when they are first asked for, by whoever that is. */
  const tensorsOf = (what: string, of: HoldsParameters): ReadonlyMap<string, Tensor> => {
    checkOpen();
    checkHolder(`workspace.${what}`, of);
    whole(() => adopt([...of.parameters.values()]));
    return of.parameters;
  };
  return {
    engine,
    step: (body, given) => whole(() => step(body, given)),
    parameters(of) {
      const read = (tensor: Tensor): ParameterValues => ({
        shape: tensor.shape,
        data: engine.floats(addressOfValue(tensor), sizeOf(tensor.shape)).slice(),
      });
      return new Map([...tensorsOf("parameters", of)].map(([path, tensor]) => [path, read(tensor)]));
    },
    setParameters(of, update) {
      for (const { tensor, copy } of checkUpdate(tensorsOf("setParameters", of), update)) {
        engine.write(addressOfValue(tensor), copy);
      }
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/** The outputs, which the changes of the step leave alone. */
function fromBefore<O extends Readonly<Record<string, Tensor>>>(outputs: O): O {
  const entries = Object.entries(outputs).map(([name, tensor]) => [name, copyBeforeChanges(tensor)]);
  return Object.fromEntries(entries) as O;
}

/** What a training step makes smaller. */
function goalOf(outputs: Readonly<Record<string, Tensor>>): Tensor {
  const { loss } = outputs;
  if (loss !== undefined && loss.shape.length === 0) return loss;
  const got = loss === undefined ? Object.keys(outputs).join(", ") : `a loss of shape ${showShape(loss.shape)}`;
  throw new ModelError(
    `workspace.step: with an optimizer the function must return a scalar named loss, got ${got}: take its mean()`,
  );
}

/** The parameters that the optimizer is to change. */
function trainedBy(goal: Tensor, holders: readonly HoldsParameters[] | undefined): Tensor[] {
  if (holders === undefined) return parametersBehind([goal]).filter(isTrainable);
  const tensors = new Set(holders.flatMap(({ parameters }) => [...parameters.values()]));
  const trained = [...tensors].filter(isTrainable);
  if (trained.length > 0) return trained;
  throw new ModelError("workspace.step: train must name a model with parameters, got none: name one with some");
}

// More than anybody names.
const MOST_HOLDERS = 10_000;

function holdersOf(train: NonNullable<StepOptions<InputShapes>["train"]>): readonly HoldsParameters[] {
  const where = "workspace.step: train";
  const isList = Array.isArray(train) && train.length <= MOST_HOLDERS;
  return isList ? Array.from(train, (one) => checkHolder(where, one)) : [checkHolder(where, train)];
}

/** Refuses what holds no parameters by path. */
function checkHolder(where: string, of: unknown): HoldsParameters {
  const { parameters } = (of ?? {}) as Partial<HoldsParameters>;
  const isHolder = kindOf(parameters) === "Map" && [...(parameters?.values() ?? [])].every(isTensor);
  if (isHolder) return of as HoldsParameters;
  throw new ModelError(`${where}: must be a model, or a step, with parameters, got ${showValue(of)}`);
}

function parametersBehind(results: readonly Tensor[]): Tensor[] {
  const leaves = [...results, ...nodesBehind(results).flatMap((node) => node.inputs)];
  return [...new Set(leaves)].filter(({ source }) => source.kind === "parameter");
}

/** Parameters that lie behind one another without a gap, as their gradients do: one instruction does them all. */
function stretchesOf(
  parameters: readonly Tensor[],
  addressOf: (tensor: Tensor) => Pointer,
): { first: Tensor; bytes: number }[] {
  const stretches: { first: Tensor; bytes: number }[] = [];
  for (const tensor of parameters) {
    const last = stretches.at(-1);
    const bytes = align(bytesOf(tensor));
    if (last !== undefined && addressOf(last.first) + last.bytes === addressOf(tensor)) last.bytes += bytes;
    else stretches.push({ first: tensor, bytes });
  }
  return stretches;
}
