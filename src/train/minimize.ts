// Minimization of the loss over all data at once: methods that look at the function several times in a step, which a trainer's
// program does not.
import { ModelError, showValue } from "../engine/errors.js";
import { fn, integer, number, type OptionsOf, optional, readOptions } from "../engine/options.js";
import type { Ports } from "../nn/ports.js";
import { type EndReason, type Evaluation, type LbfgsPlan, lbfgs } from "../optim/lbfgs.js";
import type { SampleList, Samples } from "./data.js";
import { DivergenceError, namesNotFinite } from "./divergence.js";
import type { ParameterValues } from "./parameters.js";
import type { Evaluator, LossGradients } from "./trainer.js";

export interface MinimizeOptions {
  /** The most iterations: each goes along one line. Default 100 (PyTorch: 20). */
  iterations?: number;
  /** The most evaluations of loss and gradients. Default 1.25 times the iterations. */
  maxEvaluations?: number;
  /** First length that is tried on each line. Default 1. */
  learningRate?: number;
  /** Steps that are remembered. Default 10 (PyTorch: 100). */
  historySize?: number;
  /** It ends when no part of the gradient is larger. Default 1e-7. */
  gradientTolerance?: number;
  /** It ends when the loss, or every parameter, changes by no more. Default 1e-9. */
  changeTolerance?: number;
  /** Called after each iteration. Default: nothing. */
  onIteration?: (progress: MinimizeProgress) => void;
}

export interface MinimizeProgress {
  /** From 1. */
  readonly iteration: number;
  readonly loss: number;
}

export interface Minimum {
  /** Where it ended: the lowest loss of all. */
  readonly loss: number;
  readonly iterations: number;
  readonly evaluations: number;
  /** Why it ended: the gradient vanished, nothing changed, or there were no more iterations or evaluations. */
  readonly reason: EndReason;
}

// PyTorch's `max_eval` too.
const EVALUATIONS_PER_ITERATION = 1.25;

const OPTIONS = {
  iterations: integer(100, { min: 1, max: 1e9 }),
  maxEvaluations: optional(integer(undefined, { min: 1, max: 1e9 })),
  learningRate: number(1, { min: 1e-30, max: 1e30 }),
  historySize: integer(10, { min: 1, max: 10_000 }),
  gradientTolerance: number(1e-7, { min: 0 }),
  changeTolerance: number(1e-9, { min: 0 }),
  onIteration: optional(fn<NonNullable<MinimizeOptions["onIteration"]>>()),
} satisfies OptionsOf<MinimizeOptions>;

type AnyEvaluator = Evaluator<never, Ports, Ports>;

/**
 * Minimizes the loss of all samples together by L-BFGS with a strong Wolfe line search (Liu & Nocedal 1989; PyTorch's `LBFGS` with
 * `strong_wolfe`): for full batches and few parameters, where it needs far fewer passes than a first-order method and ends by
 * itself. The parameters of the trainer, which needs a loss and no optimizer, are those of the lowest loss afterwards; its step
 * count, optimizer and buffers stay. Dropout draws the same masks at every evaluation. Points are computed in float64, the loss
 * in float32.
 *
 * @throws ModelError for options that are not valid and trainers without a loss or parameters, DataError for data that do not
 * fit, and DivergenceError if the loss is not finite at the start.
 * @example
 * using trainer = await compile(model, { loss: crossEntropy() });
 * const { loss, iterations } = await minimize(trainer, { x, y }, { iterations: 10 });
 */
export async function minimize<I extends Ports, O extends Ports, T extends Ports>(
  trainer: Evaluator<never, I, O, T>,
  data: Samples<I, T> | SampleList<I, T>,
  options: MinimizeOptions = {},
): Promise<Minimum> {
  const of = checkEvaluator("minimize", trainer);
  const job = minimizing(of, checkMinimize("minimize", options));
  try {
    let next = job.next();
    while (!next.done) next = job.next(await of.gradients(data as never, { loss: true }));
    return next.value;
  } finally {
    job.return(undefined as never);
  }
}

/** The synchronous form of `minimize`. */
export function minimizeSync<I extends Ports, O extends Ports, T extends Ports>(
  trainer: Evaluator<never, I, O, T>,
  data: Samples<I, T> | SampleList<I, T>,
  options: MinimizeOptions = {},
): Minimum {
  const of = checkEvaluator("minimizeSync", trainer);
  const job = minimizing(of, checkMinimize("minimizeSync", options));
  try {
    let next = job.next();
    while (!next.done) next = job.next(of.gradientsSync(data as never, { loss: true }));
    return next.value;
  } finally {
    job.return(undefined as never);
  }
}

function checkEvaluator(where: string, trainer: unknown): AnyEvaluator {
  const { gradients, setParameters, parameters } = (trainer ?? {}) as Partial<AnyEvaluator>;
  const fits = [gradients, setParameters, parameters].every((method) => typeof method === "function");
  if (fits) return trainer as AnyEvaluator;
  throw new ModelError(
    `${where}: must be given a trainer with a loss, as compile(model, { loss: … }) makes it, got ${showValue(trainer)}`,
  );
}

function checkMinimize(where: string, options: MinimizeOptions): LbfgsPlan {
  const { onIteration, maxEvaluations, ...plan } = readOptions(where, options, OPTIONS);
  return {
    ...plan,
    maxEvaluations: maxEvaluations ?? Math.floor(plan.iterations * EVALUATIONS_PER_ITERATION),
    onIteration: (iteration, _, loss) => onIteration?.({ iteration, loss }),
  };
}

/** Asks for loss and gradients at the parameters that the trainer has. If it is left early, they are what they were. */
function* minimizing(trainer: AnyEvaluator, plan: LbfgsPlan): Generator<undefined, Minimum, LossGradients> {
  const first = yield;
  const { loss, parameters } = first;
  if (parameters.size === 0) {
    throw new ModelError("minimize: the model must have parameters to train, got none: freeze fewer, or add dense(…)");
  }
  if (!Number.isFinite(loss)) {
    const gradients = Object.fromEntries([...parameters].map(([path, { data }]) => [path, data]));
    const notFinite = namesNotFinite(gradients, "gradient of");
    throw new DivergenceError("minimize", { step: 1, loss, learningRate: plan.learningRate, notFinite });
  }
  const before = [...trainer.parameters()].filter(([path]) => parameters.has(path));
  const asking = lbfgs(flatten(before), plan);
  let finished = false;
  try {
    asking.next();
    let next = asking.next(evaluationOf(first, before));
    while (!next.done) {
      trainer.setParameters(unflatten(next.value, before));
      next = asking.next(evaluationOf(yield, before));
    }
    const { x, value, iterations, evaluations, reason } = next.value;
    trainer.setParameters(unflatten(x, before));
    finished = true;
    return { loss: value, iterations, evaluations, reason };
  } finally {
    if (!finished) trainer.setParameters(new Map(before));
  }
}

type Listed = readonly (readonly [path: string, values: ParameterValues])[];

function flatten(listed: Listed): Float64Array {
  const flat = new Float64Array(listed.reduce((length, [, { data }]) => length + data.length, 0));
  let at = 0;
  for (const [, { data }] of listed) {
    flat.set(data, at);
    at += data.length;
  }
  return flat;
}

function unflatten(flat: Float64Array, like: Listed): Map<string, ParameterValues> {
  let at = 0;
  return new Map(
    like.map(([path, { shape, data }]) => {
      const own = Float32Array.from(flat.subarray(at, at + data.length));
      at += data.length;
      return [path, { shape, data: own }] as const;
    }),
  );
}

function evaluationOf({ loss, parameters }: LossGradients, like: Listed): Evaluation {
  return { value: loss, gradient: flatten(like.map(([path]) => [path, parameters.get(path) as ParameterValues])) };
}
