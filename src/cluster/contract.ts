// What coordinator and workers must have in common, as nothing of it travels.
import { VERSION } from "../engine/copies.js";

/** Digests are SHA-256 in hexadecimal digits. */
export interface Contract {
  readonly version: string;
  readonly kernels: string;
  readonly job: string;
}

const NAMES = {
  version: "version of steepest",
  kernels: "digest of the kernels",
  job: "digest of the job's file",
} as const;

export function contractOf(kernels: string, job: string): Contract {
  return { version: VERSION, kernels, job };
}

/** In which respect two differ, as text; `undefined` if they are equal. */
export function differenceOf(theirs: Contract, mine: Contract): string | undefined {
  for (const name of ["version", "kernels", "job"] as const) {
    if (theirs[name] === mine[name]) continue;
    const show = (text: string): string => JSON.stringify(`${text}`.slice(0, 12));
    return `the ${NAMES[name]} is ${show(theirs[name])} of the run, and ${show(mine[name])} here`;
  }
  return undefined;
}
