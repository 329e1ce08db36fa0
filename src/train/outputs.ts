// The losses and metrics of a model's outputs, checked before anything is made.
import { checkMade } from "../engine/copies.js";
import {
  checkFunction,
  checkNumber,
  checkOptions,
  ModelError,
  remedyForValue,
  showNames,
  showValue,
} from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { input, isTensor, type Shape, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { type Loss, TARGET_KINDS, type TargetKind } from "../nn/losses.js";
import { checkMetric, type Metric, type MetricName, type MetricSums, type MetricTotal } from "../nn/metrics.js";
import type { AnyModel } from "../nn/model.js";
import { type Port, type Ports, showBatch } from "../nn/ports.js";
import { naming } from "../nn/trial.js";
import { unitsOf, weightedLoss } from "../nn/weights.js";
import { add } from "../ops/elementwise.js";
import { gradient } from "../ops/gradient.js";
import { withPenalties } from "./changes.js";
import { targetShape, targetType } from "./data.js";
import { type InParts, REST } from "./job.js";
import { lengthsFor } from "./scores.js";
import type { OutputConfig, OutputMetric, WeightSource } from "./state.js";
import { trialWeights, type Weights, weightSources } from "./weights.js";

/** A loss for the output, or for some of the outputs by name. The others are only predicted. */
export type Losses<O extends Ports> = O extends Shape ? Loss : { readonly [K in keyof O]?: Loss };

export interface OutputOptions {
  /** Of each output, or of the only one. Default none. */
  readonly loss?: Losses<Ports> | undefined;
  /** What the loss of an output counts in the sum. Default 1. */
  readonly lossWeights?: Readonly<Record<string, number>>;
  /** Of each output, or of the only one. Default none. */
  readonly metrics?: readonly (MetricName | Metric)[] | Readonly<Record<string, readonly (MetricName | Metric)[]>>;
  /** Whether samples or positions come with weights. Default none. */
  readonly weights?: Weights | Readonly<Record<string, Weights>> | undefined;
}

/** Each output with its loss. Throws ModelError if they do not fit. `where`: how errors begin. */
export function resolveOutputs(where: string, model: AnyModel, options: OutputOptions): OutputConfig[] {
  const { loss: given, lossWeights, metrics = [] } = options;
  // `loss: undefined` is a mistake; no `loss` is not.
  const isGiven = "loss" in options;
  const byOutput = kindOf(metrics) === "Object";
  const lists = metricsFor(where, model.outputs, metrics);
  const known = lists.flat();
  const losses = isGiven ? lossesFor(where, model.outputs, given) : model.outputs.map(() => undefined);
  const weights = weightsFor(where, model.outputs, lossWeights);
  const scored = losses.flatMap((loss) => (loss === undefined ? [] : [loss]));
  if (scored.length === 0 && known.length > 0) {
    throw new ModelError(
      `${where}: metrics compare with targets, got ${showValue(known[0].name)} and no loss: give one`,
    );
  }
  const [first] = scored;
  const other = scored.find(({ reduction }) => reduction !== first.reduction);
  if (other !== undefined) {
    throw new ModelError(
      `${where}: the losses of all outputs must have one reduction, got "${first.reduction}" of ${first.name} and "${other.reduction}" of ${other.name}`,
    );
  }
  model.outputs.forEach((port, index) => {
    const loss = losses[index];
    if (loss === undefined) return;
    const whose = port.key === undefined ? where : `${where}: output "${port.key}"`;
    if (port.dtype !== "float32") {
      throw new ModelError(`${whose}: must be float32 for ${loss.name}, got ${port.dtype}: give it no loss`);
    }
    loss.checkOutput?.(whose, port.shape);
    checkLengths(whose, loss, model.outputs);
  });
  const sources = weightSources(where, model, losses, options.weights);
  const measured = model.outputs.map((_, index) =>
    tryMetrics(where, byOutput ? lists[index] : known, model, index, losses[index], sources[index]),
  );
  if (byOutput) checkEach(where, model.outputs, lists, measured);
  else checkShared(where, model.outputs, known, measured);
  return model.outputs.map(
    (port, index): OutputConfig => ({
      port,
      loss: losses[index],
      weight: weights[index],
      metrics: measured[index].filter((one) => one !== undefined && !(one instanceof ModelError)) as OutputMetric[],
      weights: sources[index],
    }),
  );
}

type Tried = OutputMetric | ModelError | undefined;

/** Metrics by output: each must mean something there. */
function checkEach(
  where: string,
  outputs: readonly Port[],
  lists: readonly (readonly Metric[])[],
  measured: readonly (readonly Tried[])[],
): void {
  outputs.forEach(({ key }, output) => {
    measured[output].forEach((one, index) => {
      if (one instanceof ModelError) throw one;
      if (one !== undefined) return;
      throw new ModelError(
        `${where}: metrics of "${key}" compare with its targets, got ${showValue(lists[output][index].name)} and no loss: give it one`,
      );
    });
  });
}

/** Metrics of all outputs: each must mean something for one of them. */
function checkShared(
  where: string,
  outputs: readonly Port[],
  known: readonly Metric[],
  measured: readonly (readonly Tried[])[],
): void {
  for (const [index, { name }] of known.entries()) {
    // If no output supports a metric, the error of the first output with a loss is thrown.
    const refusals = measured.flatMap((all) => (all[index] === undefined ? [] : [all[index]]));
    const refusal = refusals.find((one) => one instanceof ModelError);
    if (refusals.every((one) => one instanceof ModelError))
      throw refusal ?? new ModelError(`${where}: ${name} means nothing`);
    // A single output must support each metric.
    if (outputs[0].key === undefined && refusal !== undefined) throw refusal;
  }
}

/** Refuses lengths that no output gives. */
function checkLengths(where: string, { name, lengths }: Loss, ports: readonly Port[]): void {
  if (lengths === undefined) return;
  const port = ports.find(({ key }) => key === lengths);
  if (port !== undefined && port.dtype === "uint32" && port.shape.length === 0) return;
  const keys = ports.flatMap(({ key }) => (key === undefined ? [] : [key]));
  const got =
    port !== undefined
      ? `"${lengths}", which is ${port.dtype} ${showBatch(port.shape)}`
      : `${showValue(lengths)}: ${keys.length > 0 ? `the outputs are ${showNames(keys)}` : "the only output has no name"}`;
  throw new ModelError(
    `${where}: ${name}: lengths must name an output of one whole number a sample (uint32), got ${got}`,
  );
}

/** Each metric of an output, or the error that refuses it, or nothing for an output without a loss. */
function tryMetrics(
  where: string,
  metrics: readonly Metric[],
  model: AnyModel,
  index: number,
  loss: Loss | undefined,
  source: WeightSource | undefined,
): Tried[] {
  const [port, output] = [model.outputs[index], model.trial[index]];
  return metrics.map((metric) => {
    if (loss === undefined) return undefined;
    try {
      return tryMetric(where, metric, port, output, loss, trialWeights(model, source, output.shape[0]));
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      return error.message.startsWith(where) ? error : new ModelError(`${where}: ${error.message}`, { cause: error });
    }
  });
}

function tryMetric(
  where: string,
  metric: Metric,
  port: Port,
  output: Tensor,
  loss: Loss,
  weights: Tensor | undefined,
): OutputMetric {
  const { name, finish } = metric;
  const [batch] = output.shape;
  const target = trialTarget(port, loss, batch);
  const prediction = checkPrediction(where, port, output, loss);
  const measured = metric.measure({ output, prediction, target, loss, weights });
  const { total, count, sums } = (measured ?? {}) as Partial<MetricTotal & MetricSums>;
  const what = `${where}: ${name}, of an output ${showBatch(port.shape)}`;
  if (sums !== undefined) return trySums(what, metric, measured as MetricSums);
  checkGiven(what, "measure()", total, []);
  if (typeof count !== "number") checkGiven(what, "measure()'s count", count, []);
  else checkNumber(what, "count", count, Number.MIN_VALUE, Number.MAX_VALUE);
  return { name, metric, countPerSample: typeof count === "number" ? count / batch : undefined, finish };
}

// Each total is an instruction of a step, and a number in a checkpoint.
const MAX_SUMS = 16384;

function trySums(what: string, metric: Metric, { sums, key = metric.name, finish }: MetricSums): OutputMetric {
  if (!isTensor(sums) || sums.dtype !== "float32") {
    const got = isTensor(sums) ? `${sums.dtype} ${showShape(sums.shape)}` : showValue(sums);
    throw new ModelError(`${what}: its sums must be a float32 tensor, got ${got}`);
  }
  const size = sizeOf(sums.shape);
  if (size < 1 || size > MAX_SUMS) {
    throw new ModelError(
      `${what}: must have 1 to ${MAX_SUMS} sums, got ${size}: with so many classes or bins, use steepest/metrics over predictions`,
    );
  }
  checkFunction(what, "finish", finish);
  const made: unknown = finish(new Float64Array(size));
  if (typeof made !== "number") throw new ModelError(`${what}: finish must give a number, got ${showValue(made)}`);
  return { name: metric.name, metric, countPerSample: undefined, finish: undefined, sums: { size, key, finish } };
}

function checkPrediction(where: string, port: Port, output: Tensor, loss: Loss): Tensor {
  const what = `${where}: ${loss.name}, of an output ${showBatch(port.shape)}`;
  return checkGiven(what, "predict()", loss.predict(output), output.shape);
}

function trialTarget(port: Port, loss: Loss, batch: number): Tensor {
  return input([batch, ...targetShape({ port, loss })], { name: "y", dtype: targetType({ port, loss }) });
}

// There are fewer metrics than this.
const MAX_METRICS = 100;

/** The metrics of each output, if they are given by output; else one list for all. */
function metricsFor(where: string, outputs: readonly Port[], metrics: unknown): Metric[][] {
  if (kindOf(metrics) !== "Object" || outputs[0].key === undefined) return [checkMetrics(where, metrics)];
  const names = outputs.map(({ key }) => key as string);
  checkOptions(`${where}: metrics`, metrics as object, names);
  const given = metrics as Readonly<Record<string, unknown>>;
  return names.map((name) =>
    given[name] === undefined ? [] : checkMetrics(`${where}: metrics of "${name}"`, given[name]),
  );
}

function checkMetrics(where: string, metrics: unknown): Metric[] {
  if (!Array.isArray(metrics) || metrics.length > MAX_METRICS) {
    const remedy = typeof metrics === "string" ? `: write [${showValue(metrics)}]` : "";
    throw new ModelError(
      `${where}: metrics must be an array of names such as ["accuracy"], got ${showValue(metrics)}${remedy}`,
    );
  }
  // Missing elements are refused like other values that are no metric.
  const known = Array.from(metrics, (metric) => checkMetric(where, metric));
  const names = new Set<string>(["loss"]);
  for (const { name } of known) {
    if (names.has(name)) throw new ModelError(`${where}: metrics must differ in their names, got "${name}" twice`);
    names.add(name);
  }
  return known;
}

function checkLoss(where: string, value: unknown): Loss {
  const { name, targets, reduction, build, predict } = (value ?? {}) as Partial<Loss>;
  if (typeof value !== "object" || typeof build !== "function" || typeof predict !== "function") {
    throw new ModelError(
      `${where} must be a loss such as crossEntropy(), got ${showValue(value)}${remedyForValue(value, "crossEntropy")}`,
    );
  }
  checkMade(where, value);
  const isKnown = TARGET_KINDS.includes(targets as TargetKind) && (reduction === "mean" || reduction === "sum");
  if (typeof name === "string" && isKnown) return value as Loss;
  throw new ModelError(
    `${where} must have a name, targets (${TARGET_KINDS.join(", ")}) and a reduction ("mean" or "sum"), got ${showValue(name)}, ${showValue(targets)}, ${showValue(reduction)}`,
  );
}

/** The loss of each output; `undefined` for one that is only predicted. */
function lossesFor(where: string, ports: readonly Port[], given: OutputOptions["loss"]): (Loss | undefined)[] {
  if (ports[0].key === undefined) return [checkLoss(`${where}: loss`, given)];
  const names = ports.map(({ key }) => key as string);
  const isOne = typeof (given as Partial<Loss> | undefined)?.build === "function";
  if (isOne || typeof given !== "object" || given === null) {
    const form = names.map((name) => `${name}: …`).join(", ");
    const got = isOne ? "one loss" : showValue(given);
    throw new ModelError(`${where}: loss must name the outputs' losses: { ${form} }, got ${got}`);
  }
  checkOptions(`${where}: loss`, given, names);
  const losses = given as Readonly<Record<string, Loss | undefined>>;
  const known = names.map((name) =>
    losses[name] === undefined ? undefined : checkLoss(`${where}: loss of "${name}"`, losses[name]),
  );
  if (known.some((loss) => loss !== undefined)) return known;
  throw new ModelError(`${where}: loss must name a loss for at least one of ${showNames(names)}, got none`);
}

function weightsFor(where: string, ports: readonly Port[], given: OutputOptions["lossWeights"]): number[] {
  if (given === undefined) return ports.map(() => 1);
  if (ports[0].key === undefined) {
    throw new ModelError(
      `${where}: lossWeights are for models of several outputs, got ${showValue(given)}: leave them out`,
    );
  }
  checkOptions(
    `${where}: lossWeights`,
    given,
    ports.map(({ key }) => key as string),
  );
  return ports.map(({ key }) =>
    checkNumber(where, `lossWeights.${key}`, given[key as string] ?? 1, 0, Number.POSITIVE_INFINITY),
  );
}

/**
 * Applies losses and predictions to the outputs of the model's first trace, and computes the gradient of the total loss
 * by `trained`. So what a step would refuse is refused now.
 */
export function* tryOutputs(
  where: string,
  model: AnyModel,
  outputs: readonly OutputConfig[],
  trained: readonly Tensor[],
): InParts<void> {
  const losses = outputs.flatMap((config, index) =>
    config.loss === undefined ? [] : [tryOutput(where, model, index, config.loss, config)],
  );
  if (losses.length === 0) return;
  yield REST;
  try {
    if (trained.length > 0) gradient(withPenalties(losses.reduce(add), trained), [...trained]);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new ModelError(`${where}: ${error.message}`, { cause: error });
  }
}

/** Returns the loss. */
function tryOutput(where: string, model: AnyModel, index: number, loss: Loss, { port, weights }: OutputConfig): Tensor {
  const output = model.trial[index];
  const whose = port.key === undefined ? where : `${where}: output "${port.key}"`;
  const end = output.source.kind === "result" ? output.source.node.operation.name : undefined;
  if (end !== undefined && loss.includes?.includes(end)) {
    throw new ModelError(
      `${whose}: ${loss.name} takes logits, but the model ends in ${end}(): remove that layer, predict() applies it`,
    );
  }
  checkPrediction(whose, port, output, loss);
  const what = `${whose}: ${loss.name}, of an output ${showBatch(port.shape)}`;
  const target = trialTarget(port, loss, output.shape[0]);
  if (loss.unitWeights !== undefined) {
    const units = [output.shape[0], ...unitsOf(loss, port.shape)];
    checkGiven(what, "unitWeights()", loss.unitWeights(target), units);
  }
  const whole = checkGiven(
    what,
    "build()",
    loss.build(output, target, lengthsFor(loss, model.outputs, model.trial)),
    [],
  );
  const weighing = trialWeights(model, weights, output.shape[0]);
  if (weighing === undefined) return whole;
  return naming(whose, () => weightedLoss(loss, output, target, weighing));
}

/** Throws if the result of a custom loss or metric is not a float32 tensor of this shape. */
function checkGiven(what: string, part: string, value: unknown, shape: Shape): Tensor {
  if (isTensor(value) && value.dtype === "float32" && sameShape(value.shape, shape)) return value;
  const got = isTensor(value) ? `${value.dtype} ${showShape(value.shape)}` : showValue(value);
  const wanted = shape.length === 0 ? "a scalar tensor" : "a tensor of the output's shape";
  throw new ModelError(`${what}: its ${part} must give ${wanted}, got ${got}`);
}
