import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/**
 * Tests whose way depends on how the machine shares itself out: on a clock, timers, the turns of a host, the heap, a
 * browser. None asserts a time (test/timing.test.ts), but they need air: they run last and one by one, and a busy machine
 * may leave them out: `npm test -- --project tests`.
 */
export const TIMING = [
  "test/browser/chromium.test.ts",
  "test/browser/extension.test.ts",
  "test/engine/background.test.ts",
  "test/engine/breathing.test.ts",
  "test/engine/copies.test.ts",
  "test/engine/kills.test.ts",
  "test/images/drawables.test.ts",
  "test/report/report.test.ts",
  "test/soak/soak.test.ts",
  "test/train/heap.test.ts",
];

/** Files that take minutes begin first, so that no worker is left with one of them at the end. */
const LONG = ["test/mutations/mutations.test.ts"];

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => LONG.some((file) => moduleId.endsWith(file));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  resolve: {
    alias: [
      { find: /^steepest$/, replacement: source("./src/platform/node.ts") },
      { find: /^steepest\/graph$/, replacement: source("./src/platform/nodeGraph.ts") },
      { find: /^steepest\/io$/, replacement: source("./src/platform/nodeIo.ts") },
      { find: /^steepest\/diagnostics$/, replacement: source("./src/diagnostics/index.ts") },
      { find: /^steepest\/inspect$/, replacement: source("./src/inspect/index.ts") },
      { find: /^steepest\/quantize$/, replacement: source("./src/quantize/index.ts") },
      { find: /^steepest\/metrics$/, replacement: source("./src/metrics/index.ts") },
      { find: /^steepest\/data$/, replacement: source("./src/platform/nodeData.ts") },
      { find: /^steepest\/report$/, replacement: source("./src/platform/nodeReport.ts") },
      { find: /^steepest\/onnx$/, replacement: source("./src/platform/nodeOnnx.ts") },
      { find: /^steepest\/keras$/, replacement: source("./src/platform/nodeKeras.ts") },
      { find: /^steepest\/images$/, replacement: source("./src/platform/nodeImages.ts") },
      { find: /^steepest\/standalone$/, replacement: source("./src/platform/nodeStandalone.ts") },
      { find: /^steepest\/cluster$/, replacement: source("./src/platform/nodeCluster.ts") },
      { find: /^steepest\/search$/, replacement: source("./src/platform/nodeSearch.ts") },
      { find: /^steepest\/callbacks$/, replacement: source("./src/platform/nodeCallbacks.ts") },
      { find: /^steepest\/text$/, replacement: source("./src/text/index.ts") },
      { find: /^steepest\/progress$/, replacement: source("./src/platform/nodeProgress.ts") },
    ],
  },
  test: {
    setupFiles: ["test/setup.ts"],
    sequence: { sequencer: LongFirst },
    // What hangs ends some time. Nothing else does: a machine with ten times as much to do takes ten times as long.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 120_000 } },
    pool: "threads",
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: { name: "tests", include: ["test/**/*.test.ts"], exclude: [...TIMING, "**/node_modules/**"] },
      },
      {
        extends: true,
        test: { name: "timing", include: TIMING, fileParallelism: false, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
