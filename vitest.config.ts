import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^steepest$/, replacement: source("./src/platform/node.ts") },
      { find: /^steepest\/graph$/, replacement: source("./src/platform/nodeGraph.ts") },
      { find: /^steepest\/io$/, replacement: source("./src/platform/nodeIo.ts") },
      { find: /^steepest\/progress$/, replacement: source("./src/platform/nodeProgress.ts") },
    ],
  },
  test: {
    setupFiles: ["test/setup.ts"],
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "threads",
    maxWorkers: 2,
  },
});
