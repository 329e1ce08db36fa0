// Where the workloads are. A new one is a file in workloads/ and a row here.
import type { Workload } from "./workload.js";

interface Family {
  /** Names of its workloads, and of no others. */
  readonly names: RegExp;
  load(): Promise<readonly Workload[]>;
}

/** Loaded one by one, as another revision of the source (`--against`) may lack what some of them need. */
const families: readonly Family[] = [
  {
    names: /^(xor|mnist|mlp)(-|$)/,
    load: async () => {
      const { digitsWorkload, wideWorkload, xorWorkload } = await import("./workloads/training.js");
      return [
        xorWorkload("xor", "steps"),
        xorWorkload("xor-call", "batch"),
        ...[32, 128].flatMap((batch) => [digitsWorkload(batch, "sgd"), digitsWorkload(batch, "adam")]),
        wideWorkload(),
      ];
    },
  },
  { names: /^cnn$/, load: async () => [(await import("./workloads/cnn.js")).cnnWorkload()] },
  {
    names: /^(lstm|gru)(-|$)/,
    load: async () => {
      const { longRecurrentWorkload, recurrentWorkload } = await import("./workloads/recurrent.js");
      return [recurrentWorkload("lstm"), recurrentWorkload("gru"), longRecurrentWorkload()];
    },
  },
  {
    names: /^(transformer|sample)$/,
    load: async () => {
      const { sampleWorkload, transformerWorkload } = await import("./workloads/transformer.js");
      return [transformerWorkload(), sampleWorkload()];
    },
  },
  { names: /^predict-one$/, load: async () => [(await import("./workloads/prediction.js")).predictionWorkload()] },
  { names: /^predict-int8$/, load: async () => [(await import("./workloads/quantized.js")).quantizedWorkload()] },
  {
    names: /^gemm-/,
    load: async () => {
      const { productWorkload } = await import("./workloads/product.js");
      return [64, 128, 256, 512, 1024].map(productWorkload);
    },
  },
  { names: /^conv-/, load: async () => [(await import("./workloads/convolution.js")).convolutionWorkload()] },
  { names: /^layers-/, load: async () => (await import("./workloads/layers.js")).layerWorkloads() },
  { names: /^optimizer-/, load: async () => (await import("./workloads/optimizer.js")).optimizerWorkloads() },
  { names: /^(metrics|stream|tripwire)-/, load: async () => (await import("./workloads/epoch.js")).epochWorkloads() },
  { names: /^activation-/, load: async () => (await import("./workloads/activation.js")).activationWorkloads() },
  {
    names: /^page-tasks-/,
    load: async () => {
      const { pageTasksWorkload } = await import("./workloads/pageTasks.js");
      return [pageTasksWorkload(true), pageTasksWorkload(false)];
    },
  },
  { names: /^ceiling$/, load: async () => [(await import("./workloads/ceiling.js")).ceilingWorkload()] },
];

/** The workload of this name, without loading any of other families. */
export async function loadWorkload(name: string): Promise<Workload> {
  for (const { names, load } of families) {
    if (!names.test(name)) continue;
    const found = (await load()).find((workload) => workload.name === name);
    if (found !== undefined) return found;
  }
  throw new Error(`there is no workload "${name}"`);
}

/** All of them, in the order of the table. */
export async function loadWorkloads(): Promise<readonly Workload[]> {
  return (await Promise.all(families.map(({ load }) => load()))).flat();
}
