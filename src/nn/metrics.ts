// Metrics as options of compile(): each adds up over the batches of an epoch.
import { ModelError, showValue } from "../engine/errors.js";
import { type Shape, sizeOf, type Tensor } from "../graph/tensor.js";
import { meanAbsoluteError, meanSquaredError } from "../ops/loss.js";
import type { Loss } from "./losses.js";

/** `accuracy`: the share of right answers, as the loss understands it. The errors are means over all elements. */
export type MetricName = "accuracy" | "meanSquaredError" | "meanAbsoluteError";

const NAMES: readonly MetricName[] = ["accuracy", "meanSquaredError", "meanAbsoluteError"];

const HABITS: Readonly<Record<string, MetricName>> = {
  acc: "accuracy",
  mse: "meanSquaredError",
  mae: "meanAbsoluteError",
};

export interface Metric {
  readonly name: MetricName;
  /** Sum over a batch, as a scalar tensor, of what `countPerSample` divides. */
  build(output: Tensor, target: Tensor): Tensor;
  readonly countPerSample: number;
}

/** Resolves a metric's name for a model's loss and output. Throws ModelError where it means nothing there. */
export function metricFor(where: string, name: MetricName, loss: Loss, outputShape: Shape): Metric {
  if (!NAMES.includes(name)) {
    const meant = typeof name === "string" && Object.hasOwn(HABITS, name) ? `: write ${showValue(HABITS[name])}` : "";
    throw new ModelError(`${where}: a metric must be one of ${NAMES.join(", ")}, got ${showValue(name)}${meant}`);
  }
  const perRow = loss.targets === "classes" || loss.targets === "distributions";
  if (name === "accuracy") {
    const { correct } = loss;
    if (correct === undefined) {
      throw new ModelError(
        `${where}: ${loss.name} has no right and wrong, so no accuracy: use "meanAbsoluteError" or "meanSquaredError"`,
      );
    }
    return { name, build: correct, countPerSample: perRow ? 1 : sizeOf(outputShape) };
  }
  if (perRow)
    throw new ModelError(`${where}: ${name} compares values, but ${loss.name} has ${loss.targets}: use "accuracy"`);
  const operation = name === "meanSquaredError" ? meanSquaredError : meanAbsoluteError;
  return {
    name,
    build: (output, target) => operation(loss.predict(output), target, { reduction: "sum" }),
    countPerSample: sizeOf(outputShape),
  };
}
