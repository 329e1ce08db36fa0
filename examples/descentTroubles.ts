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
  square,
  squareRoot,
  sum,
  type Tensor,
} from "steepest/graph";

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
const circle = (() => {
  const x = Array.from({ length: 64 }, (_, i) => [((i % 8) - 3.5) / 3.5, (Math.floor(i / 8) - 3.5) / 3.5]);
  return { x, y: x.map(([a, b]) => (a * a + b * b < 0.6 ? 1 : 0)) };
})();

/** Norm of the loss's gradient with respect to each layer's weights, first layer first, before any training. */
export function gradientNorms(activation: (x: Tensor) => Tensor, initializer: Initializer, seed = 0): number[] {
  const weights = Array.from({ length: DEPTH }, (_, i) =>
    parameter([i === 0 ? 2 : WIDTH, i === DEPTH - 1 ? 1 : WIDTH], initializer, `layer ${i + 1}`),
  );
  const trace = ({ x, y }: { x: Tensor; y: Tensor }) => {
    const [last, ...before] = weights.toReversed();
    const hidden = before.reverse().reduce((h, weight) => activation(matmul(h, weight)), x);
    const loss = binaryCrossEntropyWithLogits(matmul(hidden, last), y);
    const norms = gradient(loss, weights).map((slope) => squareRoot(sum(square(slope))));
    return Object.fromEntries(norms.map((norm, i) => [weights[i].name, norm]));
  };
  using norms = compileFunctionSync(trace, { x: [64, 2], y: [64, 1] }, { seed });
  return Object.values(norms(circle)).map(([norm]) => norm);
}

/** Losses of training the deep net on the circle. */
export function learnCircle(activation: () => Layer, initializer: Initializer, steps = 400, seed = 0): Float32Array {
  const hidden = Array.from({ length: DEPTH - 1 }, () => [dense(WIDTH, { weightInitializer: initializer }), activation()]);
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

export function descendRavine(options: { momentum?: number; learningRate?: number | ((step: number) => number) } = {}, steps = 100): Path {
  const slope = ([x0, x1]: Float64Array) => [x0, CURVATURE * x1];
  return gradientDescent(ravine, ravineStart, { learningRate: ravineRate, steps, gradient: slope, ...options });
}

/** A rate that gets smaller from step to step. */
export const decayingRate = (step: number) => ravineRate / (1 + step / 50);

/**
 * The same ravine as the loss of a neuron, so that any optimizer can go down it: with inputs (1, 0) and (0, √50)
 * and targets 0, half the squared error of x0·a + x1·b is the ravine. Badly scaled inputs make ravines.
 */
export function trainRavine(optimizer: ReturnType<typeof adam>, steps = 100): Path {
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
const MARKS = ["o", "+", "x", "*", "."];

/** Points of several series in one picture, each series with a mark of its own. */
function draw(title: string, series: Record<string, readonly Point[]>, axes: { x: number[]; y: number[]; labels?: [string, string]; log?: boolean }): void {
  const lines = Object.values(series).map((points) => [...points]);
  const names = Object.keys(series).map((name, i) => `${MARKS[i]} ${name}`);
  const picture = plot(lines, {
    width: 76,
    height: 16,
    title: `${title}\n   ${names.join("    ")}`,
    yRange: [Math.min(...axes.y), Math.max(...axes.y)],
    customXAxisTicks: axes.x,
    customYAxisTicks: axes.y,
    formatter: (value, { axis }) => (axes.log && axis === "y" ? `1e${value}` : value),
    lineFormatter: ({ plotX, plotY, input }) => ({ x: plotX, y: plotY, symbol: MARKS[lines.indexOf(input)] }),
  });
  console.log(picture);
}

const bySteps = (values: ArrayLike<number>): Point[] => Array.from(values, (value, step) => [step, value]);
const logBySteps = (values: ArrayLike<number>): Point[] => bySteps(Array.from(values, (value) => Math.log10(Math.max(value, 1e-12))));

function showStepSize(): void {
  const runs = { "rate 1.02": descendParabola(1.02), "rate 0.005": descendParabola(0.005), "rate 0.3": descendParabola(0.3) };
  console.log("1. The step. f(x) = x² from x = 1: too large it diverges, too small it crawls\n");
  const lines = Object.fromEntries(Object.entries(runs).map(([name, { values }]) => [name, logBySteps(values)]));
  draw("f by step", lines, { x: [0, 20, 40, 60], y: [-12, -8, -4, 0, 4], log: true });
  for (const [name, { value }] of Object.entries(runs)) console.log(`   ${name}: f is ${value.toExponential(2)} after 60 steps`);
  console.log("   Each step multiplies x by 1 - 2 · rate, which must lie between -1 and 1: the rate must stay below 2 / curvature.\n");
  const small = learnSine(0.1);
  const large = learnSine(2);
  console.log("   A net 1-16-1 that learns a sine, by SGD:");
  console.log(`   rate 0.1: loss ${small.losses[0].toFixed(4)}, after ${small.losses.length} steps ${small.losses.at(-1)?.toFixed(4)}`);
  console.log(`   rate 2:   losses ${large.losses.slice(0, 5).map((loss) => loss.toExponential(1)).join(", ")}, … then the library stops:`);
  console.log(`   ${large.error?.name}: ${large.error?.message}\n`);
}

function showLocalMinimum(): void {
  const plain = descendValleys(0);
  const heavy = descendValleys(0.9);
  const land = Array.from({ length: 76 }, (_, i): Point => [-2.2 + i * 0.064, twoValleys(-2.2 + i * 0.064)]);
  const stays = ({ x, value }: Descent): Point[] => [[x[0], value]];
  console.log("2. The local minimum. f(x) = x⁴ - 4x² + x from x = 2.5, rate 0.01, 150 steps\n");
  draw(
    "f, and where descent ends",
    { "without momentum": stays(plain), "momentum 0.9": stays(heavy), f: land },
    { x: [-2, -1, 0, 1, 2], y: [-6, -3, 0, 3, 6] },
  );
  draw("x by step", { "without momentum": bySteps(plain.path.map(([x]) => x)), "momentum 0.9": bySteps(heavy.path.map(([x]) => x)) }, { x: [0, 50, 100, 150], y: [-2, -1, 0, 1, 2, 3] });
  console.log(`   without momentum: x = ${plain.x[0].toFixed(4)}, f = ${plain.value.toFixed(4)}: held by the first valley it meets`);
  console.log(`   momentum 0.9:     x = ${heavy.x[0].toFixed(4)}, f = ${heavy.value.toFixed(4)}: it rolls over the hill into the deeper one\n`);
}

function showPlateau(): void {
  const norms = { sigmoid: gradientNorms(sigmoid, glorotUniform()), ReLU: gradientNorms(relu, heUniform()) };
  console.log(`3. The plateau. Gradients in a net of ${DEPTH} layers: back through a sigmoid they shrink to a quarter or less\n`);
  const lines = Object.fromEntries(Object.entries(norms).map(([name, values]) => [name, values.map((v, i): Point => [i + 1, Math.log10(v)])]));
  draw("norm of the gradient by layer", lines, { x: [1, 2, 3, 4, 5, 6, 7, 8], y: [-6, -5, -4, -3, -2, -1, 0], log: true });
  for (const [name, [first, ...rest]] of Object.entries(norms)) {
    const last = rest.at(-1) as number;
    console.log(`   ${name.padEnd(8)} first layer ${first.toExponential(1)}, last ${last.toExponential(1)}: the last learns ${(last / first).toPrecision(2)} times as fast`);
  }
  const losses = { sigmoid: learnCircle(sigmoidLayer, glorotUniform()), ReLU: learnCircle(reluLayer, heUniform()) };
  console.log();
  draw("loss by step, SGD at rate 0.1", { sigmoid: bySteps(losses.sigmoid), ReLU: bySteps(losses.ReLU) }, { x: [0, 100, 200, 300, 400], y: [0, 0.2, 0.4, 0.6, 0.8] });
  console.log(`   after 400 steps: sigmoid ${losses.sigmoid.at(-1)?.toFixed(4)}, ReLU ${losses.ReLU.at(-1)?.toFixed(4)}\n`);
}

/** How often x1 went from one wall to the other. */
export function crossings({ path }: Path): number {
  return path.filter((point, i) => i > 0 && point[1] * path[i - 1][1] < 0).length;
}

function showRavine(): void {
  const runs: Record<string, Path> = {
    plain: descendRavine(),
    decay: descendRavine({ learningRate: decayingRate }),
    "momentum 0.6": descendRavine({ momentum: 0.6 }),
    "Adam 0.5": trainRavine(adam({ learningRate: 0.5 })),
  };
  console.log("4. The ravine. f = ½(x0² + 50·x1²) from (10, 1), rate 0.04\n");
  const plane = ({ path }: Path): Point[] => path.map((point) => [point[0], point[1]]);
  draw("x1 over x0: the way down", { plain: plane(runs.plain), "momentum 0.6": plane(runs["momentum 0.6"]) }, { x: [0, 2, 4, 6, 8, 10], y: [-1, -0.5, 0, 0.5, 1] });
  const lines = Object.fromEntries(Object.entries(runs).map(([name, { values }]) => [name, logBySteps(values)]));
  draw("f by step", lines, { x: [0, 20, 40, 60, 80, 100], y: [-12, -9, -6, -3, 0, 3], log: true });
  for (const [name, run] of Object.entries(runs)) {
    console.log(`   ${name.padEnd(13)} f is ${run.values[100].toExponential(2)} after 100 steps; x1 crossed the valley ${crossings(run)} times`);
  }
  console.log(`   Momentum averages the to and fro away and adds up the way along; Adam gives each coordinate a step of its own;
   a decaying rate ends the bouncing, but also slows the way along. Scaling the inputs would have removed the ravine.`);
}

function main(): void {
  showStepSize();
  showLocalMinimum();
  showPlateau();
  showRavine();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
