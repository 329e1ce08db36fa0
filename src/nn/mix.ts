// Samples of a batch mixed with each other while training, and the loss with them: mixUp and cutMix. Each sample is mixed with
// the one before it in the batch, which is a random one, as data are shuffled. The share is one number a step.
import { ModelError, showValue } from "../engine/errors.js";
import { number, type OptionsOf, readOptions } from "../engine/options.js";
import { power } from "../engine/portableMath.js";
import { constant, type Shape, showShape, type Tensor } from "../graph/tensor.js";
import { greaterEqual, less, where } from "../ops/comparison.js";
import type { RandomOptions } from "../ops/dropout.js";
import { add, mul, scale, shift, sqrt, sub } from "../ops/elementwise.js";
import { gather } from "../ops/indexing.js";
import { randomUniform } from "../ops/noise.js";
import { mean } from "../ops/reduce.js";
import { roll } from "../ops/roll.js";
import { cast } from "../ops/rounding.js";
import { reshape } from "../ops/shape.js";
import { slice } from "../ops/slice.js";

/** How samples are mixed while training: what `mixUp()` and `cutMix()` return, an option of `compile`. */
export interface Mix {
  readonly kind: string;
  /** Refuses inputs that it cannot mix: shapes of one sample. */
  check(shapes: readonly Shape[]): void;
  /** The mixed inputs, and the share [1] of each sample's own target. */
  apply(x: readonly Tensor[], random: RandomOptions): { x: Tensor[]; share: Tensor };
}

export interface MixOptions {
  /** Of the Beta(alpha, alpha) distribution of the shares, from 0.05 to 16: small ones seldom mix much. Default 1: uniform. */
  alpha?: number;
}

const MIX = { alpha: number(1, { min: 0.05, max: 16 }) } satisfies OptionsOf<MixOptions>;

// So many shares, each as likely.
const SHARES = 1024;
const STEPS = 8192;

/** Quantiles of Beta(alpha, alpha): shares in the middles of `SHARES` equal parts of the probability. */
export function betaQuantiles(alpha: number): Float64Array {
  // Up to 1/2 the density t^(a-1) · (1-t)^(a-1) is (1 - v^(1/a))^(a-1) over v = t^a, which is smooth and bounded.
  const end = power(0.5, alpha);
  const masses = Float64Array.from({ length: STEPS }, (_, step) =>
    power(1 - power(((step + 0.5) / STEPS) * end, 1 / alpha), alpha - 1),
  );
  const total = masses.reduce((sum, mass) => sum + mass);
  const quantiles = new Float64Array(SHARES);
  let [step, below] = [0, 0];
  for (let i = 0; i < SHARES / 2; i++) {
    const wanted = ((2 * i + 1) / SHARES) * total;
    while (step < STEPS - 1 && below + masses[step] < wanted) below += masses[step++];
    quantiles[i] = power(((step + (wanted - below) / masses[step]) / STEPS) * end, 1 / alpha);
    quantiles[SHARES - 1 - i] = 1 - quantiles[i];
  }
  return quantiles;
}

/** Three uniform numbers of a step, [1] each: the first as a share. */
function drawn(alpha: number, random: RandomOptions): [share: Tensor, second: Tensor, third: Tensor] {
  const numbers = randomUniform([3], random);
  const [first, second, third] = [0, 1, 2].map((at) => slice(numbers, [at], [at + 1]));
  const shares = constant(Float32Array.from(betaQuantiles(alpha)), [SHARES]);
  return [gather(shares, cast(scale(first, SHARES), "uint32")), second, third];
}

/**
 * An option of `compile`: while training, each sample becomes share · itself + (1 - share) · another one, and the loss likewise
 * share · loss of its target + (1 - share) · loss of the other's (Zhang et al. 2018, "mixup"). For cross-entropy that is the
 * loss of the mixed distribution. The share is Beta(alpha, alpha), anew at every step, from the trainer's seed.
 */
export function mixUp(options: MixOptions = {}): Mix {
  const { alpha } = readOptions("mixUp", options, MIX);
  return {
    kind: "mixUp",
    check: () => {},
    apply(x, random) {
      const [share] = drawn(alpha, random);
      return { x: x.map((one) => add(mul(one, share), mul(roll(one, 1, 0), sub(1, share)))), share };
    },
  };
}

/**
 * An option of `compile`: while training, a rectangle of each image [height, width, channels] is that of another one, and the
 * losses of both targets count by the share of the pixels (Yun et al. 2019, "CutMix"). The rectangle has 1 - share of the area,
 * with a share of Beta(alpha, alpha), its middle anywhere; what is outside of the image is cut off. The same for all images
 * of a step.
 */
export function cutMix(options: MixOptions = {}): Mix {
  const { alpha } = readOptions("cutMix", options, MIX);
  return {
    kind: "cutMix",
    check(shapes) {
      if (shapes.length === 1 && shapes[0].length === 3) return;
      throw new ModelError(
        `compile: mix: cutMix() is for models of one input [height, width, channels], got ${showValue(shapes.map(showShape))}: use mixUp()`,
      );
    },
    apply([x], random) {
      const [, height, width] = x.shape;
      const [share, down, right] = drawn(alpha, random);
      const side = sqrt(sub(1, share));
      const [rows, columns] = [
        { size: height, middle: down },
        { size: width, middle: right },
      ].map(({ size, middle }) => {
        const pixels = constant(
          Float32Array.from({ length: size }, (_, at) => (at + 0.5) / size),
          [size],
        );
        const half = scale(side, 0.5);
        return mul(greaterEqual(pixels, sub(middle, half)), less(pixels, add(middle, half)));
      });
      const inside = mul(reshape(rows, [1, height, 1, 1]), reshape(columns, [1, 1, width, 1]));
      const own = reshape(shift(scale(mean(inside), -1), 1), [1]);
      return { x: [where(inside, roll(x, 1, 0), x)], share: own };
    },
  };
}

/** Throws if it is not a Mix. */
export function checkMix(where: string, mix: unknown): Mix | undefined {
  const { kind, apply, check } = (mix ?? {}) as Partial<Mix>;
  if (mix === undefined || (typeof kind === "string" && typeof apply === "function" && typeof check === "function")) {
    return mix as Mix | undefined;
  }
  throw new ModelError(`${where}: mix must be mixUp() or cutMix(), got ${showValue(mix)}`);
}
