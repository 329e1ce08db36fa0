// Shows the progress of awaited fits where somebody watches them: on a terminal, and not in tests.
import type { Callback } from "../train/callbacks.js";
import { provideDisplay } from "../train/display.js";
import type { ProgressDisplay } from "./nodeProgress.js";

/** Shows a fit's progress: see `progress` of steepest/callbacks. What draws is loaded when a fit begins. */
export function progressCallback(): Callback {
  let display: ProgressDisplay<never> | undefined;
  return {
    name: "progress",
    every: "call",
    reads: false,
    shows: true,
    async onBegin({ setup }) {
      const { createProgressDisplay } = await import("./nodeProgress.js");
      display = await createProgressDisplay(setup.epochs);
    },
    onStep: ({ progress }) => display?.onProgress(progress),
    onEpoch: ({ result }) => display?.finishEpoch(result),
    onEnd: () => display?.close(),
  };
}

const { env, stdout } = process;
const isTest = (): boolean =>
  [env.CI, env.VITEST, env.JEST_WORKER_ID, env.NODE_TEST_CONTEXT].some(Boolean) || env.NODE_ENV === "test";

// Fits at the same time would write over each other's line.
let isShowing = false;

/** The same, for one fit at a time. */
function alone(display: Callback): Callback {
  return {
    ...display,
    async onBegin(context) {
      isShowing = true;
      await display.onBegin?.(context);
    },
    onEnd(context) {
      isShowing = false;
      return display.onEnd?.(context);
    },
  };
}

provideDisplay((asked) => {
  const isWatched = stdout.isTTY === true && env.TERM !== "dumb" && !isTest() && !isShowing;
  return asked || isWatched ? alone(progressCallback()) : undefined;
});
