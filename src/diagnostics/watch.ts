// Warnings of the classic mistakes while a fit goes on.
import { DataError, ModelError, showValue } from "../engine/errors.js";
import { integer, type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { type Shape, sizeOf } from "../graph/tensor.js";
import { flattenValues, type Values } from "../graph/values.js";
import { activations, type Inspected } from "../inspect/index.js";
import type { LayerParts } from "../nn/layer.js";
import type { AnyModel } from "../nn/model.js";
import { type Port, type Ports, portName } from "../nn/ports.js";
import type { Callback, EpochContext } from "../train/callbacks.js";
import { checkSamples, type Samples } from "../train/data.js";
import type { ParameterValues } from "../train/parameters.js";
import type { Trainer } from "../train/trainer.js";
import { type Warn, type Warning, warnRule } from "../train/warnings.js";
import * as findings from "./findings.js";

export interface WatchOptions<I extends Ports = Ports, O extends Ports = Ports> {
  /** Data that are scored: whether samples of them are trained on. Default: this is not looked at, whatever `fit` validates with. */
  validation?: Pick<Samples<I, O>, "x" | "y">;
  /** What is told of each warning, once for each code. Default: the console. */
  warn?: Warn;
  /** How many samples, the first ones, are looked at after each epoch. Default 128. */
  samples?: number;
}

const OPTIONS = {
  // Checked with the data.
  validation: unchecked<WatchOptions["validation"]>(),
  warn: warnRule,
  samples: integer(128, { min: 1, max: 65536 }),
} satisfies OptionsOf<WatchOptions>;

/** What is watched: what `compile` returns with a loss and an optimizer. */
export type Watched<I extends Ports = Shape, O extends Ports = Shape> = Pick<
  Trainer<never, I, O>,
  "model" | "parameters" | "build" | "gradients"
>;

/** A trainer of any ports. */
interface Known {
  readonly model: AnyModel;
  gradients(batch: never): Promise<Map<string, ParameterValues>>;
}

/**
 * A callback that warns of likely mistakes. At the beginning of a fit: inputs and targets that were not scaled, targets that
 * are all the same, and, if `validation` is given, samples of it that are trained on (by the first 4,096 of them and 65,536 of
 * training). After each
 * epoch, on some samples: dead units of relu(), gradients that vanish or explode from layer to layer, a loss that does not
 * move or stays at that of chance, a learning rate that is too large or too small. Nothing is done in a step. It takes time
 * after an epoch, so `fitSync` cannot use it. docs/troubles.md has all codes.
 *
 * @param data What is trained on, as `{ x, y }`.
 * @throws {ModelError} For wrong options, or what is no trainer.
 * @throws {DataError} If the data do not fit the model.
 * @example
 * const data = { x, y };
 * await trainer.fit(data, { callbacks: [watchTraining(trainer, data)] });
 */
export function watchTraining<I extends Ports, O extends Ports>(
  trainer: Watched<I, O>,
  data: Pick<Samples<I, O>, "x" | "y">,
  options: WatchOptions<I, O> = {},
): Callback {
  const plan = readOptions("watchTraining", options, OPTIONS);
  const { model, gradients } = (trainer ?? {}) as Partial<Watched>;
  if (model === undefined || typeof gradients !== "function") {
    throw new ModelError(
      `watchTraining: must be given a trainer with a loss, as compile(model, { loss: … }) makes it, got ${showValue(trainer)}`,
    );
  }
  const known = trainer as unknown as Known;
  const training = columnsOf(known, checkData(data));
  const validation = plan.validation && columnsOf(known, checkData(plan.validation, "validation"));
  const told = new Set<string>();
  const tell = (warning: Warning | undefined): void => {
    if (warning === undefined || plan.warn === false || told.has(warning.code)) return;
    told.add(warning.code);
    plan.warn(warning);
  };
  return callback(known, { training, validation, samples: plan.samples, isScaled: "scale" in data }, tell);
}

interface Given {
  readonly training: Columns;
  readonly validation: Columns | undefined;
  readonly samples: number;
  /** The trainer scales the inputs. */
  readonly isScaled: boolean;
}

function callback(trainer: Known, given: Given, tell: (warning: Warning | undefined) => void): Callback {
  const { training, validation, isScaled } = given;
  const losses: number[] = [];
  const classes = classesOf(trainer, training);
  const batch = firstSamples(trainer, given);
  const relus = pathsOf(trainer.model, "relu");
  let before: { step: number; values: ReadonlyMap<string, ParameterValues> } | undefined;
  return {
    name: "watchTraining",
    onBegin(context) {
      if (!isScaled) for (const column of training.x) if (!column.isIndex) tell(findings.unscaledInput(column));
      for (const column of training.y) tell(findings.unscaledTarget(column) ?? findings.constantTarget(column));
      if (validation !== undefined) tell(findings.sharedSamples(training.x, validation.x));
      before = { step: context.step, values: context.parameters() };
    },
    async onEpoch(context: EpochContext) {
      losses.push(context.result.loss);
      tell(findings.stuckLoss(losses, classes));
      const values = context.parameters();
      if (before !== undefined && context.step > before.step && losses.length <= 3)
        tell(findings.uneasyRate(before.values, values, context.step - before.step));
      before = { step: context.step, values };
      tell(findings.uneasyGradients(await trainer.gradients(batch as never)));
      if (relus.length === 0) return;
      const given = await activations(trainer as unknown as Inspected, batch.x as Values, { layers: relus });
      for (const [path, layer] of given) tell(findings.deadUnits(path, layer));
    },
  };
}

/** Throws DataError if it is not an object of all samples. */
function checkData(given: unknown, name = "data"): AnyGiven {
  const samples = checkSamples(given, name);
  if (!Array.isArray(samples)) return samples as AnyGiven;
  throw new DataError(
    `watchTraining: ${name} must be an object { x, y } of all samples, got ${showValue(given)}: hand in x and y as arrays`,
  );
}

type AnyGiven = { readonly x: unknown; readonly y: unknown };

interface Columns {
  readonly x: readonly findings.Column[];
  readonly y: readonly findings.Column[];
}

function columnsOf({ model }: Known, { x, y }: AnyGiven): Columns {
  const inputs = model.inputs.map((port) => ({ port, values: partOf(x, port) }));
  const columns = inputs.map(({ port, values }) => {
    const name = portName("x", port);
    return {
      name,
      values: flattenValues(name, values).data,
      size: sizeOf(port.shape),
      isIndex: port.dtype !== "float32",
    };
  });
  const count = Math.floor(columns[0].values.length / columns[0].size);
  if (count === 0) throw new DataError(`watchTraining: there must be at least one sample, got ${showValue(x)}`);
  const targets = model.outputs.flatMap((port) => {
    const values = partOf(y, port);
    if (values === undefined) return [];
    const name = portName("y", port);
    const flat = numbersOf(name, values);
    return [{ name, values: flat, size: Math.max(1, Math.floor(flat.length / count)) }];
  });
  return { x: columns, y: targets };
}

/** The first values are checked; all are, when they are trained on. */
function numbersOf(name: string, values: Values): findings.Numbers {
  const { data } = flattenValues(name, values);
  for (let i = 0; i < Math.min(data.length, 4096); i++) {
    if (!Number.isFinite(data[i])) {
      throw new DataError(`${name}: every value must be a finite number, got ${data[i]} at index ${i}`);
    }
  }
  return data;
}

function partOf(values: unknown, { key }: Port): Values {
  return (key === undefined ? values : (values as Record<string, unknown>)?.[key]) as Values;
}

/** The number of classes, if the targets of the only output are class indices. */
function classesOf({ model }: Known, { y }: Columns): number | undefined {
  const [port, ...more] = model.outputs;
  const classes = port.shape[port.shape.length - 1];
  if (more.length > 0 || y.length === 0 || classes === undefined || classes < 2) return undefined;
  const { values, size } = y[0];
  if (size !== sizeOf(port.shape) / classes) return undefined;
  for (let i = 0; i < Math.min(values.length, 4096); i++) {
    if (!Number.isInteger(values[i]) || values[i] < 0 || values[i] >= classes) return undefined;
  }
  return classes;
}

/** The first samples, as the trainer takes them. */
function firstSamples({ model }: Known, { training, samples }: Given): { x: unknown; y: unknown } {
  const first = (columns: readonly findings.Column[], ports: readonly Port[], where: string): unknown => {
    const parts = ports.flatMap((port) => {
      const column = columns.find(({ name }) => name === portName(where, port));
      if (column === undefined) return [];
      const values = Float32Array.from(Array.from(column.values).slice(0, samples * column.size));
      return [[port.key ?? "", values] as const];
    });
    return parts.length === 1 && parts[0][0] === "" ? parts[0][1] : Object.fromEntries(parts);
  };
  return {
    x: first(training.x, model.inputs, "x"),
    y: first(training.y, model.outputs, "y"),
  };
}

/** Paths of all layers of a kind, those within others too. */
function pathsOf({ layers }: LayerParts, kind: string, prefix = ""): string[] {
  return layers.flatMap((layer) => {
    const path = `${prefix}${layer.path}`;
    const inner = layer.parts === undefined ? [] : pathsOf(layer.parts, kind, `${path}.`);
    return layer.kind === kind ? [path, ...inner] : inner;
  });
}
