// What shapes are found out with: a trace with a batch of two, of which nothing is computed.
import { CLOCK_BYTES } from "../engine/constants.js";
import { ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { leavesBehind } from "../graph/backward.js";
import { input, isTensor, showShape, type Tensor } from "../graph/tensor.js";
import { layerContext, type TracedContext } from "./layer.js";
import type { Port } from "./ports.js";

// Any batch would do.
const TRIAL_BATCH = 2;

export function trialContext(): TracedContext {
  const clock = input([CLOCK_BYTES / 4], { name: "clock", dtype: "uint32" });
  return layerContext({ training: true, clock, seed: [0, 0], batch: TRIAL_BATCH });
}

export function trialInputs(ports: readonly Pick<Port, "key" | "shape" | "dtype">[]): Tensor[] {
  return ports.map(({ key = "x", shape, dtype }) => input([TRIAL_BATCH, ...shape], { name: key, dtype }));
}

/** What a function returned for a trial batch, port by port: tensors with the batch axis in front. */
export function checkResults(where: string, results: unknown): { ports: Port[]; tensors: Tensor[] } {
  const isNamed = kindOf(results) === "Object" && !isTensor(results);
  const entries: [string | undefined, unknown][] = isNamed
    ? Object.entries(results as Record<string, unknown>)
    : [[undefined, results]];
  if (entries.length === 0 || (!isNamed && !isTensor(results))) {
    const remedy = kindOf(results) === "Promise" ? ": it must not be async" : "";
    throw new ModelError(
      `${where}: the function must return a tensor, or an object of them, got ${showValue(results)}${remedy}`,
    );
  }
  const tensors = entries.map(([key, value]): Tensor => {
    const what = key === undefined ? "the result" : `the result "${key}"`;
    if (!isTensor(value)) throw new ModelError(`${where}: ${what} must be a tensor, got ${showValue(value)}`);
    if (value.shape[0] === TRIAL_BATCH) return value;
    throw new ModelError(
      `${where}: ${what} must have the batch axis in front, got ${showShape(value.shape)} for a batch of ${TRIAL_BATCH}`,
    );
  });
  const ports = tensors.map(
    ({ shape, dtype }, index): Port => ({ key: entries[index][0], shape: shape.slice(1), dtype }),
  );
  return { ports, tensors };
}

/**
 * Throws if a result depends on a tensor that no call gives a value: an input or parameter that is neither `known` nor among
 * the parameters, as one of a loop's body or of an earlier trace.
 */
export function checkLeaves(
  where: string,
  results: readonly Tensor[],
  known: readonly Tensor[],
  parameters: ReadonlyMap<string, Tensor>,
): void {
  const all = new Set([...known, ...parameters.values()]);
  const other = leavesBehind(results).find((tensor) => tensor.source.kind !== "constant" && !all.has(tensor));
  if (other === undefined) return;
  const { name, source } = other;
  const remedy =
    source.kind === "parameter"
      ? "make it with scope.parameter() or scope.buffer()"
      : "a tensor of a loop's body is given out by its carry or its outputs, and nothing may be kept from an earlier trace";
  throw new ModelError(
    `${where}: the results must depend on its inputs and parameters only, got one that depends on another ${source.kind}, ${showValue(name)}: ${remedy}`,
  );
}

/** Errors of a user's function that do not say where they are from get the layer's name. */
export function naming<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ModelError) || error.message.startsWith(where)) throw error;
    throw new ModelError(`${where}: ${error.message}`, { cause: error });
  }
}
