// What becomes of a model's outputs: losses and metrics, checked against them before anything is made.
import { checkMade } from "../engine/copies.js";
import { checkNumber, checkOptions, ModelError, remedyForValue, showValue } from "../engine/errors.js";
import { input, isTensor, type Shape, sameShape, showShape, type Tensor } from "../graph/tensor.js";
import type { Loss, TargetKind } from "../nn/losses.js";
import { type MetricName, metricFor } from "../nn/metrics.js";
import type { AnyModel } from "../nn/model.js";
import { type ForPorts, type Port, type Ports, showBatch } from "../nn/ports.js";
import { add } from "../ops/elementwise.js";
import { gradient } from "../ops/gradient.js";
import { withPenalties } from "./changes.js";
import { targetShape } from "./data.js";
import type { OutputConfig } from "./state.js";

/** A loss for each output. */
export type Losses<O extends Ports> = ForPorts<O, Loss>;

export interface OutputOptions {
  readonly loss: Losses<Ports>;
  readonly lossWeights?: Readonly<Record<string, number>>;
  readonly metrics?: readonly MetricName[];
}

/** Each output with its loss. Throws ModelError where they do not fit; `where`: how errors begin. */
export function resolveOutputs(
  where: string,
  model: AnyModel,
  { loss: given, lossWeights, metrics = [] }: OutputOptions,
): OutputConfig[] {
  checkMetrics(where, metrics);
  // Holes are entries that no metric is called by.
  const names = Array.from(metrics);
  const losses = lossesFor(where, model.outputs, given);
  const weights = weightsFor(where, model.outputs, lossWeights);
  const resolved = model.outputs.map((port, index): OutputConfig => {
    const loss = losses[index];
    const wanted = port.key === undefined ? names : names.filter((name) => means(name, loss, port));
    const known = wanted.map((name) => metricFor(where, name, loss, port.shape));
    return { port, loss, weight: weights[index], metrics: known };
  });
  for (const name of names) {
    // Where no output knows a metric, the first one says why.
    const known = resolved.some((one) => one.metrics.some((metric) => metric.name === name));
    if (!known) metricFor(where, name, losses[0], model.outputs[0].shape);
  }
  const [first] = losses;
  const other = losses.find(({ reduction }) => reduction !== first.reduction);
  if (other !== undefined) {
    throw new ModelError(
      `${where}: the losses of all outputs must have one reduction, got "${first.reduction}" of ${first.name} and "${other.reduction}" of ${other.name}`,
    );
  }
  return resolved;
}

// There are fewer metrics than that.
const MOST_METRICS = 100;

function checkMetrics(where: string, metrics: unknown): void {
  if (Array.isArray(metrics) && metrics.length <= MOST_METRICS) return;
  const remedy = typeof metrics === "string" ? `: write [${showValue(metrics)}]` : "";
  throw new ModelError(
    `${where}: metrics must be an array of names such as ["accuracy"], got ${showValue(metrics)}${remedy}`,
  );
}

const KINDS: readonly TargetKind[] = ["values", "bits", "signs", "probabilities", "classes", "distributions"];

function checkLoss(where: string, value: unknown): Loss {
  const { name, targets, reduction, build, predict } = (value ?? {}) as Partial<Loss>;
  if (typeof value !== "object" || typeof build !== "function" || typeof predict !== "function") {
    throw new ModelError(
      `${where} must be a loss such as crossEntropy(), got ${showValue(value)}${remedyForValue(value, "crossEntropy")}`,
    );
  }
  checkMade(where, value);
  const isKnown = KINDS.includes(targets as TargetKind) && (reduction === "mean" || reduction === "sum");
  if (typeof name === "string" && isKnown) return value as Loss;
  throw new ModelError(
    `${where} must have a name, targets (${KINDS.join(", ")}) and a reduction ("mean" or "sum"), got ${showValue(name)}, ${showValue(targets)}, ${showValue(reduction)}`,
  );
}

function lossesFor(where: string, ports: readonly Port[], given: Losses<Ports>): Loss[] {
  if (ports[0].key === undefined) return [checkLoss(`${where}: loss`, given)];
  const names = ports.map(({ key }) => key as string);
  const isOne = typeof (given as Partial<Loss> | undefined)?.build === "function";
  if (isOne || typeof given !== "object" || given === null) {
    const form = names.map((name) => `${name}: …`).join(", ");
    const got = isOne ? "one loss" : showValue(given);
    throw new ModelError(`${where}: loss must name a loss for each output: { ${form} }, got ${got}`);
  }
  checkOptions(`${where}: loss`, given, names);
  return names.map((name) => checkLoss(`${where}: loss of "${name}"`, (given as Readonly<Record<string, Loss>>)[name]));
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

function means(name: MetricName, loss: Loss, port: Port): boolean {
  try {
    metricFor("", name, loss, port.shape);
    return true;
  } catch {
    return false;
  }
}

/**
 * Makes losses, predictions and metrics of the outputs as they were when the model was built, and the gradient of the
 * whole with respect to `trained`: what a step would refuse is refused now.
 */
export function tryOutputs(
  where: string,
  model: AnyModel,
  outputs: readonly OutputConfig[],
  trained: readonly Tensor[],
): void {
  const losses = outputs.map((config, index) => tryOutput(where, model.trial[index], config));
  try {
    if (trained.length > 0) gradient(withPenalties(losses.reduce(add), trained), [...trained]);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new ModelError(`${where}: ${error.message}`, { cause: error });
  }
}

/** Returns the loss. */
function tryOutput(where: string, output: Tensor, { port, loss, metrics }: OutputConfig): Tensor {
  const whose = port.key === undefined ? where : `${where}: output "${port.key}"`;
  const end = output.source.kind === "result" ? output.source.node.operation.name : undefined;
  if (end !== undefined && loss.includes?.includes(end)) {
    throw new ModelError(
      `${whose}: ${loss.name} takes logits, but the model ends in ${end}(): remove that layer, predict() applies it`,
    );
  }
  loss.checkOutput?.(whose, port.shape);
  const [batch] = output.shape;
  const dtype = loss.targets === "classes" ? "uint32" : "float32";
  const target = input([batch, ...targetShape({ port, targets: loss.targets })], { name: "y", dtype });
  const what = `${whose}: ${loss.name}, of an output ${showBatch(port.shape)}`;
  checkGiven(what, "predict()", loss.predict(output), output.shape);
  for (const metric of metrics) checkGiven(what, metric.name, metric.build(output, target), []);
  return checkGiven(what, "build()", loss.build(output, target), []);
}

/** Refuses what a user's own loss gave, where it is no float32 tensor of this shape. */
function checkGiven(what: string, part: string, value: unknown, shape: Shape): Tensor {
  if (isTensor(value) && value.dtype === "float32" && sameShape(value.shape, shape)) return value;
  const got = isTensor(value) ? `${value.dtype} ${showShape(value.shape)}` : showValue(value);
  const wanted = shape.length === 0 ? "a scalar tensor" : "a tensor of the output's shape";
  throw new ModelError(`${what}: its ${part} must give ${wanted}, got ${got}`);
}
