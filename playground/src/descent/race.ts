// Optimizers that go down one landscape side by side: each trains its own two parameters, x and y, with the library's steps.
import {
  adagrad,
  adam,
  constantValue,
  createEngine,
  createWorkspace,
  type Engine,
  lion,
  type Optimizer,
  rmsprop,
  rprop,
  sgd,
} from "steepest";
import { add, cos, mul, parameter, square, sub, sum, type Tensor } from "steepest/graph";
import type { Arithmetic, Landscape } from "./landscapes.js";
import type { RacerName } from "./racers.js";

const OPTIMIZE: Record<RacerName, (learningRate: number) => Optimizer> = {
  sgd: (learningRate) => sgd({ learningRate }),
  momentum: (learningRate) => sgd({ learningRate, momentum: 0.9 }),
  nesterov: (learningRate) => sgd({ learningRate, momentum: 0.9, nesterov: true }),
  adagrad: (learningRate) => adagrad({ learningRate }),
  rmsprop: (learningRate) => rmsprop({ learningRate }),
  adam: (learningRate) => adam({ learningRate }),
  lion: (learningRate) => lion({ learningRate }),
  rprop: (learningRate) => rprop({ learningRate }),
};

const tensors: Arithmetic<Tensor | number> = {
  add: (a, b) => add(a, b),
  sub: (a, b) => sub(a, b),
  mul: (a, b) => mul(a, b),
  square: (a) => (typeof a === "number" ? a * a : square(a)),
  cos: (a) => (typeof a === "number" ? Math.cos(a) : cos(a)),
  constant: (value) => value,
};

export interface Racer {
  readonly name: RacerName;
  /** Points x, y one after another, from the start. */
  readonly trail: number[];
  /** The height at each of them. */
  readonly heights: number[];
  /** It has left for where there are no numbers any more, or is far from all that is shown. */
  readonly lost: boolean;
  step(): void;
  dispose(): void;
}

export const openEngine = (): Promise<Engine> => createEngine({ background: false });

export async function openRacer(
  name: RacerName,
  landscape: Landscape,
  { rate, start, engine }: { rate: number; start: readonly [number, number]; engine: Engine },
): Promise<Racer> {
  const workspace = await createWorkspace({ engine });
  const x = parameter([1], constantValue(start[0]), "x");
  const y = parameter([1], constantValue(start[1]), "y");
  const advance = workspace.step(
    () => ({ loss: sum(landscape.height<Tensor | number>(x, y, tensors) as Tensor), x: sum(x), y: sum(y) }),
    { inputs: {}, optimizer: OPTIMIZE[name](rate) },
  );
  const { left, right, bottom, top } = landscape.view;
  const far = 20 * Math.max(right - left, top - bottom);
  const trail: number[] = [];
  const heights: number[] = [];
  let lost = false;
  return {
    name,
    trail,
    heights,
    get lost() {
      return lost;
    },
    /** Notes where it is, and what the height is there, and makes a step from there. */
    step() {
      if (lost) return;
      const at = advance({});
      const [height, atX, atY] = [at.loss[0] as number, at.x[0] as number, at.y[0] as number];
      if (!Number.isFinite(height) || Math.abs(atX) > far || Math.abs(atY) > far) {
        lost = true;
        return;
      }
      trail.push(atX, atY);
      heights.push(height);
    },
    dispose: workspace.dispose,
  };
}
