import { expect, test } from "vitest";
import { advantagesOf, hasFallen, learn, push, returnsOf, type State } from "../../examples/policyGradient.js";

// The equations of motion as published (Florian 2007, without friction), with Math.sin and Math.cos.
function pushExactly([x, v, angle, w]: State, right: boolean): number[] {
  const [g, m, total, l, dt] = [9.8, 0.1, 1.1, 0.5, 0.02];
  const temp = ((right ? 10 : -10) + m * l * w * w * Math.sin(angle)) / total;
  const dw = (g * Math.sin(angle) - Math.cos(angle) * temp) / (l * (4 / 3 - (m * Math.cos(angle) ** 2) / total));
  const dv = temp - (m * l * dw * Math.cos(angle)) / total;
  return [x + dt * v, v + dt * dv, angle + dt * w, w + dt * dw];
}

test("a push is that of the equations, with sine and cosine by their series", () => {
  let state: State = [0.1, -0.2, 0.05, 0.3];
  for (let step = 0; !hasFallen(state); step++) {
    const right = step % 3 === 0;
    const next = push(state, right);
    pushExactly(state, right).forEach((value, i) => {
      expect(Math.abs(next[i] - value)).toBeLessThan(1e-7);
    });
    state = next;
  }
});

test("returns and advantages, by hand", () => {
  const [long, short] = [3, 1].map((length) => ({ states: [], pushes: new Array<boolean>(length).fill(true) }));
  const returns = [long, short].map(returnsOf);
  expect(returns).toEqual([[1 + 0.99 * (1 + 0.99), 1.99, 1], [1]]);
  const half = (returns[0][0] - 1) / 2;
  advantagesOf(returns)
    .flat()
    .forEach((value, i) => {
      expect(value).toBeCloseTo([half, 0, 0, -half][i], 12);
    });
});

test("episodes get longer, and the same seed plays the same", () => {
  const { lengths } = learn(15, 2);
  expect(lengths[14]).toBeGreaterThan(1.5 * lengths[0]);
  expect(learn(15, 2).lengths).toEqual(lengths);
});
