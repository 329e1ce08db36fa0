// Layers by themselves, forward and backward: y, the gradient for the input and those for the parameters.
import { nodesBehind } from "../../src/graph/backward.js";
import { input, type Shape, showShape, sizeOf, type Tensor } from "../../src/graph/tensor.js";
import { layerContext } from "../../src/nn/layer.js";
import { createRandom, uniformValues } from "../data.js";
import { engineOf, whyUnavailable } from "../engines.js";
import { createConvolution } from "../javascript/conv.js";
import { gradientsFrom, type Leaf, type ResidentProgram, residentProgram } from "../steepest.js";
import type { Schedule } from "../timing.js";
import {
  CheckError,
  type Contestant,
  type Implementation,
  LeftOut,
  type PeerWork,
  type Variant,
  variantOf,
  type Workload,
} from "../workload.js";
import { checkedPlaces } from "./convolution.js";
import { type LayerCase, layerCases } from "./layerCases.js";
import { checkValues } from "./values.js";

/** The layers are many: all of them should take about two minutes. */
const BRIEF: Schedule = { rounds: 6, roundMs: 15, warmupMs: 30, callMs: 2, settleMs: 5 };

/** Rounding differs between the builds and plain JavaScript; as a part of the largest value of a result. */
const TOLERANCE = 2e-5;

export function layerWorkloads(): Workload[] {
  return Object.entries(layerCases).map(([name, layerCase]) =>
    layerWorkload(name, layerCase, name === "conv2d" ? createPlainConv2d : undefined),
  );
}

/** What a layer computes, and from what. */
interface Task {
  readonly x: Leaf;
  readonly parameters: readonly Leaf[];
  readonly upstream: Leaf;
  /** Counters and statistics, which have no gradient. */
  readonly others: readonly Leaf[];
  /** y, the gradients of x (where it has one) and of the parameters, and new statistics. */
  readonly outputs: readonly Tensor[];
}

type Checkable = Contestant & { results(): Float32Array[] };
type PlainJavaScript = (layerCase: LayerCase, task: Task) => Checkable;

/** Results that are compared with, of the last workload only: they are large. */
let latest: { readonly workload: Workload; readonly task: Task; readonly references: Map<string, Float32Array[]> };

export function layerWorkload(name: string, layerCase: LayerCase, createPlain?: PlainJavaScript): Workload {
  const { layer, batch, sample } = layerCase;
  const shape = [batch, ...sample];
  const { outputShape, parameters } = layer.build({ where: name, path: name }, sample, layerCase.dtype);
  const shapes = [shape, [batch, ...outputShape], ...parameters.map(({ tensor }) => tensor.shape)];
  const weights = parameters.length === 0 ? "" : `, parameters ${shapes.slice(2).map(showShape).join(" ")}`;
  const currentTask = () => {
    if (latest?.workload !== workload) latest = { workload, task: createTask(layerCase), references: new Map() };
    if (nodesBehind(latest.task.outputs).every(({ operation }) => operation.forward === undefined)) {
      throw new LeftOut("there is nothing to compute");
    }
    return latest;
  };
  const workload: Workload = {
    name: `layers-${name}`,
    description: `${showShape(shape)} to ${showShape(shapes[1])}${weights}, forward and backward`,
    ...measureOf(layerCase, shapes),
    schedule: BRIEF,
    async prepare(implementation) {
      const { task, references } = currentTask();
      const create = async (who: Implementation): Promise<Checkable> => {
        const variant = variantOf(who);
        if (variant !== undefined) return createResident(variant, task);
        if (createPlain === undefined) throw new LeftOut("not written in plain JavaScript");
        return createPlain(layerCase, task);
      };
      const contestant = await create(implementation);
      const independent = referenceFor(implementation, createPlain !== undefined);
      const expected = references.get(independent) ?? (await resultsOf(await create(independent)));
      references.set(independent, expected);
      contestant.run(1);
      checkResults(contestant.results(), expected, independent);
      if ("write" in contestant && layerCase.bends !== true) checkSlopes(contestant as ResidentProgram, task);
      return contestant;
    },
    ...(layerCase.alone === true
      ? {}
      : {
          async forPeers() {
            const { task } = currentTask();
            const ours = await resultsOf(await createResident({ build: "strict", threads: 1 }, task));
            return peerWork(name, layerCase, task, ours);
          },
        }),
  };
  return workload;
}

/** Of results from random numbers, the means of squares. */
const RANDOM_TOLERANCE = 0.2;

/** What a peer computes, and what is held against our results. New statistics are not compared. */
function peerWork(name: string, { random = false }: LayerCase, task: Task, ours: readonly Float32Array[]): PeerWork {
  const { x, parameters, upstream } = task;
  const results = ours.slice(0, 1 + parameters.length + (x.tensor.dtype === "float32" ? 1 : 0));
  const places = checkedPlaces(results);
  const shaped = ({ tensor, values }: Leaf) => ({ shape: tensor.shape, values });
  const means = results.map((values) => productOf(values, values) / values.length);
  const largest = results.map((values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
  const expected = random
    ? means.map((mean) => [{ value: mean, tolerance: RANDOM_TOLERANCE * mean }])
    : places.map((chosen, i) => chosen.map((at) => ({ value: results[i][at], tolerance: TOLERANCE * largest[i] })));
  const flat = expected.flat();
  return {
    task: {
      kind: "layer",
      name,
      x: shaped(x),
      parameters: parameters.map(shaped),
      upstream: shaped(upstream),
      random,
      places,
    },
    check: (values) =>
      checkValues(
        "results",
        values,
        flat.map(({ value }) => value),
        (i) => flat[i].tolerance,
      ),
  };
}

/**
 * Of layers that multiply, multiplications and additions: each weight with each pixel, forward, for the input's gradient
 * and for its own. Of others what must be moved at least: input, output and parameters, and their gradients, once each.
 */
function measureOf({ weightsMeet, dtype }: LayerCase, shapes: readonly Shape[]): Pick<Workload, "metric" | "work"> {
  const [x, y, ...parameters] = shapes;
  if (weightsMeet === undefined) {
    const elements = sumOf(shapes.map(sizeOf));
    // An index has no gradient, so neither has what is made of it.
    return { metric: "gbytes-s", work: 4 * (dtype === "uint32" ? elements : 2 * elements) };
  }
  const pixels = sizeOf((weightsMeet === "input" ? x : y).slice(0, -1));
  const weights = sumOf(parameters.filter((shape) => shape.length > 1).map(sizeOf));
  return { metric: "gflops", work: 3 * 2 * pixels * weights };
}

function createTask({ layer, batch, sample, dtype = "float32", limit = 1 }: LayerCase): Task {
  const random = createRandom(12);
  const built = layer.build({ where: layer.kind, path: layer.kind }, sample, dtype);
  const shape = [batch, ...sample];
  const x = { tensor: input(shape, { name: "x", dtype }), values: inputValues(random, shape, dtype) };
  const parameters = built.parameters.map(({ tensor }) => ({
    tensor,
    values: uniformValues(random, sizeOf(tensor.shape), limit),
  }));
  const trained = parameters.filter(({ tensor: { source } }) => source.kind === "parameter" && source.trainable);
  // The clock stands still, so each run draws the same random numbers.
  const clock = { tensor: input([16], { name: "clock", dtype: "uint32" }), values: new Uint32Array(16).fill(1) };
  const context = layerContext({ training: true, clock: clock.tensor, seed: [1, 2] });
  const y = built.apply(x.tensor, context);
  const upstream = { tensor: input(y.shape, { name: "upstream" }), values: uniformValues(random, sizeOf(y.shape)) };
  const wrt = [...(dtype === "float32" ? [x] : []), ...trained].map(({ tensor }) => tensor);
  return {
    x,
    parameters: trained,
    upstream,
    others: [clock, ...parameters.filter((leaf) => !trained.includes(leaf))],
    outputs: [y, ...gradientsFrom(y, upstream.tensor, wrt), ...context.updates.values()],
  };
}

/** Within [-4, 4). */
const LEVELS = 1024;
const LEVEL = 8 / LEVELS;
/** What inputs are changed by to see the slope: less than half a level. */
const CHANGE = LEVEL / 4;

/**
 * On levels in the middle between multiples of LEVEL, where functions have their kinks; and the pixels of a channel on
 * different ones (of 1024), so that no change makes another of them the largest. Indices are below 64.
 */
function inputValues(random: () => number, shape: Shape, dtype: string): Float32Array | Uint32Array {
  if (dtype === "uint32") return Uint32Array.from({ length: sizeOf(shape) }, () => Math.floor(64 * random()));
  const order = Array.from({ length: LEVELS }, (_, level) => ({ level, key: random() })).sort((a, b) => a.key - b.key);
  const [batch, channels] = [shape[0], shape[shape.length - 1]];
  const pixels = sizeOf(shape.slice(1, -1));
  const values = new Float32Array(sizeOf(shape));
  for (let n = 0, at = 0; n < batch; n++) {
    const offsets = Uint32Array.from({ length: channels }, () => Math.floor(LEVELS * random()));
    for (let pixel = 0; pixel < pixels; pixel++) {
      const { level } = order[pixel % LEVELS];
      for (let c = 0; c < channels; c++, at++) values[at] = (((level + offsets[c]) % LEVELS) + 0.5) * LEVEL - 4;
    }
  }
  return values;
}

async function createResident(variant: Variant, task: Task): Promise<ResidentProgram> {
  const { x, parameters, upstream, others, outputs } = task;
  return residentProgram(await engineOf(variant), [x, upstream, ...parameters, ...others], outputs);
}

/** Whose results must be the same: plain JavaScript where it is there, else one thread of the other build. */
function referenceFor(implementation: Implementation, isPlain: boolean): Implementation {
  const variant = variantOf(implementation);
  if (variant === undefined) return "steepest-strict-1";
  if (isPlain) return "javascript";
  const isFast = whyUnavailable("steepest-fast-1") === undefined;
  return variant.build === "strict" && isFast ? "steepest-fast-1" : "steepest-strict-1";
}

async function resultsOf(contestant: Checkable): Promise<Float32Array[]> {
  contestant.run(1);
  const results = contestant.results();
  contestant.dispose();
  return results;
}

function checkResults(results: readonly Float32Array[], expected: readonly Float32Array[], whose: string): void {
  results.forEach((values, i) => {
    let largest = 0;
    for (const value of expected[i]) largest = Math.max(largest, Math.abs(value));
    checkValues(`result ${i} beside that of ${whose}`, values, expected[i], () => TOLERANCE * largest);
  });
}

/** Of the slope, relative to the norm of the gradient: it is at most 6e-5, of float32's rounding and y's curvature. */
const SLOPE_TOLERANCE = 1e-3;

/**
 * Throws CheckError unless the gradients are those of the y that is computed: all inputs and parameters are changed at
 * once, each up or down at random, and Σ upstream · y must change by what the gradients say.
 */
function checkSlopes(program: ResidentProgram, { x, parameters, upstream }: Task): void {
  const changed = [x, ...parameters].filter(({ tensor }) => tensor.dtype === "float32");
  const gradients = program.results().slice(1, 1 + changed.length);
  const changes = changed.map(({ values }) => randomChanges(values.length));
  const goalAt = (sign: 1 | -1): number => {
    changed.forEach(({ tensor, values }, i) => {
      const moved = new Float32Array(values.length);
      for (let at = 0; at < moved.length; at++) moved[at] = values[at] + sign * changes[i][at];
      program.write({ tensor, values: moved });
    });
    program.run(1);
    return productOf(program.results()[0], upstream.values);
  };
  const rise = (goalAt(1) - goalAt(-1)) / 2;
  for (const leaf of changed) program.write(leaf);
  const expected = sumOf(gradients.map((gradient, i) => productOf(gradient, changes[i])));
  const norm = Math.sqrt(sumOf(gradients.map((gradient) => productOf(gradient, gradient))));
  const tolerance = SLOPE_TOLERANCE * CHANGE * norm;
  if (!(Math.abs(rise - expected) <= tolerance)) {
    throw new CheckError(
      `gradients: a small change must raise the output by ${rise} ± ${tolerance.toPrecision(2)}, as it did, got ${expected}`,
    );
  }
}

function randomChanges(length: number): Float32Array {
  const random = createRandom(13);
  const changes = new Float32Array(length);
  for (let i = 0; i < length; i++) changes[i] = random() < 0.5 ? -CHANGE : CHANGE;
  return changes;
}

/** Scalar product, in float64. */
function productOf(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** The convolution of javascript/conv.ts, with a bias. */
function createPlainConv2d({ batch, sample, layer }: LayerCase, { x, parameters, upstream }: Task): Checkable {
  const [height, width, channels] = sample;
  const [weight, bias] = parameters.map(({ values }) => values as Float32Array);
  const [window, , , filters] = parameters[0].tensor.shape;
  const [outHeight] = layer.build({ where: layer.kind, path: layer.kind }, sample).outputShape;
  const padding = (outHeight - height + window - 1) / 2;
  const convolution = createConvolution({ batch, height, width, channels, filters, window, padding });
  const leaves = [upstream, x, ...parameters];
  const [y, dx, dweight, dbias] = leaves.map(({ values }) => new Float32Array(values.length));
  const [from, dy] = [x, upstream].map(({ values }) => values as Float32Array);
  return {
    reset() {},
    run(steps) {
      for (let i = 0; i < steps; i++) {
        convolution.forward(y, from, weight, bias);
        convolution.backwardInput(dx, dy, weight);
        convolution.backwardWeight(dweight, from, dy);
        const sums = new Float64Array(filters);
        for (let at = 0; at < dy.length; ) for (let k = 0; k < filters; k++, at++) sums[k] += dy[at];
        dbias.set(sums);
      }
    },
    results: () => [y, dx, dweight, dbias],
    dispose() {},
  };
}
