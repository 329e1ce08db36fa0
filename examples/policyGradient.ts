// A policy gradient (REINFORCE, Williams 1992): a cart learns to balance a pole from nothing but how long it stood.
import { fileURLToPath } from "node:url";
import { adam, createWorkspaceSync, dense, sequential, tanh } from "steepest";
import { mean, mul, neg, sigmoid, softplus, sub } from "steepest/graph";
import { drawCurve } from "./common/pictures.js";
import { createRandom } from "./common/random.js";
import { quick, report } from "./common/report.js";

/** Position and speed of the cart in m and m/s, angle and angular speed of the pole in rad and rad/s; 0 is upright. */
export type State = readonly [position: number, speed: number, angle: number, angularSpeed: number];

export const MOST_STEPS = 200;
const EPISODES = 16;
const DISCOUNT = 0.99;

/**
 * A cart of 1 kg on a track, a pole of 0.1 kg and 1 m on it, pushed by 10 N to the right or the left for 20 ms (Barto,
 * Sutton & Anderson 1983, in the form that OpenAI Gym made known). The angle stays small, so the series of sine and cosine
 * are exact to 1e-8, and the same in every engine, which Math.sin need not be.
 */
export function push([position, speed, angle, angularSpeed]: State, right: boolean): State {
  const [gravity, cart, pole, half, seconds] = [9.8, 1, 0.1, 0.5, 0.02];
  const square = angle * angle;
  const sine = angle * (1 - (square / 6) * (1 - (square / 20) * (1 - square / 42)));
  const cosine = 1 - (square / 2) * (1 - (square / 12) * (1 - square / 30));
  const force = ((right ? 10 : -10) + pole * half * angularSpeed ** 2 * sine) / (cart + pole);
  const angular = (gravity * sine - cosine * force) / (half * (4 / 3 - (pole * cosine ** 2) / (cart + pole)));
  const linear = force - (pole * half * angular * cosine) / (cart + pole);
  return [
    position + seconds * speed,
    speed + seconds * linear,
    angle + seconds * angularSpeed,
    angularSpeed + seconds * angular,
  ];
}

/** 2.4 m from the middle, or 12° from upright. */
export const hasFallen = ([position, , angle]: State) => Math.abs(position) > 2.4 || Math.abs(angle) > Math.PI / 15;

/** What an episode went through; its reward is 1 for each step. */
export interface Episode {
  readonly states: State[];
  readonly pushes: boolean[];
}

/** Plays episodes beside each other, so that one call of the policy serves them all. */
function play(
  probabilities: (states: Float32Array) => Float32Array,
  choose: (p: number) => boolean,
  random: () => number,
) {
  const episodes: Episode[] = Array.from({ length: EPISODES }, () => ({ states: [], pushes: [] }));
  let states = episodes.map((): State => [0, 0, 0, 0].map(() => (random() - 0.5) / 10) as unknown as State);
  for (let step = 0; step < MOST_STEPS && states.some((state) => !hasFallen(state)); step++) {
    const chances = probabilities(Float32Array.from(states.flat()));
    states = states.map((state, i) => {
      if (hasFallen(state)) return state;
      const right = choose(chances[i]);
      episodes[i].states.push(state);
      episodes[i].pushes.push(right);
      return push(state, right);
    });
  }
  return episodes;
}

/** The reward from each step on, later ones worth less: 1 + 0.99 + 0.99² + … to the end of the episode. */
export function returnsOf({ pushes }: Episode): number[] {
  const returns = new Array<number>(pushes.length).fill(1);
  for (let step = pushes.length - 2; step >= 0; step--) returns[step] += DISCOUNT * returns[step + 1];
  return returns;
}

/** How much better than usual: less the mean of the episodes that were still going at that step. */
export function advantagesOf(returns: readonly number[][]): number[][] {
  const usual = Array.from({ length: MOST_STEPS }, (_, step) => {
    const going = returns.filter(({ length }) => length > step);
    return going.reduce((sum, values) => sum + values[step], 0) / going.length;
  });
  return returns.map((values) => values.map((value, step) => value - usual[step]));
}

export interface Lesson {
  /** Mean length of the episodes, round by round. */
  readonly lengths: readonly number[];
  /** Mean length of 160 episodes when the more probable push is made each time, after the last round. */
  readonly reached: number;
  readonly last: Episode;
}

/** How likely a push to the right is, as a logit. */
export const createPolicy = () => sequential({ input: [4] }, dense(32), tanh(), dense(1));

export function learn(rounds: number, seed: number): Lesson {
  using workspace = createWorkspaceSync({ seed });
  const random = createRandom(seed);
  const policy = createPolicy();
  const act = workspace.step(({ states }, { apply }) => ({ right: sigmoid(apply(states, policy)) }), {
    inputs: { states: [EPISODES, 4] },
  });
  const size = EPISODES * MOST_STEPS;
  // What was done becomes more probable where more came of it than usual, less where less did.
  const improve = workspace.step(
    ({ states, right, advantages }, { apply }) => {
      const logits = apply(states, policy);
      // log p of a push to the right is z - log(1 + eᶻ), of one to the left -log(1 + eᶻ).
      const logProbabilities = sub(mul(right, logits), softplus(logits));
      return { loss: neg(mean(mul(advantages, logProbabilities))) };
    },
    {
      inputs: { states: [size, 4], right: [size, 1], advantages: [size, 1] },
      train: policy,
      optimizer: adam({ learningRate: 0.01 }),
    },
  );
  const probabilities = (states: Float32Array) => act({ states }).right;
  const lengths: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const episodes = play(probabilities, (p) => random() < p, random);
    const advantages = advantagesOf(episodes.map(returnsOf)).flat();
    // A program has fixed shapes: what the episodes leave empty has advantage 0 and moves nothing.
    const padded = (values: readonly number[]) => Float32Array.from({ length: size }, (_, i) => values[i] ?? 0);
    const states = new Float32Array(size * 4);
    states.set(episodes.flatMap((episode) => episode.states.flat()));
    improve({
      states,
      right: padded(episodes.flatMap(({ pushes }) => pushes.map(Number))),
      advantages: padded(advantages),
    });
    lengths.push(advantages.length / EPISODES);
  }
  const tests = Array.from({ length: 10 }, () => play(probabilities, (p) => p > 0.5, random)).flat();
  const reached = tests.reduce((sum, { pushes }) => sum + pushes.length, 0) / tests.length;
  return { lengths, reached, last: tests[0] };
}

/** The track, seen from the side: the cart, and where the tip of the pole is above it, leaning drawn ten times as large. */
function drawEpisode({ states }: Episode): string {
  const lines = states
    .filter((_, step) => step % 20 === 0)
    .map(([position, , angle], i) => {
      const cart = Math.round(((position + 2.4) / 4.8) * 60);
      const tip = Math.min(Math.max(cart + Math.round(10 * angle * 10), 0), 60);
      const line = new Array<string>(61).fill("·");
      line[cart] = "▄";
      line[tip] = tip === cart ? "█" : "o";
      return `${String(20 * i).padStart(6)}  ${line.join("")}`;
    });
  return [
    "  step  track of 4.8 m: the cart ▄, the tip of its pole o (upright: █), leaning drawn tenfold",
    ...lines,
  ].join("\n");
}

function main(): void {
  const rounds = quick ? 60 : 100;
  console.log(
    `${rounds} rounds of ${EPISODES} episodes; an episode ends when the pole falls, or after ${MOST_STEPS} steps of 20 ms\n`,
  );
  const { lengths, reached, last } = learn(rounds, 1);
  console.log(drawCurve("steps an episode lasts, by round", lengths));
  console.log(`Then 160 episodes with the more probable push each time: ${reached.toFixed(1)} steps. One of them:\n`);
  console.log(drawEpisode(last));
  report("policyGradient", reached);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
