// One row an operation: the compiler refuses an operation without one.
import type * as operations from "../../src/ops/index.js";
import type { Sample } from "./cases.js";
import { activationSamples } from "./samples/activation.js";
import { arrangeSamples } from "./samples/arrange.js";
import { attentionSamples } from "./samples/attention.js";
import { convSamples } from "./samples/conv.js";
import { ctcSamples } from "./samples/ctc.js";
import { customSamples } from "./samples/custom.js";
import { einsumSamples } from "./samples/einsum.js";
import { elementwiseSamples } from "./samples/elementwise.js";
import { embeddingSamples } from "./samples/embedding.js";
import { gluSamples } from "./samples/glu.js";
import { gridSampleSamples } from "./samples/gridSample.js";
import { indexingSamples } from "./samples/indexing.js";
import { joinSamples } from "./samples/join.js";
import { lossSamples, metricSamples } from "./samples/loss.js";
import { matmulSamples } from "./samples/matmul.js";
import { normSamples } from "./samples/norm.js";
import { pairLossSamples } from "./samples/pairLosses.js";
import { poolSamples } from "./samples/pool.js";
import { positionSamples } from "./samples/positions.js";
import { recurrentSamples } from "./samples/recurrent.js";
import { reduceSamples } from "./samples/reduce.js";
import { resizeSamples } from "./samples/resize.js";
import { scanSamples } from "./samples/scan.js";
import { scatterSamples } from "./samples/scatter.js";
import { shapeSamples } from "./samples/shape.js";
import { similaritySamples } from "./samples/similarity.js";
import { softmaxSamples } from "./samples/softmax.js";
import { sortSamples } from "./samples/sort.js";
import { statisticsSamples } from "./samples/statistics.js";
import { unitLossSamples } from "./samples/unitLosses.js";
import { volumeSamples } from "./samples/volumes.js";

/** What src/ops/index.ts exports beside operations. */
type NotAnOperation = "alibiSlopes" | "gradient" | "recompute";

/** Those that read a trainer's clock: their battery runs in a test file of their own, dropout or noise.test.ts. */
type Clocked = "alphaDropout" | "dropout" | "randomNormal" | "randomUniform" | "spatialDropout";

export type OpName = Exclude<keyof typeof operations, NotAnOperation | Clocked>;

export const samples = {
  ...activationSamples,
  ...arrangeSamples,
  ...attentionSamples,
  ...ctcSamples,
  ...customSamples,
  ...convSamples,
  ...elementwiseSamples,
  ...embeddingSamples,
  ...einsumSamples,
  ...indexingSamples,
  ...joinSamples,
  ...gluSamples,
  ...gridSampleSamples,
  ...lossSamples,
  ...matmulSamples,
  ...metricSamples,
  ...normSamples,
  ...pairLossSamples,
  ...poolSamples,
  ...positionSamples,
  ...recurrentSamples,
  ...reduceSamples,
  ...resizeSamples,
  ...scatterSamples,
  ...scanSamples,
  ...shapeSamples,
  ...similaritySamples,
  ...softmaxSamples,
  ...sortSamples,
  ...statisticsSamples,
  ...unitLossSamples,
  ...volumeSamples,
} satisfies Record<OpName, Sample>;
