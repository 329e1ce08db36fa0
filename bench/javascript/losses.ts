// Losses of logits in plain JavaScript: each returns the mean over the batch and leaves its gradient in the logits.

export type LossName = "softmaxCrossEntropy" | "binaryCrossEntropy";
/** Class indices for softmaxCrossEntropy, 0 or 1 for each output for binaryCrossEntropy. */
export type Targets = Uint32Array | Float32Array;

/** z [batch, classes] → ∂loss/∂z; the loss is the mean over samples of -ln softmax(z)[label]. */
function softmaxCrossEntropy(z: Float32Array, labels: Targets, batch: number): number {
  const classes = z.length / batch;
  let loss = 0;
  for (let sample = 0, row = 0; sample < batch; sample++, row += classes) {
    let largest = z[row];
    for (let c = 1; c < classes; c++) if (z[row + c] > largest) largest = z[row + c];
    const target = row + labels[sample];
    const score = z[target];
    let sum = 0;
    for (let c = 0; c < classes; c++) {
      const e = Math.exp(z[row + c] - largest);
      z[row + c] = e;
      sum += e;
    }
    loss += Math.log(sum) + largest - score;
    const scale = 1 / (sum * batch);
    for (let c = 0; c < classes; c++) z[row + c] *= scale;
    z[target] -= 1 / batch;
  }
  return loss / batch;
}

/** z [batch, outputs] → ∂loss/∂z; the loss is the mean over all elements of softplus(z) - t·z. */
function binaryCrossEntropy(z: Float32Array, targets: Targets): number {
  let loss = 0;
  for (let i = 0; i < z.length; i++) {
    const value = z[i];
    const e = Math.exp(value > 0 ? -value : value);
    loss += Math.max(value, 0) + Math.log1p(e) - targets[i] * value;
    z[i] = ((value > 0 ? 1 : e) / (1 + e) - targets[i]) / z.length;
  }
  return loss / z.length;
}

export const losses: Record<LossName, (z: Float32Array, targets: Targets, batch: number) => number> = {
  softmaxCrossEntropy,
  binaryCrossEntropy,
};

/** z [batch, classes] → softmax(z), in place. */
export function softmax(z: Float32Array, batch: number): void {
  const classes = z.length / batch;
  for (let row = 0; row < z.length; row += classes) {
    let largest = z[row];
    for (let c = 1; c < classes; c++) if (z[row + c] > largest) largest = z[row + c];
    let sum = 0;
    for (let c = 0; c < classes; c++) {
      const e = Math.exp(z[row + c] - largest);
      z[row + c] = e;
      sum += e;
    }
    const scale = 1 / sum;
    for (let c = 0; c < classes; c++) z[row + c] *= scale;
  }
}
