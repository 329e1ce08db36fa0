// A gradient within a gradient: a critic that may not be steeper than 1 measures how far two clouds of points are apart
// (the Wasserstein distance, by the penalty of WGAN-GP). The exact distance is known here.
import { fileURLToPath } from "node:url";
import { adam, createWorkspaceSync, dense, relu, type Scope, sequential } from "steepest";
import {
  add,
  div,
  gradient,
  mean,
  mul,
  norm,
  randomNormal,
  randomUniform,
  scale,
  square,
  sub,
  sum,
  type Tensor,
} from "steepest/graph";
import { quick, report } from "./common/report.js";

export const INNER = 0.5;
export const OUTER = 1.5;
/**
 * Points on one circle, and on another around it. The cheapest way from the one to the other is straight outwards, so the
 * distance is the difference of the radii, and the best critic is |x|: nowhere steeper than 1, and 1 higher outside.
 */
export const EXACT = OUTER - INNER;

const BATCH = 256;
const PENALTY = 10;
/** A penalty gives way: a cone of slope s loses 10(s - 1)² - s, which is least at this s. */
export const BEST_SLOPE = 1 + EXACT / (2 * PENALTY);

/** New points of a circle at every step: a normal distribution looks the same in every direction. */
function circle(radius: number, { randomness }: Scope): Tensor {
  const points = randomNormal([BATCH, 2], randomness());
  return scale(div(points, norm(points, 1, { keepDims: true })), radius);
}

export function createCritic() {
  return sequential({ input: [2] }, dense(64), relu(), dense(64), relu(), dense(1));
}

export interface Measurement {
  /** What the critic makes of the distance, at the end of each tenth of the training. */
  readonly distances: readonly number[];
  /** Mean steepness of the critic between the circles, at the same times. */
  readonly slopes: readonly number[];
  /** The critic's height at each of these points, x and y one after another. */
  readonly heights: Float32Array;
}

export function measure(steps: number, seed: number, points: Float32Array): Measurement {
  using workspace = createWorkspaceSync({ seed });
  const critic = createCritic();
  /** How much higher the outer circle is on the whole, and how steep the critic is between the two. */
  const judge = (scope: Scope) => {
    const [inner, outer] = [circle(INNER, scope), circle(OUTER, scope)];
    const distance = sub(mean(scope.apply(outer, critic)), mean(scope.apply(inner, critic)));
    const share = randomUniform([BATCH, 1], scope.randomness());
    const between = add(inner, mul(share, sub(outer, inner)));
    // Each point's height depends on that point alone, so the sum over the batch has each point's own slope.
    const slopes = norm(gradient(sum(scope.apply(between, critic)), between), 1);
    return { distance, slopes };
  };
  // The loss contains a gradient; the optimizer needs the gradient of that.
  const train = workspace.step(
    (_, scope) => {
      const { distance, slopes } = judge(scope);
      const tooSteep = mean(square(sub(slopes, 1)));
      return { loss: sub(scale(tooSteep, PENALTY), distance) };
    },
    { inputs: {}, train: critic, optimizer: adam({ learningRate: 2e-3, beta1: 0.5, beta2: 0.9 }) },
  );
  const test = workspace.step(
    (_, scope) => {
      const { distance, slopes } = judge(scope);
      return { distance, slope: mean(slopes) };
    },
    { inputs: {} },
  );
  const look = workspace.step(({ at }, { apply }) => ({ heights: apply(at, critic) }), {
    inputs: { at: [points.length / 2, 2] },
  });
  const [distances, slopes]: [number[], number[]] = [[], []];
  for (let tenth = 1; tenth <= 10; tenth++) {
    for (let step = 0; step < steps / 10; step++) train({});
    const results = Array.from({ length: 20 }, () => test({}));
    const average = (key: "distance" | "slope") => results.reduce((total, result) => total + result[key][0] / 20, 0);
    distances.push(average("distance"));
    slopes.push(average("slope"));
  }
  return { distances, slopes, heights: look({ at: points }).heights };
}

const [COLUMNS, LINES, EXTENT] = [61, 25, 2];
const grid = Float32Array.from({ length: LINES * COLUMNS * 2 }, (_, i) => {
  const [line, column] = [Math.floor(i / 2 / COLUMNS), Math.floor(i / 2) % COLUMNS];
  return EXTENT * (i % 2 === 0 ? (2 * column) / (COLUMNS - 1) - 1 : 1 - (2 * line) / (LINES - 1));
});

/** A map of the critic: height above its lowest point, a digit for each 0.25. */
function drawHeights(heights: Float32Array): string {
  const lowest = Math.min(...heights);
  const lines = Array.from({ length: LINES }, (_, line) =>
    Array.from(heights.subarray(line * COLUMNS, (line + 1) * COLUMNS), (height, column) => {
      const [x, y] = grid.subarray(2 * (line * COLUMNS + column));
      const radius = Math.hypot(x, y);
      if (Math.min(Math.abs(radius - INNER), Math.abs(radius - OUTER)) < 0.05) return "█";
      return Math.min(Math.floor((height - lowest) * 4), 9);
    }).join(""),
  );
  return lines.map((line) => `  ${line}`).join("\n");
}

function main(): void {
  const steps = quick ? 1000 : 3000;
  console.log(
    `Two circles of radius ${INNER} and ${OUTER}; a critic 2-64-64-1 learns from ${BATCH} new points of each in every step\n`,
  );
  const { distances, slopes, heights } = measure(steps, 1, grid);
  console.log("  steps   higher outside by   mean slope between   higher / slope");
  distances.forEach((distance, i) => {
    const step = (((i + 1) * steps) / 10).toLocaleString("en-US");
    const numbers = `${distance.toFixed(4).padStart(20)}${slopes[i].toFixed(4).padStart(21)}`;
    console.log(`${step.padStart(7)}${numbers}${(distance / slopes[i]).toFixed(4).padStart(17)}`);
  });
  console.log(
    `   best${(EXACT * BEST_SLOPE).toFixed(4).padStart(20)}${BEST_SLOPE.toFixed(4).padStart(21)}${EXACT.toFixed(4).padStart(17)}\n`,
  );
  console.log(`The critic's height, a digit for each 0.25, and the circles █:\n\n${drawHeights(heights)}`);
  report("gradientPenalty", Math.abs((distances.at(-1) ?? Number.NaN) / (slopes.at(-1) ?? Number.NaN) - EXACT));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
