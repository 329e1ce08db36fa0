// Gradient descent: from (100, -10) to the bottom of a bowl, with numerical, hand-made and automatic gradients.
import { fileURLToPath } from "node:url";
import { type Descent, gradientDescent } from "steepest";
import { compileFunctionSync, constant, gradient, mul, square, sub, sum } from "steepest/graph";
import { report } from "./common/report.js";

const options = { learningRate: 0.01, steps: 1000 };
const start = [100, -10];

/** A bowl four times as steep along x1 as along x0, with its bottom at (2, 3). */
export const bowl = ([x0, x1]: ArrayLike<number> & Iterable<number>) => (x0 - 2) ** 2 + 4 * (x1 - 3) ** 2;

/** Its slope, worked out by hand. */
export const bowlSlope = ([x0, x1]: Float64Array) => [2 * (x0 - 2), 8 * (x1 - 3)];

/** The slope comes from finite differences: two values of the function for each variable. */
export function descendNumerically(): Descent {
  return gradientDescent(bowl, start, options);
}

/** The slope is given. */
export function descendByHand(): Descent {
  return gradientDescent(bowl, start, { ...options, gradient: bowlSlope });
}

/** The slope is derived by the library from the function, which is written with its operations. */
export function descendAutomatically(): Descent {
  using slope = compileFunctionSync(
    ({ x }) => {
      const value = sum(mul(constant([1, 4]), square(sub(x, constant([2, 3])))));
      return { dx: gradient(value, x) };
    },
    { x: [2] },
  );
  return gradientDescent(bowl, start, { ...options, gradient: (x) => slope({ x }).dx });
}

function main(): void {
  console.log("f(x0, x1) = (x0 - 2)² + 4(x1 - 3)², from (100, -10), rate 0.01: x ← x - 0.01 · slope of f at x\n");
  const byHand = descendByHand();
  console.log("  step            x0            x1                f");
  for (const step of [0, 1, 2, 5, 10, 50, 100, 200, 500, 1000]) {
    const [x0, x1] = byHand.path[step];
    const value = byHand.values[step].toPrecision(8);
    console.log(
      `${String(step).padStart(6)}${x0.toFixed(8).padStart(14)}${x1.toFixed(8).padStart(14)}${value.padStart(17)}`,
    );
  }
  console.log("\nWhere 1000 steps lead, by how the slope was found:\n");
  const ways = {
    "by hand": byHand,
    "numerical, central differences": descendNumerically(),
    "automatic, compiled, in float32": descendAutomatically(),
  };
  for (const [name, { x }] of Object.entries(ways)) {
    console.log(`  ${name.padEnd(34)}(${x[0].toFixed(8)}, ${x[1].toFixed(8)})`);
  }
  console.log(`
A step takes x0 closer by the factor 1 - 0.01 · 2 = 0.98, so 98 · 0.98^1000 = ${(98 * 0.98 ** 1000).toExponential(2)} are left: that is
the rate's doing, not the slope's. In float32 the numbers next to 2 are 2.4e-7 apart: closer the slope cannot see.`);
  report("gradientDescent", Math.max(...Object.values(ways).map(({ x }) => Math.hypot(x[0] - 2, x[1] - 3))));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
