import { CheckError } from "../workload.js";

/** Throws CheckError unless every value lies within its tolerance of the expected one; NaN never does. */
export function checkValues(
  what: string,
  values: ArrayLike<number>,
  expected: ArrayLike<number>,
  toleranceOf: (index: number) => number,
): void {
  if (values.length !== expected.length) {
    throw new CheckError(`${what}: must have ${expected.length} values, got ${values.length}`);
  }
  for (let i = 0; i < expected.length; i++) {
    const tolerance = toleranceOf(i);
    if (Math.abs(values[i] - expected[i]) <= tolerance) continue;
    throw new CheckError(
      `${what}: must be ${expected[i]} ± ${tolerance.toPrecision(2)} at index ${i}, got ${values[i]}`,
    );
  }
}
