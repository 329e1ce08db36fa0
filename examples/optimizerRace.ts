// Optimizers race from the same start: along a ravine, off a saddle, and on MNIST. Each takes the best of its rates.
import { fileURLToPath } from "node:url";
import plot from "simple-ascii-chart";
import {
  adam,
  compileSync,
  constantValue,
  createEngineSync,
  createWorkspaceSync,
  crossEntropy,
  dense,
  type Optimizer,
  relu,
  rmsprop,
  sequential,
  sgd,
} from "steepest";
import { add, mul, parameter, square, sub, sum, type Tensor } from "steepest/graph";
import { type Digits, readDigits } from "./common/digits.js";
import { quick, report } from "./common/report.js";

/** The first character of a name is its mark in the pictures. */
export const RACERS: Record<string, (learningRate: number) => Optimizer> = {
  "o SGD": (learningRate) => sgd({ learningRate }),
  "M momentum": (learningRate) => sgd({ learningRate, momentum: 0.9 }),
  "R RMSprop": (learningRate) => rmsprop({ learningRate }),
  "A Adam": (learningRate) => adam({ learningRate }),
};
export const PLAIN = "o SGD";

/** Rates that each optimizer may choose from: a factor of about three apart. */
const RATES = [1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1];

export interface Course {
  readonly f: (x: Tensor, y: Tensor) => Tensor;
  readonly start: readonly [x: number, y: number];
  readonly steps: number;
}

/** (1 - x)² + 100 (y - x²)²: a bent ravine (Rosenbrock 1960), whose lowest point is (1, 1). */
export const RAVINE: Course = {
  f: (x, y) => add(square(sub(1, x)), mul(100, square(sub(y, square(x))))),
  start: [-1.2, 1],
  steps: 600,
};

/** x² - y² + y⁴/4: flat at (0, 0), down along y, and lowest at y = ±√2, with -1. It starts next to the ridge. */
export const SADDLE: Course = {
  f: (x, y) => add(sub(square(x), square(y)), mul(0.25, square(square(y)))),
  start: [1, 1e-4],
  steps: 150,
};

const engine = createEngineSync();

/** f before each step; shorter if it is no finite number any more. */
export function race({ f, start, steps }: Course, optimizer: Optimizer): number[] {
  using workspace = createWorkspaceSync({ engine });
  const [x, y] = start.map((value, i) => parameter([1], constantValue(value), "xy"[i]));
  const step = workspace.step(() => ({ loss: sum(f(x, y)) }), { inputs: {}, optimizer });
  const values: number[] = [];
  for (let i = 0; i < steps; i++) {
    const { loss } = step({});
    if (!Number.isFinite(loss[0]) || loss[0] > 1e6) break;
    values.push(loss[0]);
  }
  return values;
}

/** Loss of each batch of one pass over the digits. */
export function learnDigits(optimizer: Optimizer, digits: Digits, seed = 1): number[] {
  const images = digits.y.length;
  const model = sequential({ input: [784] }, dense(32), relu(), dense(10));
  using trainer = compileSync(model, { loss: crossEntropy(), optimizer, seed, engine });
  try {
    return [...trainer.trainStepsSync(digits, { steps: Math.floor(images / 32), batchSize: 32 })];
  } catch {
    return [];
  }
}

/** What a way is judged by: the mean of its last tenth; Infinity if it did not arrive. */
export function endOf(values: readonly number[], steps: number): number {
  if (values.length < steps) return Number.POSITIVE_INFINITY;
  const last = values.slice(-Math.ceil(steps / 10));
  return last.reduce((total, value) => total + value, 0) / last.length;
}

/** The first step at which f is below the bound; Infinity if there is none. */
export function arrival(values: readonly number[], bound: number): number {
  const step = values.findIndex((value) => value < bound);
  return step < 0 ? Number.POSITIVE_INFINITY : step;
}

export interface Result {
  readonly rate: number;
  /** What it is judged by: the less, the better. */
  readonly end: number;
  readonly values: readonly number[];
}

/** Each racer's best run. */
export function best(
  run: (optimizer: Optimizer) => number[],
  judge: (values: readonly number[]) => number,
): Record<string, Result> {
  const results = Object.entries(RACERS).map(([name, make]): [string, Result] => {
    const runs = RATES.map((rate): Result => {
      const values = run(make(rate));
      return { rate, end: judge(values), values };
    });
    return [name, runs.reduce((a, b) => (b.end < a.end ? b : a))];
  });
  return Object.fromEntries(results);
}

interface Picture {
  readonly title: string;
  readonly measure: string;
  /** The y axis shows powers of ten. */
  readonly log?: boolean;
}

function draw(results: Record<string, Result>, { title, measure, log = false }: Picture): void {
  const names = Object.keys(results);
  const most = Math.max(...Object.values(results).map(({ values }) => values.length)) - 1;
  let current = -1;
  const series = Object.values(results).map(({ values }) =>
    values.map((value, step): [number, number] => [step, log ? Math.log10(Math.max(value, 1e-8)) : value]),
  );
  const picture = plot(series, {
    width: 70,
    height: 14,
    customXAxisTicks: [0, Math.round(most / 4), Math.round(most / 2), Math.round((3 * most) / 4), most],
    title: `${title}:  ${names.join("   ")}`,
    formatter: (value, { axis }) => (log && axis === "y" ? `1e${Math.round(value)}` : Math.round(100 * value) / 100),
    // The library draws series after series, each from its point 0, but does not say which.
    lineFormatter({ plotX, plotY, index }) {
      if (index === 0) current += 1;
      return { x: plotX, y: plotY, symbol: names[current][0] };
    },
  });
  console.log(picture.replace(/^\n/, ""));
  for (const [name, { rate, end }] of Object.entries(results)) {
    console.log(
      `   ${name.slice(2).padEnd(9)} rate ${String(rate).padEnd(7)} ${measure} ${Number(end.toPrecision(4))}`,
    );
  }
  console.log();
}

/** How many racers are ahead of plain SGD. */
export function ahead(results: Record<string, Result>): number {
  const { [PLAIN]: plain, ...others } = results;
  return Object.values(others).filter(({ end }) => end < plain.end).length;
}

function main(): void {
  const images = quick ? 3200 : 16_000;
  const ravine = best(
    (optimizer) => race(RAVINE, optimizer),
    (values) => endOf(values, RAVINE.steps),
  );
  console.log(
    "1. A ravine. f = (1 - x)² + 100 (y - x²)² from (-1.2, 1): steep walls, and a long way that hardly falls\n",
  );
  draw(ravine, { title: "f by step", measure: "ends at", log: true });
  const saddle = best(
    (optimizer) => race(SADDLE, optimizer),
    (values) => arrival(values, -0.9),
  );
  console.log(
    "2. A saddle. f = x² - y² + y⁴/4 from (1, 0.0001): next to the ridge there is almost no slope to follow\n",
  );
  draw(saddle, { title: "f by step", measure: "is below -0.9 at step" });
  const steps = Math.floor(images / 32);
  const training = readDigits(images);
  const digits = best(
    (optimizer) => learnDigits(optimizer, training),
    (values) => endOf(values, steps),
  );
  console.log(`3. MNIST, ${images} images once, a net 784-32-10\n`);
  draw(digits, { title: "loss by step", measure: "ends at" });
  const races = [ravine, saddle, digits];
  console.log(`   Ahead of plain SGD: ${races.map(ahead).join(", ")} of the other 3 in the three races.`);
  report("optimizerRace", races.filter((results) => results["A Adam"].end < results[PLAIN].end).length);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
