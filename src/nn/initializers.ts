// Initial values of parameters. All numbers are made inside wasm, from the seed and the parameter's stream number
// alone: the same on every machine, for every number of threads, whatever other parameters there are.
import { made } from "../engine/copies.js";
import { checkNone, checkNumber, LARGEST_FLOAT32, ModelError } from "../engine/errors.js";
import { elements, serial } from "../engine/instructions.js";
import { number, type OptionsOf, readOptions } from "../engine/options.js";
import { type Initializer, type Shape, showShape, sizeOf } from "../graph/tensor.js";

/** Inputs and outputs that one weight's unit is connected with. */
interface Fans {
  readonly fanIn: number;
  readonly fanOut: number;
}

/** `[in, out]`, or a convolution's `[...window, in, out]`, whose window multiplies both (the rule of Keras). */
function fansOf(name: string, shape: Shape): Fans {
  if (shape.length < 2) {
    throw new ModelError(
      `${name}: the shape must be [in, out] or [...window, in, out], got ${showShape(shape)}: use zeros, ones or normal()`,
    );
  }
  const window = sizeOf(shape.slice(0, -2));
  const [inputs, outputs] = shape.slice(-2);
  return { fanIn: window * inputs, fanOut: window * outputs };
}

/** Uniform numbers in [-limit, limit], the limit chosen so that their variance is `varianceOf` the fans. */
function scaledUniform(name: string, varianceOf: (fans: Fans) => number): Initializer {
  return made({
    name,
    record(recorder, address, shape, { seed, stream }) {
      const n = sizeOf(shape);
      const limit = Math.sqrt(3 * varianceOf(fansOf(name, shape)));
      recorder.initializeUniform(elements(n, COST_OF_RANDOM), address, n, -limit, limit, ...seed, stream);
    },
  });
}

/** Normal numbers of mean 0, not truncated, of variance `varianceOf` the fans. */
function scaledNormal(name: string, varianceOf: (fans: Fans) => number): Initializer {
  return made({
    name,
    record(recorder, address, shape, { seed, stream }) {
      const n = sizeOf(shape);
      const deviation = Math.sqrt(varianceOf(fansOf(name, shape)));
      recorder.initializeNormal(elements(n, COST_OF_RANDOM), address, n, 0, deviation, ...seed, stream);
    },
  });
}

const COST_OF_RANDOM = 16;

function filled(name: string, value: number, options: readonly unknown[] = []): Initializer {
  return made({
    name,
    options,
    record(recorder, address, shape) {
      const n = sizeOf(shape);
      recorder.initializeConstant(elements(n), address, n, value);
    },
  });
}

/** All 0: what biases start with. */
export function zeros(...none: []): Initializer {
  checkNone("zeros", none);
  return filled("zeros", 0);
}

/** All 1: what the scale of a normalisation starts with. */
export function ones(...none: []): Initializer {
  checkNone("ones", none);
  return filled("ones", 1);
}

/** All `value`. Throws ModelError unless it is a finite float32. */
export function constantValue(value: number): Initializer {
  return filled(
    "constantValue",
    checkNumber("constantValue", "value", value, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY),
    [value],
  );
}

interface UniformOptions {
  low?: number;
  high?: number;
}

const UNIFORM = { low: number(-0.05), high: number(0.05) } satisfies OptionsOf<UniformOptions>;

/** Uniform numbers between `low` (default -0.05) and `high` (default 0.05). Throws ModelError unless low < high. */
export function uniform(options: UniformOptions = {}): Initializer {
  const { low, high } = readOptions("uniform", options, UNIFORM);
  if (!(low < high) || high - low > LARGEST_FLOAT32) {
    throw new ModelError(`uniform: low must be less than high by a finite float32, got low ${low} and high ${high}`);
  }
  return made({
    name: "uniform",
    options: [options],
    record(recorder, address, shape, { seed, stream }) {
      const n = sizeOf(shape);
      recorder.initializeUniform(elements(n, COST_OF_RANDOM), address, n, low, high, ...seed, stream);
    },
  });
}

interface NormalOptions {
  mean?: number;
  standardDeviation?: number;
}

const NORMAL = {
  mean: number(0),
  standardDeviation: number(0.05, { min: 0 }),
} satisfies OptionsOf<NormalOptions>;

/** Normal numbers of `mean` (default 0) and `standardDeviation` (default 0.05), not truncated. */
export function normal(options: NormalOptions = {}): Initializer {
  const { mean, standardDeviation } = readOptions("normal", options, NORMAL);
  return made({
    name: "normal",
    options: [options],
    record(recorder, address, shape, { seed, stream }) {
      const n = sizeOf(shape);
      recorder.initializeNormal(elements(n, COST_OF_RANDOM), address, n, mean, standardDeviation, ...seed, stream);
    },
  });
}

/** Uniform, variance 2 / (fanIn + fanOut): for tanh, sigmoid and linear layers. Glorot & Bengio 2010, equation 16. */
export function glorotUniform(...none: []): Initializer {
  checkNone("glorotUniform", none);
  return scaledUniform("glorotUniform", ({ fanIn, fanOut }) => 2 / (fanIn + fanOut));
}

/** Normal, variance 2 / (fanIn + fanOut). Glorot & Bengio 2010, equation 12. */
export function glorotNormal(...none: []): Initializer {
  checkNone("glorotNormal", none);
  return scaledNormal("glorotNormal", ({ fanIn, fanOut }) => 2 / (fanIn + fanOut));
}

/** Uniform, variance 2 / fanIn: for ReLU layers. He et al. 2015, equation 10. */
export function heUniform(...none: []): Initializer {
  checkNone("heUniform", none);
  return scaledUniform("heUniform", ({ fanIn }) => 2 / fanIn);
}

/** Normal, variance 2 / fanIn: for ReLU layers. He et al. 2015, equation 10. */
export function heNormal(...none: []): Initializer {
  checkNone("heNormal", none);
  return scaledNormal("heNormal", ({ fanIn }) => 2 / fanIn);
}

/** Uniform, variance 1 / fanIn: for SELU layers. LeCun et al. 1998, "Efficient BackProp", equation 16. */
export function lecunUniform(...none: []): Initializer {
  checkNone("lecunUniform", none);
  return scaledUniform("lecunUniform", ({ fanIn }) => 1 / fanIn);
}

/** Normal, variance 1 / fanIn: for SELU layers. LeCun et al. 1998, "Efficient BackProp", equation 16. */
export function lecunNormal(...none: []): Initializer {
  checkNone("lecunNormal", none);
  return scaledNormal("lecunNormal", ({ fanIn }) => 1 / fanIn);
}

interface OrthogonalOptions {
  gain?: number;
}

const ORTHOGONAL = { gain: number(1) } satisfies OptionsOf<OrthogonalOptions>;

/**
 * An orthogonal matrix times `gain` (default 1), uniform among all of them: columns of length `gain` at right angles,
 * or rows where they are fewer. A shape `[...window, in, out]` is taken as the matrix `[window · in, out]`.
 * For the recurrent weights of a network. Saxe et al. 2014; signs after Mezzadri 2007.
 *
 * @throws ModelError where the gain is no finite float32, or the shape has fewer than two axes.
 */
export function orthogonal(options: OrthogonalOptions = {}): Initializer {
  const { gain } = readOptions("orthogonal", options, ORTHOGONAL);
  return made({
    name: "orthogonal",
    options: [options],
    record(recorder, address, shape, { seed, stream }) {
      if (shape.length < 2) {
        throw new ModelError(`orthogonal: the shape must have two axes or more, got ${showShape(shape)}`);
      }
      const n = sizeOf(shape);
      const columns = shape[shape.length - 1];
      recorder.initializeNormal(elements(n, COST_OF_RANDOM), address, n, 0, 1, ...seed, stream);
      recorder.orthogonalize(serial, address, n / columns, columns, gain);
    },
  });
}
