// A generative adversarial network (Goodfellow et al. 2014): one network makes points, another tells them from real ones,
// and each has an optimizer of its own, in turn.
import { fileURLToPath } from "node:url";
import { adam, createWorkspaceSync, dense, leakyRelu, relu, type Scope, sequential } from "steepest";
import { add, constant, mean, neg, randomNormal, softplus } from "steepest/graph";
import { drawPoints } from "./common/pictures.js";
import { quick, report } from "./common/report.js";

export const BATCH = 256;
const NOISE = 8;
export const SPREAD = 0.15;
const DIAGONAL = 2 * Math.SQRT1_2;

/** Eight heaps of points on a circle of radius 2. A generator likes to make but a few of them: mode collapse. */
export const CENTRES = [
  [2, 0],
  [DIAGONAL, DIAGONAL],
  [0, 2],
  [-DIAGONAL, DIAGONAL],
  [-2, 0],
  [-DIAGONAL, -DIAGONAL],
  [0, -2],
  [DIAGONAL, -DIAGONAL],
];

const centresOfBatch = Float32Array.from({ length: BATCH * 2 }, (_, i) => CENTRES[Math.floor(i / 2) % 8][i % 2]);

/** How well points stand for the eight heaps. */
export interface Coverage {
  /** Share of the points within three standard deviations of the heap that has fewest. Of real ones it is 0.124. */
  readonly least: number;
  /** Share of the points that lie so near to any heap. Of real ones it is 0.989. */
  readonly near: number;
}

export function coverageOf(points: Float32Array): Coverage {
  const counts = new Array<number>(8).fill(0);
  for (let i = 0; i < points.length; i += 2) {
    const distances = CENTRES.map(([x, y]) => Math.hypot(points[i] - x, points[i + 1] - y));
    const nearest = distances.indexOf(Math.min(...distances));
    if (distances[nearest] < 3 * SPREAD) counts[nearest] += 1;
  }
  const total = points.length / 2;
  return {
    least: Math.min(...counts) / total,
    near: counts.reduce((sum, count) => sum + count, 0) / total,
  };
}

export function createGan(seed: number) {
  const workspace = createWorkspaceSync({ seed });
  const generator = sequential({ input: [NOISE] }, dense(64), relu(), dense(64), relu(), dense(2));
  /** The logit that a point is real. */
  const critic = sequential(
    { input: [2] },
    dense(64),
    leakyRelu({ negativeSlope: 0.2 }),
    dense(64),
    leakyRelu({ negativeSlope: 0.2 }),
    dense(1),
  );
  const make = ({ apply, randomness }: Scope) => apply(randomNormal([BATCH, NOISE], randomness()), generator);
  const draw = ({ randomness }: Scope) =>
    add(constant(centresOfBatch, [BATCH, 2]), randomNormal([BATCH, 2], { ...randomness(), standardDeviation: SPREAD }));
  const optimizer = () => adam({ learningRate: 1e-3, beta1: 0.5 });
  return {
    generator,
    critic,
    /** Real points up, made ones down: -log p(real) - log(1 - p(made)). Only the critic is changed. */
    learnToTell: workspace.step(
      (_, scope) => {
        const [real, made] = [scope.apply(draw(scope), critic), scope.apply(make(scope), critic)];
        return { loss: add(mean(softplus(neg(real))), mean(softplus(made))) };
      },
      { inputs: {}, train: critic, optimizer: optimizer() },
    ),
    /** Made points are to pass for real: -log p(made). The gradient comes through the critic; only the generator is changed. */
    learnToMake: workspace.step((_, scope) => ({ loss: mean(softplus(neg(scope.apply(make(scope), critic)))) }), {
      inputs: {},
      train: generator,
      optimizer: optimizer(),
    }),
    show: workspace.step((_, scope) => ({ real: draw(scope), made: make(scope) }), { inputs: {} }),
    dispose: workspace.dispose,
    [Symbol.dispose]: workspace.dispose,
  };
}

/** New points, `batches` × 256 of each kind. */
export function showPoints({ show }: ReturnType<typeof createGan>, batches: number) {
  const shown = Array.from({ length: batches }, () => show({}));
  const join = (key: "real" | "made") => Float32Array.from(shown.flatMap((points) => [...points[key]]));
  return { real: join("real"), made: join("made") };
}

function main(): void {
  const steps = quick ? 2000 : 8000;
  using gan = createGan(4);
  console.log(`   steps   loss of the critic   of the generator   least heap, of 12.5 %   all heaps`);
  for (let step = 1; step <= steps; step++) {
    const [told] = gan.learnToTell({}).loss;
    const [made] = gan.learnToMake({}).loss;
    if (step % (steps / 10) !== 0) continue;
    const { least, near } = coverageOf(showPoints(gan, 8).made);
    const losses = `${told.toFixed(3).padStart(21)}${made.toFixed(3).padStart(19)}`;
    const shares = `${(100 * least).toFixed(1).padStart(21)} %${(100 * near).toFixed(1).padStart(10)} %`;
    console.log(`${step.toLocaleString("en-US").padStart(8)}${losses}${shares}`);
  }
  console.log(
    `\nNeither can win: where made points are like real ones, the critic's loss is 2 ln 2 = ${(2 * Math.LN2).toFixed(3)}, the other's ${Math.LN2.toFixed(3)}.\n`,
  );
  const { real, made } = showPoints(gan, 4);
  console.log(drawPoints({ "· real": real, "o made": made }, 2.8));
  report("gan", 100 * coverageOf(showPoints(gan, 16).made).least);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
