// The troubles of descent, each with a picture: steps too large and too small, local minima, plateaus, ravines.
import { fileURLToPath } from "node:url";
import plot from "simple-ascii-chart";
import {
  adam,
  binaryCrossEntropy,
  compileSync,
  type Descent,
  DivergenceError,
  dense,
  glorotUniform,
  gradientDescent,
  halfSquaredError,
  heUniform,
  type Initializer,
  type Layer,
  meanSquaredError,
  type Optimizer,
  relu as reluLayer,
  sequential,
  sgd,
  sigmoid as sigmoidLayer,
} from "steepest";
import {
  binaryCrossEntropyWithLogits,
  compileFunctionSync,
  gradient,
  matmul,
  parameter,
  relu,
  sigmoid,
  sqrt,
  square,
  sum,
  type Tensor,
} from "steepest/graph";
import { report } from "./common/report.js";

// ——— 1. Step size ———

/** f(x) = x², whose curvature is 2: descent multiplies x by 1 - 2 · rate in each step. */
export function descendParabola(rate: number, steps = 60): Descent {
  return gradientDescent(([x]) => x * x, [1], { learningRate: rate, steps, gradient: ([x]) => [2 * x] });
}

/** One period of a sine, for a net 1-16-1 to learn. */
const sine = (() => {
  const x = Array.from({ length: 32 }, (_, i) => (i - 15.5) / 8);
  return { x: x.map((value) => [value]), y: x.map((value) => Math.sin(1.5 * value)) };
})();

export interface SineRun {
  /** Loss of each step that was finite. */
  readonly losses: readonly number[];
  readonly error: DivergenceError | undefined;
}

/** Trains the net at this rate, until the steps are done or the loss is no finite number any more. */
export function learnSine(rate: number, steps = 60): SineRun {
  const model = sequential({ input: [1] }, dense(16, { weightInitializer: heUniform() }), reluLayer(), dense(1));
  using trainer = compileSync(model, { loss: meanSquaredError(), optimizer: sgd({ learningRate: rate }), seed: 1 });
  const losses: number[] = [];
  try {
    for (let step = 1; step <= steps; step++) losses.push(...trainer.trainStepsSync(sine, { steps: 1 }));
  } catch (error) {
    if (error instanceof DivergenceError) return { losses, error };
    throw error;
  }
  return { losses, error: undefined };
}

// ——— 2. Local minimum ———

/** Two valleys: a local minimum at x = 1.347, the global one at x = -1.473, and a hill between them at x = 0.126. */
export const twoValleys = (x: number) => x ** 4 - 4 * x ** 2 + x;

export function descendValleys(momentum: number, steps = 150): Descent {
  const slope = ([x]: Float64Array) => [4 * x ** 3 - 8 * x + 1];
  return gradientDescent(([x]) => twoValleys(x), [2.5], { learningRate: 0.01, steps, momentum, gradient: slope });
}

// ——— 3. Plateau ———

const DEPTH = 8;
const WIDTH = 16;

/** 64 points on a grid, 1 inside of a circle, 0 outside. */
export const circle = (() => {
  const x = Array.from({ length: 64 }, (_, i) => [((i % 8) - 3.5) / 3.5, (Math.floor(i / 8) - 3.5) / 3.5]);
  return { x, y: x.map(([a, b]): number => (a * a + b * b < 0.6 ? 1 : 0)) };
})();

/** Loss of the best answer that does not look at the point: the entropy of the share of ones. */
export const circleEntropy = (() => {
  const share = circle.y.reduce((total, y) => total + y, 0) / circle.y.length;
  return -share * Math.log(share) - (1 - share) * Math.log(1 - share);
})();

/** Norm of the loss's gradient with respect to each layer's weights, first layer first, before any training. */
export function gradientNorms(activation: (x: Tensor) => Tensor, initializer: Initializer, seed = 0): number[] {
  const weights = Array.from({ length: DEPTH }, (_, i) =>
    parameter([i === 0 ? 2 : WIDTH, i === DEPTH - 1 ? 1 : WIDTH], initializer, `layer ${i + 1}`),
  );
  const trace = ({ x, y }: { x: Tensor; y: Tensor }) => {
    const hidden = weights.slice(0, -1).reduce((h, weight) => activation(matmul(h, weight)), x);
    const loss = binaryCrossEntropyWithLogits(matmul(hidden, weights[DEPTH - 1]), y);
    const norms = gradient(loss, weights).map((slope) => sqrt(sum(square(slope))));
    return Object.fromEntries(norms.map((norm, i) => [weights[i].name, norm]));
  };
  using norms = compileFunctionSync(trace, { x: [64, 2], y: [64, 1] }, { seed });
  return Object.values(norms(circle)).map(([norm]) => norm);
}

/** Losses of training the deep net on the circle. */
export function learnCircle(activation: () => Layer, initializer: Initializer, steps = 400, seed = 0): Float32Array {
  const hidden = Array.from({ length: DEPTH - 1 }, () => [
    dense(WIDTH, { weightInitializer: initializer }),
    activation(),
  ]);
  const model = sequential({ input: [2] }, ...hidden.flat(), dense(1));
  using trainer = compileSync(model, { loss: binaryCrossEntropy(), optimizer: sgd({ learningRate: 0.1 }), seed });
  return trainer.trainStepsSync(circle, { steps });
}

// ——— 4. Ravine ———

/** ½(x0² + 50·x1²): a valley that is flat along x0, and has steep walls along x1. */
export const CURVATURE = 50;
export const ravine = ([x0, x1]: ArrayLike<number> & Iterable<number>) => (x0 * x0 + CURVATURE * x1 * x1) / 2;
export const ravineStart = [10, 1];
/** 2 / curvature: the walls throw x1 from one side to the other, neither higher nor lower. */
export const ravineRate = 2 / CURVATURE;

export interface Path {
  readonly path: readonly ArrayLike<number>[];
  readonly values: ArrayLike<number>;
}

export function descendRavine(
  options: { momentum?: number; learningRate?: number | ((step: number) => number) } = {},
  steps = 100,
): Path {
  const slope = ([x0, x1]: Float64Array) => [x0, CURVATURE * x1];
  return gradientDescent(ravine, ravineStart, { learningRate: ravineRate, steps, gradient: slope, ...options });
}

/** How often x1 went from one wall to the other. */
export function crossings({ path }: Path): number {
  return path.filter((point, i) => i > 0 && point[1] * path[i - 1][1] < 0).length;
}

/** A rate that gets smaller from step to step. */
export const decayingRate = (step: number) => ravineRate / (1 + step / 50);

/**
 * The same ravine as the loss of a neuron, so that any optimizer can go down it: with inputs (1, 0) and (0, √50)
 * and targets 0, half the squared error of x0·a + x1·b is the ravine. Badly scaled inputs make ravines.
 */
export function trainRavine(optimizer: Optimizer, steps = 100): Path {
  const model = sequential({ input: [2] }, dense(1, { bias: false, name: "neuron" }));
  using trainer = compileSync(model, { loss: halfSquaredError({ reduction: "sum" }), optimizer });
  trainer.setParameters(new Map([["neuron.weight", { data: ravineStart }]]));
  const data = {
    x: [
      [1, 0],
      [0, Math.sqrt(CURVATURE)],
    ],
    y: [0, 0],
  };
  const path: ArrayLike<number>[] = [ravineStart];
  for (let step = 1; step <= steps; step++) {
    trainer.trainStepsSync(data, { steps: 1 });
    path.push(trainer.parameters().get("neuron.weight")?.data ?? []);
  }
  return { path, values: path.map((x) => ravine(x as Float32Array)) };
}

// ——— Pictures ———

type Point = [x: number, y: number];

interface Axes {
  readonly x: number[];
  readonly y: number[];
  /** The y axis shows powers of ten. */
  readonly log?: boolean;
}

/** Points of several series in one picture; the first character of a series' name is its mark. */
function draw(title: string, series: Record<string, readonly Point[]>, { x, y, log = false }: Axes): void {
  const names = Object.keys(series);
  let current = -1;
  const picture = plot(
    Object.values(series).map((points) => [...points]),
    {
      width: 70,
      height: 16,
      title: `${title}:  ${names.join("   ")}`,
      yRange: [Math.min(...y), Math.max(...y)],
      customXAxisTicks: x,
      customYAxisTicks: y,
      formatter: (value, { axis }) => (log && axis === "y" ? `1e${value}` : value),
      // The library draws series after series, each from its point 0, but does not say which.
      lineFormatter({ plotX, plotY, index }) {
        if (index === 0) current += 1;
        return { x: plotX, y: plotY, symbol: names[current][0] };
      },
    },
  );
  console.log(picture.replace(/^\n/, ""));
}

const bySteps = (values: ArrayLike<number>): Point[] => Array.from(values, (value, step) => [step, value]);
const logBySteps = (values: ArrayLike<number>): Point[] =>
  bySteps(Array.from(values, (value) => Math.log10(Math.max(value, 1e-12))));

/** Each picture returns whether the remedy did what it is said to do. */
function showStepSize(): boolean {
  const [large, small, good] = [descendParabola(1.02), descendParabola(0.005), descendParabola(0.3)];
  console.log("1. The step. f(x) = x² from x = 1: too large it diverges, too small it crawls\n");
  draw(
    "f by step",
    {
      "+ rate 1.02": logBySteps(large.values),
      "o rate 0.005": logBySteps(small.values),
      "x rate 0.3": logBySteps(good.values),
    },
    { x: [0, 20, 40, 60], y: [-12, -8, -4, 0, 4], log: true },
  );
  for (const [rate, { value }] of Object.entries({ 1.02: large, 0.005: small, 0.3: good })) {
    console.log(`   rate ${rate.padEnd(5)} f is ${value.toExponential(2)} after 60 steps`);
  }
  console.log(
    "   A step multiplies x by 1 - 2 · rate. That must lie between -1 and 1: the rate must stay below 2 / curvature.\n",
  );
  const learnt = learnSine(0.1);
  const blown = learnSine(2);
  const losses = blown.losses.map((loss) => loss.toExponential(1));
  console.log("   A net 1-16-1 that learns a sine, by SGD:");
  console.log(
    `   rate 0.1: loss ${learnt.losses[0].toFixed(4)}, after ${learnt.losses.length} steps ${learnt.losses.at(-1)?.toFixed(4)}`,
  );
  console.log(`   rate 2:   losses ${losses.join(", ")}, then ${blown.error?.name}:`);
  // What happened, and what to do.
  console.log(`   "${blown.error?.message.replace(": call", ":\n   call")}"\n`);
  return good.value < 1e-9 && small.value > 0.1 && large.value > 1 && blown.error !== undefined;
}

function showLocalMinimum(): boolean {
  const plain = descendValleys(0);
  const heavy = descendValleys(0.9);
  const land = Array.from({ length: 71 }, (_, i): Point => [-2.2 + i * 0.066, twoValleys(-2.2 + i * 0.066)]);
  const end = ({ x, value }: Descent): Point[] => [[x[0], value]];
  const way = ({ path }: Descent) => bySteps(path.map(([x]) => x));
  console.log("2. The local minimum. f(x) = x⁴ - 4x² + x from x = 2.5, rate 0.01, 150 steps\n");
  draw(
    "where descent ends",
    { ". f": land, "o without momentum": end(plain), "M momentum 0.9": end(heavy) },
    { x: [-2, -1, 0, 1, 2], y: [-6, -3, 0, 3, 6] },
  );
  draw(
    "x by step",
    { "o without momentum": way(plain), "M momentum 0.9": way(heavy) },
    { x: [0, 50, 100, 150], y: [-2, -1, 0, 1, 2, 3] },
  );
  console.log(
    `   without momentum: x = ${plain.x[0].toFixed(4)}, f = ${plain.value.toFixed(4)}: held by the first valley it meets`,
  );
  console.log(
    `   momentum 0.9:     x = ${heavy.x[0].toFixed(4)}, f = ${heavy.value.toFixed(4)}: it rolls over the hill into the deeper one\n`,
  );
  return plain.x[0] > 0 && heavy.x[0] < 0;
}

function showPlateau(): boolean {
  const norms = { sigmoid: gradientNorms(sigmoid, glorotUniform()), ReLU: gradientNorms(relu, heUniform()) };
  console.log(
    `3. The plateau. A net of ${DEPTH} layers: the slope of a sigmoid is 1/4 at most, and each layer back multiplies by one more\n`,
  );
  const byLayer = (values: readonly number[]) => values.map((norm, i): Point => [i + 1, Math.log10(norm)]);
  draw(
    "norm of the gradient by layer",
    { "S sigmoid": byLayer(norms.sigmoid), "R ReLU": byLayer(norms.ReLU) },
    { x: [1, 2, 3, 4, 5, 6, 7, 8], y: [-8, -6, -4, -2, 0], log: true },
  );
  for (const [name, values] of Object.entries(norms)) {
    const [first, last] = [values[0], values[DEPTH - 1]];
    console.log(
      `   ${name.padEnd(8)} first layer ${first.toExponential(1)}, last layer ${last.toExponential(1)}: ${(last / first).toPrecision(2)} times as large`,
    );
  }
  const losses = { sigmoid: learnCircle(sigmoidLayer, glorotUniform()), ReLU: learnCircle(reluLayer, heUniform()) };
  console.log();
  draw(
    "loss by step, SGD at rate 0.1",
    { "S sigmoid": bySteps(losses.sigmoid), "R ReLU": bySteps(losses.ReLU) },
    { x: [0, 100, 200, 300, 399], y: [0, 0.2, 0.4, 0.6, 0.8] },
  );
  const [stuck, learnt] = [losses.sigmoid, losses.ReLU].map((values) => values[values.length - 1]);
  console.log(
    `   after 400 steps: ReLU ${learnt.toFixed(4)}; sigmoid ${stuck.toFixed(4)}, no better than the share of ones alone, ${circleEntropy.toFixed(4)}\n`,
  );
  return learnt < circleEntropy / 2 && stuck > 0.9 * circleEntropy;
}

function showRavine(): boolean {
  const runs = {
    plain: descendRavine(),
    decay: descendRavine({ learningRate: decayingRate }),
    momentum: descendRavine({ momentum: 0.6 }),
    adam: trainRavine(adam({ learningRate: 0.5 })),
  };
  console.log("4. The ravine. f = ½(x0² + 50·x1²) from (10, 1), rate 0.04 = 2 / curvature\n");
  const plane = ({ path }: Path): Point[] => path.map((point) => [point[0], point[1]]);
  draw(
    "x1 over x0, from the right to the left",
    { "o plain": plane(runs.plain), "M momentum 0.6": plane(runs.momentum) },
    { x: [0, 2, 4, 6, 8, 10], y: [-1, -0.5, 0, 0.5, 1] },
  );
  const [o, d, M, A] = [runs.plain, runs.decay, runs.momentum, runs.adam].map(({ values }) => logBySteps(values));
  draw(
    "f by step",
    { "o plain": o, "d decay": d, "M momentum 0.6": M, "A Adam 0.5": A },
    { x: [0, 20, 40, 60, 80, 100], y: [-12, -9, -6, -3, 0, 3], log: true },
  );
  for (const [name, run] of Object.entries(runs)) {
    console.log(
      `   ${name.padEnd(9)} f is ${run.values[100].toExponential(2)} after 100 steps, in which x1 crossed the valley ${crossings(run)} times`,
    );
  }
  console.log(`   Plain, x1 is thrown from wall to wall for ever. A decaying rate ends that, but slows the way along as well;
   momentum brakes the to and fro and adds up the way along; Adam gives each coordinate a step size of its own.
   Here the ravine comes from inputs of different scale: to scale them alike removes it.`);
  const { plain, ...remedies } = runs;
  return Object.values(remedies).every(({ values }) => values[100] < plain.values[100] / 10);
}

function main(): void {
  const ended = [showStepSize(), showLocalMinimum(), showPlateau(), showRavine()];
  report("descentTroubles", ended.filter(Boolean).length);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
