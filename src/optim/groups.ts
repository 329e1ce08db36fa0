// Several optimizers for one model, each for some of its parameters.
import { made } from "../engine/copies.js";
import { ModelError, showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import type { Recorder } from "../engine/recorder.js";
import { align } from "../graph/plan.js";
import {
  checkOptimizer,
  type LearningRate,
  type Optimizer,
  type OptimizerPlacement,
  type OptimizerSlot,
  ratesOf,
  type TrainedTensor,
} from "./optimizer.js";
import { matcherOf } from "./pattern.js";
import { narrowed, recordWithin } from "./placement.js";

/** An optimizer with the pattern of what it changes. */
interface Group {
  readonly pattern: string;
  readonly optimizer: Optimizer;
  matches(path: string): boolean;
}

/**
 * Gives each parameter the optimizer of the first pattern that its path matches. A pattern is the path of a parameter, or of
 * a layer or model, which stands for all in it; `*` stands for any characters. Each optimizer has its own learning rate and
 * state; a group is the same, bit for bit, as a training of its parameters alone with its optimizer.
 *
 * @throws ModelError if there is no group, if a pattern is a bare number (`"0"`: write `"0.*"`, as such keys come first in
 * every object), if a group is no optimizer; and, when it meets a model, if a parameter matches no pattern or a pattern no
 * parameter.
 * @example
 * const optimizer = groups({ "*.bias": sgd({ learningRate: 0.1 }), "*": adam() });
 */
export function groups(optimizers: Readonly<Record<string, Optimizer>>): Optimizer {
  const all = checkGroups(optimizers);
  const names = [...new Set(all.map(({ optimizer }) => optimizer.name))];
  return made({
    name: names.join(" and "),
    learningRate: Object.fromEntries(all.flatMap(namedRates)),
    hyperparameters: Object.fromEntries(
      all.flatMap(({ pattern, optimizer }) =>
        Object.entries(optimizer.hyperparameters ?? {}).map(([name, value]) => [`${pattern}: ${name}`, value]),
      ),
    ),
    slots: (tensors: readonly TrainedTensor[]) => split(all, tensors).flatMap(slotsOf),
    scratchBytes: (tensors: readonly TrainedTensor[]) =>
      split(all, tensors).reduce((bytes, part) => bytes + scratchOf(part), 0),
    order: (tensors: readonly TrainedTensor[]) =>
      split(all, tensors).flatMap((part) => part.optimizer.order?.(part.tensors) ?? part.tensors),
    scalesGradients: true,
    record(recorder: Recorder, at: OptimizerPlacement) {
      for (const { optimizer, placement } of placed(all, at)) recordWithin(optimizer, recorder, placement);
    },
    perturb(recorder: Recorder, at: OptimizerPlacement) {
      for (const { optimizer, placement } of placed(all, at)) optimizer.perturb?.(recorder, placement);
    },
    finish(recorder: Recorder, at: OptimizerPlacement) {
      for (const { optimizer, placement } of placed(all, at)) optimizer.finish?.(recorder, placement);
    },
  });
}

function checkGroups(optimizers: unknown): Group[] {
  if (kindOf(optimizers) !== "Object" || Object.keys(optimizers as object).length === 0) {
    throw new ModelError(
      `groups: must be given optimizers by pattern, as { "*.bias": sgd(), "*": adam() }, got ${showValue(optimizers)}`,
    );
  }
  return Object.entries(optimizers as object).map(([pattern, optimizer]) => {
    if (/^\d*$/.test(pattern)) {
      throw new ModelError(
        `groups: a pattern must be part of a path, got ${showValue(pattern)}${pattern === "" ? "" : `, which an object has before the others: write "${pattern}.*"`}`,
      );
    }
    checkOptimizer(`groups: ${showValue(pattern)}`, optimizer);
    return { pattern, optimizer, matches: matcherOf(pattern) };
  });
}

function namedRates({ pattern, optimizer }: Group): [string, LearningRate][] {
  return ratesOf(optimizer).map(({ group, rate }) => [group === undefined ? pattern : `${pattern} ${group}`, rate]);
}

/** The groups, each with its tensors. */
function split<T extends TrainedTensor>(all: readonly Group[], tensors: readonly T[]): (Group & { tensors: T[] })[] {
  const parts = all.map((group) => ({ ...group, tensors: [] as T[] }));
  const patterns = showNames(all.map(({ pattern }) => showValue(pattern)));
  for (const tensor of tensors) {
    const part = parts.find(({ matches }) => matches(tensor.path));
    if (part !== undefined) part.tensors.push(tensor);
    else {
      throw new ModelError(
        `groups: every parameter must match a pattern, got "${tensor.path}" and the patterns ${patterns}: add "*" with an optimizer as the last`,
      );
    }
  }
  const empty = parts.find((part) => part.tensors.length === 0);
  if (empty === undefined) return parts;
  const earlier = tensors.find(({ path }) => empty.matches(path));
  throw new ModelError(
    earlier === undefined
      ? `groups: ${showValue(empty.pattern)} must match a parameter that is trained, got ${showNames(tensors.map(({ path }) => path))}: leave it out, or correct it`
      : `groups: ${showValue(empty.pattern)} must match a parameter that no pattern before it does, got "${earlier.path}" taken: put it first`,
  );
}

function slotsOf({ pattern, optimizer, tensors }: Group & { tensors: TrainedTensor[] }): OptimizerSlot[] {
  return (optimizer.slots?.(tensors) ?? []).map((slot) => {
    if (slot.length === undefined) return { tensors, ...slot };
    return { ...slot, path: slot.path === undefined ? pattern : `${pattern} ${slot.path}` };
  });
}

function scratchOf({ optimizer, tensors }: Group & { tensors: TrainedTensor[] }): number {
  return align(optimizer.scratchBytes?.(tensors) ?? 0);
}

/** Each optimizer with its part: its slots, scratch and rates are behind those of the groups before it. */
function placed(
  all: readonly Group[],
  at: OptimizerPlacement,
): { optimizer: Optimizer; placement: OptimizerPlacement }[] {
  let [slot, rate, { scratch }] = [0, 0, at];
  return split(all, at.tensors).map((part) => {
    const [firstSlot, firstRate, ownScratch] = [slot, rate, scratch];
    slot += slotsOf(part).length;
    rate += ratesOf(part.optimizer).length;
    scratch += scratchOf(part);
    const placement = {
      ...narrowed(at, part.tensors, firstSlot, slot),
      scratch: ownScratch,
      learningRates: at.learningRates.slice(firstRate, rate),
    };
    return { optimizer: part.optimizer, placement };
  });
}
