// Every workload by name. A new one is a file in workloads/ and a row here.
import type { Workload } from "./workload.js";
import { activationWorkloads } from "./workloads/activation.js";
import { ceilingWorkload } from "./workloads/ceiling.js";
import { cnnWorkload } from "./workloads/cnn.js";
import { convolutionWorkload } from "./workloads/convolution.js";
import { layerWorkloads } from "./workloads/layers.js";
import { pageTasksWorkload } from "./workloads/pageTasks.js";
import { predictionWorkload } from "./workloads/prediction.js";
import { productWorkload } from "./workloads/product.js";
import { longRecurrentWorkload, recurrentWorkload } from "./workloads/recurrent.js";
import { digitsWorkload, wideWorkload, xorWorkload } from "./workloads/training.js";
import { sampleWorkload, transformerWorkload } from "./workloads/transformer.js";

export const workloads: readonly Workload[] = [
  xorWorkload("xor", "steps"),
  xorWorkload("xor-call", "batch"),
  ...[32, 128].flatMap((batch) => [digitsWorkload(batch, "sgd"), digitsWorkload(batch, "adam")]),
  wideWorkload(),
  cnnWorkload(),
  recurrentWorkload("lstm"),
  recurrentWorkload("gru"),
  longRecurrentWorkload(),
  transformerWorkload(),
  sampleWorkload(),
  predictionWorkload(),
  ...[64, 128, 256, 512, 1024].map(productWorkload),
  convolutionWorkload(),
  ...layerWorkloads(),
  ...activationWorkloads(),
  pageTasksWorkload(true),
  pageTasksWorkload(false),
  ceilingWorkload(),
];
