// One row an operation: the compiler refuses an operation without one.
import type * as operations from "../../src/ops/index.js";
import type { Sample } from "./battery.js";
import { activationSamples } from "./samples/activation.js";
import { dropoutSamples } from "./samples/dropout.js";
import { elementwiseSamples } from "./samples/elementwise.js";
import { gatherSamples } from "./samples/gather.js";
import { lossSamples, metricSamples } from "./samples/loss.js";
import { matmulSamples } from "./samples/matmul.js";
import { reduceSamples } from "./samples/reduce.js";
import { shapeSamples } from "./samples/shape.js";
import { softmaxSamples } from "./samples/softmax.js";

/** What src/ops/index.ts exports beside operations. */
type NotAnOperation = "gradient";

export type OpName = Exclude<keyof typeof operations, NotAnOperation>;

export const samples = {
  ...activationSamples,
  ...dropoutSamples,
  ...elementwiseSamples,
  ...gatherSamples,
  ...lossSamples,
  ...matmulSamples,
  ...metricSamples,
  ...reduceSamples,
  ...shapeSamples,
  ...softmaxSamples,
} satisfies Record<OpName, Sample>;
