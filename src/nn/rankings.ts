// Areas under curves from sorted scores: what metrics in a program and over arrays share.

/** Weights of positives and negatives with one score, or with scores that are not told apart; the highest score first. */
export interface Ranking {
  readonly positives: ArrayLike<number>;
  readonly negatives: ArrayLike<number>;
}

function totalsOf({ positives, negatives }: Ranking): [positives: number, negatives: number] {
  let [all, others] = [0, 0];
  for (let index = 0; index < positives.length; index++) {
    all += positives[index];
    others += negatives[index];
  }
  return [all, others];
}

/**
 * Area under the ROC curve: how probably a positive has a higher score than a negative; equal ones count half. NaN if there
 * are no positives or no negatives.
 */
export function rocArea(ranking: Ranking): number {
  const { positives, negatives } = ranking;
  const [all, others] = totalsOf(ranking);
  let [above, area] = [0, 0];
  for (let index = 0; index < positives.length; index++) {
    area += negatives[index] * (above + positives[index] / 2);
    above += positives[index];
  }
  return area / (all * others);
}

/** Of the precision-recall curve: below its steps (average precision), or below straight lines between its points. */
export function precisionRecallArea(ranking: Ranking, form: "steps" | "lines"): number {
  const { positives, negatives } = ranking;
  const [all] = totalsOf(ranking);
  let [found, wrong, area] = [0, 0, 0];
  let before = 1;
  for (let index = 0; index < positives.length; index++) {
    found += positives[index];
    wrong += negatives[index];
    if (found + wrong === 0) continue;
    const precision = found / (found + wrong);
    // Without positives, recall is 1 from the first score on, as in scikit-learn.
    const gain = all === 0 ? Number(wrong === negatives[index]) : positives[index] / all;
    area += gain * (form === "steps" ? precision : (precision + before) / 2);
    before = precision;
  }
  return area;
}

/** Of bins of predicted probabilities, weights each: how many there are, their sum, and the sum of what came true. */
export interface CalibrationBins {
  readonly counts: ArrayLike<number>;
  readonly predicted: ArrayLike<number>;
  readonly actual: ArrayLike<number>;
}

/** The mean distance between what is predicted and what comes true, over bins (Naeini et al. 2015). */
export function calibrationErrorOf({ counts, predicted, actual }: CalibrationBins): number {
  let [error, total] = [0, 0];
  for (let bin = 0; bin < counts.length; bin++) {
    error += Math.abs(predicted[bin] - actual[bin]);
    total += counts[bin];
  }
  return error / total;
}
