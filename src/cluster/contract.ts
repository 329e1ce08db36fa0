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

/** What a store says is a contract; `undefined` if it is none. */
export function parseContract(value: unknown): Contract | undefined {
  const { version, kernels, job } = (value ?? {}) as Partial<Contract>;
  if (![version, kernels, job].every((text) => typeof text === "string" && text.length <= 100)) return undefined;
  return { version, kernels, job } as Contract;
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
