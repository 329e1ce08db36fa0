// Scores of regressions from moments: what metrics in a program and over arrays share.

/** Of pairs (x, y) with weights: their sum, the means, and sums of products of deviations from the means. */
export interface Moments {
  readonly weight: number;
  readonly meanX: number;
  readonly meanY: number;
  readonly xx: number;
  readonly yy: number;
  readonly xy: number;
}

/** 1 - part / whole; as in scikit-learn, if the whole is 0: 1 for a part of 0, else 0. */
function explained(part: number, whole: number): number {
  if (whole === 0) return part === 0 ? 1 : 0;
  return 1 - part / whole;
}

/** The coefficient of determination. x: targets, y: errors (target - prediction). */
export function rSquaredOf({ weight, meanY, xx, yy }: Moments): number {
  return explained(yy + weight * meanY * meanY, xx);
}

/** The share of the targets' variance that is not in the errors. x: targets, y: errors. */
export function explainedVarianceOf({ xx, yy }: Moments): number {
  return explained(yy, xx);
}

/** Pearson's correlation. NaN if one side is constant. */
export function pearsonOf({ xx, yy, xy }: Moments): number {
  return xx === 0 || yy === 0 ? Number.NaN : Math.max(-1, Math.min(1, xy / Math.sqrt(xx * yy)));
}
