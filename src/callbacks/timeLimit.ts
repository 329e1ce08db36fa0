// Ends a fit when its time is up.
import { ModelError, showValue } from "../engine/errors.js";
import { performance } from "../engine/host.js";
import type { Callback } from "../train/callbacks.js";

/**
 * Ends the fit when so many milliseconds have passed since it began: in the midst of an epoch too, at the end of the call into the
 * engine, which takes about 12 ms, or a step if that takes longer. The next fit goes on with the epoch.
 *
 * @throws {ModelError} Unless it is a number above 0.
 * @example
 * await trainer.fit({ x, y }, { epochs: 1000, callbacks: [timeLimit(20)] });
 */
export function timeLimit(milliseconds: number): Callback {
  if (!(typeof milliseconds === "number" && milliseconds > 0 && milliseconds < Number.POSITIVE_INFINITY))
    throw new ModelError(`timeLimit: milliseconds must be a number above 0, got ${showValue(milliseconds)}`);
  let begin = 0;
  const check = ({ stop }: { stop(reason: string): void }): void => {
    if (performance.now() - begin >= milliseconds) stop(`${milliseconds} ms have passed`);
  };
  return {
    name: "timeLimit",
    every: "call",
    reads: false,
    onBegin() {
      begin = performance.now();
    },
    onStep: check,
    // The validation takes time too.
    onEpoch: check,
  };
}
