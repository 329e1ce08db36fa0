// The entry "steepest/progress" under Node. Shows a fit's progress: a bar an epoch if there is a terminal, plain lines if not.
import { checkInteger } from "../engine/errors.js";
import { openDisplay, type ProgressDisplay } from "./progressDisplay.js";

export type { ProgressDisplay } from "./progressDisplay.js";

/**
 * A display for `epochs` epochs. Without a terminal, or on one that cannot go back in a line (`TERM=dumb`), an epoch is one line. With one, a bar moves within it: of `cli-progress` if
 * that is installed (an optional peer), else a plain one.
 *
 * @throws {ModelError} If `epochs` is no whole number of at least 1.
 * @example
 * const display = await createProgressDisplay<"accuracy">(1);
 * for await (const result of trainer.fit({ x, y }, { onProgress: display.onProgress })) display.finishEpoch(result);
 */
export async function createProgressDisplay<M extends string>(epochs: number): Promise<ProgressDisplay<M>> {
  checkInteger("createProgressDisplay", "epochs", epochs, 1);
  return openDisplay(epochs, "stdout");
}
