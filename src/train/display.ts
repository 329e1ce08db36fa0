// What shows a fit's progress to whoever watches, if the platform has such a thing: the entry for Node provides one.
import type { AnyCallback } from "./callbacks.js";
import type { FitPlan } from "./options.js";

/** `asked`: by the option; otherwise it decides itself whether somebody watches. Gives a new callback for each fit. */
export type DisplayMaker = (asked: boolean) => AnyCallback | undefined;

let makeDisplay: DisplayMaker = () => undefined;

export function provideDisplay(make: DisplayMaker): void {
  makeDisplay = make;
}

/** The display of a fit: by default that of an awaited one, unless the caller shows something. */
export function displayFor({ progress, onProgress, callbacks }: FitPlan, awaited: boolean): AnyCallback | undefined {
  if (progress !== undefined) return progress ? makeDisplay(true) : undefined;
  const showsOwn = onProgress !== undefined || callbacks.some(({ shows }) => shows);
  return awaited && !showsOwn ? makeDisplay(false) : undefined;
}
