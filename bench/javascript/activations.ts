// Activations in plain JavaScript, through Math. A loop each: V8 compiles it for its one formula.

export type Activation = "relu" | "sigmoid" | "tanh" | "softplus" | "silu" | "elu" | "gelu";

const GELU_SCALE = Math.sqrt(2 / Math.PI);

/** Formulas in float64: what the loops below, and steepest, are checked against. gelu is the tanh approximation. */
export const formulas: Record<Activation, (x: number) => number> = {
  relu: (x) => Math.max(x, 0),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  tanh: Math.tanh,
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  silu: (x) => x / (1 + Math.exp(-x)),
  elu: (x) => (x > 0 ? x : Math.expm1(x)),
  gelu: (x) => 0.5 * x * (1 + Math.tanh(GELU_SCALE * (x + 0.044715 * x * x * x))),
};

/** y = activation(x), element by element; y may be x. */
export const activate: Record<Activation, (y: Float32Array, x: Float32Array) => void> = {
  relu(y, x) {
    for (let i = 0; i < x.length; i++) {
      const value = x[i];
      y[i] = Math.max(value, 0);
    }
  },
  sigmoid(y, x) {
    for (let i = 0; i < x.length; i++) y[i] = 1 / (1 + Math.exp(-x[i]));
  },
  tanh(y, x) {
    for (let i = 0; i < x.length; i++) y[i] = Math.tanh(x[i]);
  },
  softplus(y, x) {
    for (let i = 0; i < x.length; i++) {
      const value = x[i];
      y[i] = value > 0 ? value + Math.log1p(Math.exp(-value)) : Math.log1p(Math.exp(value));
    }
  },
  silu(y, x) {
    for (let i = 0; i < x.length; i++) {
      const value = x[i];
      y[i] = value / (1 + Math.exp(-value));
    }
  },
  elu(y, x) {
    for (let i = 0; i < x.length; i++) {
      const value = x[i];
      y[i] = value > 0 ? value : Math.expm1(value);
    }
  },
  gelu(y, x) {
    for (let i = 0; i < x.length; i++) {
      const value = x[i];
      y[i] = 0.5 * value * (1 + Math.tanh(GELU_SCALE * (value + 0.044715 * value * value * value)));
    }
  },
};

/** Activations that a network's hidden layers can have. */
export type HiddenActivation = "relu" | "sigmoid" | "tanh";

/** dx = dy · activation'(x), from the activation's result y; dx is dy, overwritten. */
export const deactivate: Record<HiddenActivation, (dy: Float32Array, y: Float32Array) => void> = {
  relu(dy, y) {
    for (let i = 0; i < y.length; i++) if (y[i] <= 0) dy[i] = 0;
  },
  sigmoid(dy, y) {
    for (let i = 0; i < y.length; i++) {
      const value = y[i];
      dy[i] *= value * (1 - value);
    }
  },
  tanh(dy, y) {
    for (let i = 0; i < y.length; i++) {
      const value = y[i];
      dy[i] *= 1 - value * value;
    }
  },
};
