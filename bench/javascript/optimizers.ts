// Steps of optimizers in plain JavaScript, after the papers named in src/optim: values in float32, calculated in float64.
import type { GradientKind } from "../workload.js";

/** What a step changes, and along what. */
export interface PlainBlock {
  readonly p: Float32Array;
  readonly g: Float32Array;
  /** What the optimizer keeps; zeros at first. */
  readonly slots: readonly Float32Array[];
}

/** A tensor's values within the block, and which step it is, from 1. */
interface StepOf {
  readonly from: number;
  readonly to: number;
  readonly rate: number;
  readonly t: number;
}

type Step = (block: PlainBlock, of: StepOf) => void;

/** Adam's step, with so much decoupled decay. */
function adam(decay: number): Step {
  return ({ p, g, slots: [m, v] }, { from, to, rate, t }) => {
    const [first, second] = [1 - 0.9 ** t, 1 - 0.999 ** t];
    for (let i = from; i < to; i++) {
      m[i] = 0.9 * m[i] + 0.1 * g[i];
      v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
      p[i] = p[i] * (1 - rate * decay) - (rate * (m[i] / first)) / (Math.sqrt(v[i] / second) + 1e-8);
    }
  };
}

const nadam: Step = ({ p, g, slots: [m, v] }, { from, to, rate, t }) => {
  const momentum = (step: number) => 0.9 * (1 - 0.5 * 0.96 ** (step * 0.004));
  let product = 1;
  for (let step = 1; step <= t; step++) product *= momentum(step);
  const along = (rate * (1 - momentum(t))) / (1 - product);
  const ahead = (rate * momentum(t + 1)) / (1 - product * momentum(t + 1));
  const second = 1 - 0.999 ** t;
  for (let i = from; i < to; i++) {
    m[i] = 0.9 * m[i] + 0.1 * g[i];
    v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
    p[i] -= (along * g[i] + ahead * m[i]) / (Math.sqrt(v[i] / second) + 1e-8);
  }
};

const radam: Step = ({ p, g, slots: [m, v] }, { from, to, rate, t }) => {
  const [first, second] = [1 - 0.9 ** t, 1 - 0.999 ** t];
  const longest = 2 / 0.001 - 1;
  const length = longest - (2 * t * 0.999 ** t) / second;
  const trusted = length > 5;
  const rectified = Math.sqrt(
    ((length - 4) * (length - 2) * longest) / ((longest - 4) * (longest - 2) * Math.max(length, 5)),
  );
  for (let i = from; i < to; i++) {
    m[i] = 0.9 * m[i] + 0.1 * g[i];
    v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
    const along = (rate * m[i]) / first;
    p[i] -= trusted ? (along * rectified * Math.sqrt(second)) / (Math.sqrt(v[i]) + 1e-8) : along;
  }
};

/** Directions stay in a slot until their norm is known. */
const lamb: Step = ({ p, g, slots: [m, v, direction] }, { from, to, rate, t }) => {
  const [first, second] = [1 - 0.9 ** t, 1 - 0.999 ** t];
  let [weights, steps] = [0, 0];
  for (let i = from; i < to; i++) {
    m[i] = 0.9 * m[i] + 0.1 * g[i];
    v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
    direction[i] = m[i] / first / (Math.sqrt(v[i] / second) + 1e-6);
    weights += p[i] * p[i];
    steps += direction[i] * direction[i];
  }
  const factor = rate * Math.sqrt(weights / steps);
  for (let i = from; i < to; i++) p[i] -= factor * direction[i];
};

const rprop: Step = ({ p, g, slots: [previous, step] }, { from, to, rate, t }) => {
  for (let i = from; i < to; i++) {
    const turn = g[i] * previous[i];
    const factor = turn > 0 ? 1.2 : turn < 0 ? 0.5 : 1;
    step[i] = t === 1 ? rate : Math.min(50, Math.max(1e-6, step[i] * factor));
    previous[i] = turn < 0 ? 0 : g[i];
    p[i] -= Math.sign(previous[i]) * step[i];
  }
};

export const plainSteps = {
  sgd({ p, g }, { from, to, rate }) {
    for (let i = from; i < to; i++) p[i] -= rate * g[i];
  },
  momentum({ p, g, slots: [v] }, { from, to, rate }) {
    for (let i = from; i < to; i++) {
      v[i] = 0.9 * v[i] + g[i];
      p[i] -= rate * v[i];
    }
  },
  adam: adam(0),
  adamW: adam(0.01),
  adamax({ p, g, slots: [m, u] }, { from, to, rate, t }) {
    const first = 1 - 0.9 ** t;
    for (let i = from; i < to; i++) {
      m[i] = 0.9 * m[i] + 0.1 * g[i];
      u[i] = Math.max(0.999 * u[i], Math.abs(g[i]) + 1e-8);
      p[i] -= ((rate / first) * m[i]) / u[i];
    }
  },
  nadam,
  radam,
  rmsprop({ p, g, slots: [v] }, { from, to, rate }) {
    for (let i = from; i < to; i++) {
      v[i] = 0.99 * v[i] + 0.01 * g[i] * g[i];
      p[i] -= (rate * g[i]) / (Math.sqrt(v[i]) + 1e-8);
    }
  },
  adagrad({ p, g, slots: [sum] }, { from, to, rate }) {
    for (let i = from; i < to; i++) {
      sum[i] += g[i] * g[i];
      p[i] -= (rate * g[i]) / (Math.sqrt(sum[i]) + 1e-10);
    }
  },
  adadelta({ p, g, slots: [v, u] }, { from, to, rate }) {
    for (let i = from; i < to; i++) {
      v[i] = 0.9 * v[i] + 0.1 * g[i] * g[i];
      const step = (Math.sqrt(u[i] + 1e-6) / Math.sqrt(v[i] + 1e-6)) * g[i];
      u[i] = 0.9 * u[i] + 0.1 * step * step;
      p[i] -= rate * step;
    }
  },
  rprop,
  lion({ p, g, slots: [m] }, { from, to, rate }) {
    for (let i = from; i < to; i++) {
      // A gradient that is as small counts as none: docs/optimizers.md. Only here it would make a step of the usual length.
      const along = Math.abs(g[i]) < 2 ** -96 ? 0 : g[i];
      p[i] -= rate * Math.sign(0.9 * m[i] + 0.1 * along);
      m[i] = 0.99 * m[i] + 0.01 * along;
    }
  },
  lamb,
} satisfies Record<string, Step>;

export type PlainOptimizer = keyof typeof plainSteps;

/** Values that every language has alike: products of uint32, of which a part is kept. */
const hash = (i: number, factor: number): number => Math.imul(i + 1, factor) >>> 0;

/** In [-0.1, 0.1). */
export function firstParameters(length: number): Float32Array {
  const p = new Float32Array(length);
  for (let i = 0; i < length; i++) p[i] = (hash(i, 2654435761) / 2 ** 32 - 0.5) * 0.2;
  return p;
}

/**
 * `usual`: of both signs, from 0.005 to 0.01. `tiny`: 1.2e-38 and 1e-20 in turns. Neither is denormal, but a tenth of the first is,
 * and a thousandth of the second's square.
 */
export function gradientsOf(kind: GradientKind, length: number): Float32Array {
  const g = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const bits = hash(i, 2246822519);
    const magnitude = kind === "usual" ? (0.5 + bits / 2 ** 33) * 0.01 : i % 2 === 0 ? 1.2e-38 : 1e-20;
    g[i] = bits & 65536 ? -magnitude : magnitude;
  }
  return g;
}

/** Scales g so that its norm is at most `bound`. */
export function clipPlain(g: Float32Array, bound: number): void {
  let squares = 0;
  for (let i = 0; i < g.length; i++) squares += g[i] * g[i];
  const norm = Math.sqrt(squares);
  if (norm <= bound) return;
  for (let i = 0; i < g.length; i++) g[i] *= bound / norm;
}
