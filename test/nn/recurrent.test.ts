// Recurrent layers: recorded values of PyTorch, padding, states, truncated gradients, dropout, errors.
import * as steepest from "steepest";
import {
  compileSync,
  convLstm2d,
  createEngineSync,
  DataError,
  dense,
  functional,
  gru,
  type Layer,
  lstm,
  ModelError,
  meanSquaredError,
  sgd,
  simpleRnn,
} from "steepest";
import { afterAll, describe, expect, test } from "vitest";
import { compileFunctionSync } from "../../src/graph/function.js";
import { constant, input, type Shape, sizeOf, type Tensor } from "../../src/graph/tensor.js";
import { layerContext } from "../../src/nn/layer.js";
import { conv2d } from "../../src/ops/conv.js";
import { add, mul, scale } from "../../src/ops/elementwise.js";
import { gradient } from "../../src/ops/gradient.js";
import { split, stack } from "../../src/ops/join.js";
import { linear } from "../../src/ops/matmul.js";
import { rnnCell } from "../../src/ops/recurrent.js";
import { gruCell } from "../../src/ops/recurrentGru.js";
import { lstmCell } from "../../src/ops/recurrentLstm.js";
import { sum } from "../../src/ops/reduce.js";
import { broadcastTo, reshape } from "../../src/ops/shape.js";
import { slice } from "../../src/ops/slice.js";
import { sigmoid, tanh } from "../../src/ops/smooth.js";
import golden from "../golden/recurrent.json" with { type: "json" };
import { createRandom } from "../ops/cases.js";
import { checkLine } from "./recorded.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

interface Values {
  readonly shape: Shape;
  readonly values: readonly number[];
}

interface RecordedSteps {
  readonly layer: string;
  readonly units: number;
  readonly options: Readonly<Record<string, unknown>>;
  readonly lengths?: readonly number[];
  readonly inputs: Readonly<Record<string, Values>>;
  readonly upstream: Readonly<Record<string, Values>>;
  readonly exact: Readonly<Record<string, readonly number[]>>;
  readonly float32Error: Readonly<Record<string, number>>;
}

const context = (training = true) => layerContext({ training, clock: constant(Uint32Array.from([0])), seed: [0, 0] });
const toFloats = ({ values }: Values): Float32Array => Float32Array.from(values);

type Named<T> = Record<string, T>;
type Make = (units: number, options: object) => Layer<number, number, never>;
const layers = steepest as unknown as Record<string, Make>;

/** A built layer, which is applied to tensors by name and gives them by name. */
function builtOf(one: Pick<RecordedSteps, "layer" | "units" | "options">, features: number, time: number) {
  const layer = layers[one.layer](one.units, { ...one.options, returnState: true });
  const build = layer.build as unknown as (place: object, shapes: Named<Shape>) => BuiltSteps;
  return build({ where: layer.kind, path: "0" }, { x: [time, features] });
}

interface BuiltSteps {
  readonly parameters: readonly { readonly name: string; readonly tensor: Tensor }[];
  apply(given: Named<Tensor>, context: unknown): Named<Tensor>;
}

const CELLS: { readonly [name: string]: ((t: Named<Tensor>, one: RecordedSteps) => Named<Tensor>) | undefined } = {
  rnnCell: (t, one) => ({
    hidden: rnnCell(linear(t.x, t.weight, t.bias), t.hidden, t.recurrentWeight, one.options),
  }),
  lstmCell: (t) =>
    lstmCell(linear(t.x, t.weight, t.bias), { hidden: t.hidden, cell: t.cell }, t.recurrentWeight) as Named<Tensor>,
  gruCell: (t) => {
    const { recurrentBias } = t;
    return { hidden: gruCell(linear(t.x, t.weight, t.bias), t.hidden, t.recurrentWeight, { recurrentBias }) };
  },
};

/** Of the sum of all results by their upstream gradients. */
function withGradients(results: Named<Tensor>, upstream: Named<Tensor>, wrt: Named<Tensor>): Named<Tensor> {
  const loss = Object.keys(upstream).map((name) => sum(mul(results[name], upstream[name])));
  const names = Object.keys(wrt);
  const slopes = gradient(
    loss.reduce((a, b) => add(a, b)),
    names.map((name) => wrt[name]),
  );
  return { ...results, ...Object.fromEntries(names.map((name, i) => [`d${name}`, slopes[i]])) };
}

function runRecorded(one: RecordedSteps): Named<ArrayLike<number>> {
  const [batch, time, features] = one.inputs.x.shape;
  const cell = CELLS[one.layer];
  const built = cell ? undefined : builtOf(one, features, time);
  const tensors = new Map(built?.parameters.map(({ name, tensor }) => [name, tensor]));
  const given = Object.keys(one.inputs).filter((name) => !tensors.has(name));
  const shapes = Object.fromEntries(given.map((name) => [name, input(one.inputs[name].shape)]));
  const up = Object.fromEntries(Object.entries(one.upstream).map(([name, { shape }]) => [`up ${name}`, input(shape)]));
  const lengths = one.lengths ? { lengths: input([batch], { dtype: "uint32" }) } : {};
  using compiled = compileFunctionSync(
    (t: Named<Tensor>) => {
      const named = Object.fromEntries(given.map((name) => [name, t[name]]));
      const upstream = Object.fromEntries(Object.keys(one.upstream).map((name) => [name, t[`up ${name}`]]));
      const states = one.lengths ? { lengths: t.lengths } : {};
      const results = cell ? cell(named, one) : (built as BuiltSteps).apply({ ...named, ...states }, context());
      return withGradients(results, upstream, { ...named, ...Object.fromEntries(tensors) });
    },
    { ...shapes, ...up, ...lengths },
    { engine },
  );
  for (const [name, tensor] of tensors) compiled.setParameter(tensor.name, toFloats(one.inputs[name]));
  return compiled({
    ...Object.fromEntries(given.map((name) => [name, toFloats(one.inputs[name])])),
    ...Object.fromEntries(Object.entries(one.upstream).map(([name, values]) => [`up ${name}`, toFloats(values)])),
    ...(one.lengths ? { lengths: one.lengths } : {}),
  } as never) as Named<ArrayLike<number>>;
}

describe("golden values of PyTorch", () => {
  for (const one of golden.cases as unknown as RecordedSteps[]) {
    const { layer, units, options, lengths } = one;
    const padded = lengths ? `, lengths ${lengths}` : "";
    const start = "hidden" in one.inputs ? ", first state" : "";
    test(`${layer} ${units} ${JSON.stringify(options)} of ${JSON.stringify(one.inputs.x.shape)}${padded}${start}`, () => {
      const results = runRecorded(one);
      for (const [name, expected] of Object.entries(one.exact)) {
        checkLine(name, results[name], expected, one.float32Error[name]);
      }
    });
  }
});

// ——— Padding ———

const KINDS: readonly (readonly [string, object])[] = [
  ["simpleRnn", { activation: "relu" }],
  ["lstm", {}],
  ["lstm", { peepholes: true, projection: 3 }],
  ["lstm", { bidirectional: "concatenate", layers: 2 }],
  ["lstm", { reverse: true }],
  ["gru", {}],
  ["gru", { reset: "before" }],
  ["gru", { reverse: true }],
  ["gru", { truncate: 2 }],
];

interface Run {
  readonly batch: number;
  readonly time: number;
  readonly lengths?: readonly number[];
  readonly mask?: readonly number[];
  readonly x: Float32Array;
}

const FEATURES = 8;

/** Results and the gradient of x, of Σ outputs² / 2 and of Σ hidden. */
function runLayer(layer: string, options: object, { batch, time, lengths, mask, x }: Run, units = 7) {
  const built = builtOf({ layer, units, options: { returnSequences: true, ...options } }, FEATURES, time);
  const random = createRandom(5);
  const more = {
    ...(lengths ? { lengths: input([batch], { dtype: "uint32" }) } : {}),
    ...(mask ? { mask: input([batch, time]) } : {}),
  };
  using compiled = compileFunctionSync(
    (t: Named<Tensor>) => {
      const results = built.apply(t, context(false));
      const loss = add(sum(mul(results.output, results.output)), sum(results.hidden));
      return { ...results, dx: gradient(loss, t.x) };
    },
    { x: input([batch, time, FEATURES]), ...more } as Named<Tensor>,
    { engine },
  );
  for (const { tensor } of built.parameters) {
    compiled.setParameter(
      tensor.name,
      Float32Array.from({ length: sizeOf(tensor.shape) }, () => 0.5 * random.normal()),
    );
  }
  const given = { x, ...(lengths ? { lengths } : {}), ...(mask ? { mask } : {}) };
  return compiled(given as never) as Named<Float32Array>;
}

const drawn = (length: number, seed: number): Float32Array => {
  const random = createRandom(seed);
  return Float32Array.from({ length }, random.normal);
};

describe("a padded batch gives the bits of its samples one by one", () => {
  test.each(KINDS)("%s %j", (layer, options) => {
    const random = createRandom(11);
    const time = 2 + random.below(6);
    const lengths = [1, time, ...Array.from({ length: 5 }, () => 1 + random.below(time))];
    const batch = lengths.length;
    const x = drawn(batch * time * FEATURES, 3);
    const whole = runLayer(layer, options, { batch, time, lengths, x });
    const width = whole.output.length / (batch * time);
    lengths.forEach((length, sample) => {
      const begin = sample * time;
      const own = x.slice(begin * FEATURES, (begin + length) * FEATURES);
      const alone = runLayer(layer, options, { batch: 1, time: length, x: own });
      const padded = new Float32Array(time * width);
      padded.set(alone.output);
      expect(whole.output.slice(begin * width, (begin + time) * width)).toEqual(padded);
      const states = whole.hidden.length / batch;
      expect(whole.hidden.slice(sample * states, (sample + 1) * states)).toEqual(alone.hidden);
      const slopes = new Float32Array(time * FEATURES);
      slopes.set(alone.dx);
      expect(whole.dx.slice(begin * FEATURES, (begin + time) * FEATURES)).toEqual(slopes);
    });
  });

  test.each(KINDS)("and what the padding holds changes nothing: %s %j", (layer, options) => {
    const [batch, time, lengths] = [3, 4, [2, 4, 1]];
    const x = drawn(batch * time * FEATURES, 4);
    const other = x.map((value, i) => {
      const [sample, t] = [Math.floor(i / (time * FEATURES)), Math.floor(i / FEATURES) % time];
      return t < lengths[sample] ? value : 1e30;
    });
    const [one, two] = [x, other].map((values) => runLayer(layer, options, { batch, time, lengths, x: values }));
    expect(two).toEqual(one);
  });
});

describe("a mask", () => {
  const [batch, time] = [3, 5];
  const x = drawn(batch * time * FEATURES, 6);

  test.each(KINDS)("of what comes last is what lengths are: %s %j", (layer, options) => {
    const lengths = [5, 2, 3];
    const mask = lengths.flatMap((length) => Array.from({ length: time }, (_, t) => Number(t < length)));
    const [one, two] = [{ lengths }, { mask }].map((more) => runLayer(layer, options, { batch, time, x, ...more }));
    for (const [name, values] of Object.entries(one)) {
      values.forEach((value, i) => {
        expect(Math.abs(two[name][i] - value), `${name} ${i}`).toBeLessThan(2e-6 * Math.max(1, Math.abs(value)));
      });
    }
  });

  test("leaves out steps wherever they are", () => {
    const mask = [1, 0, 1, 1, 0];
    const here = runLayer("lstm", {}, { batch: 1, time, mask, x: x.slice(0, time * FEATURES) });
    const kept = [0, 2, 3].flatMap((t) => [...x.slice(t * FEATURES, (t + 1) * FEATURES)]);
    const without = runLayer("lstm", {}, { batch: 1, time: 3, mask: [1, 1, 1], x: Float32Array.from(kept) });
    expect(here.hidden).toEqual(without.hidden);
    expect(here.output.slice(7, 14)).toEqual(new Float32Array(7));
  });
});

describe("steps of operations are those of the kernels", () => {
  const run = { batch: 3, time: 4, x: drawn(12 * FEATURES, 8) };
  test.each(KINDS)("%s %j", (layer, options) => {
    const mask = new Array<number>(12).fill(1); // what needs no mask, but goes by scan
    const [one, two] = [runLayer(layer, options, run), runLayer(layer, options, { ...run, mask })];
    for (const [name, values] of Object.entries(one)) {
      values.forEach((value, i) => {
        expect(Math.abs(two[name][i] - value), `${name} ${i}`).toBeLessThan(2e-6 * Math.max(1, Math.abs(value)));
      });
    }
  });
});

describe("a convolutional LSTM", () => {
  const [batch, time, height, width, channels, filters] = [2, 3, 4, 3, 2, 3];
  const x = drawn(batch * time * height * width * channels, 21);

  /** All outputs, and the gradients of Σ outputs² / 2 by x and by the parameters, of a function of them. */
  function runSteps(f: (t: Named<Tensor>) => Tensor, shapes: Named<Shape>, values: Named<Float32Array>) {
    const names = Object.keys(shapes);
    using compiled = compileFunctionSync(
      (t: Named<Tensor>) => {
        const y = f(t);
        const slopes = gradient(
          sum(mul(y, y)),
          names.map((name) => t[name]),
        );
        return { y, ...Object.fromEntries(names.map((name, i) => [`d${name}`, slopes[i]])) };
      },
      Object.fromEntries(names.map((name) => [name, input(shapes[name])])),
      { engine },
    );
    return compiled(values as never) as Named<Float32Array>;
  }

  const near = (found: Named<Float32Array>, expected: Named<Float32Array>): void => {
    for (const [name, values] of Object.entries(expected)) {
      values.forEach((value, i) => {
        expect(Math.abs(found[name][i] - value), `${name} ${i}`).toBeLessThan(4e-6 * Math.max(1, Math.abs(value)));
      });
    }
  };

  test.each([{}, { reverse: true }])("is its steps one after another: %j", ({ reverse = false }) => {
    const layer = convLstm2d(filters, [3, 2], { padding: "same", returnSequences: true, reverse });
    const built = (layer as unknown as Layer).build({ where: "convLstm2d 0", path: "0" }, [
      time,
      height,
      width,
      channels,
    ]);
    expect(built.outputShape).toEqual([time, height, width, filters]);
    const parameters = built.parameters.map(({ tensor }) => tensor);
    const shapes = { x: [batch, time, height, width, channels] };
    const all = { ...shapes, w: parameters[0].shape, u: parameters[1].shape, b: parameters[2].shape };
    const values = { x, ...{ w: drawn(144, 22), u: drawn(216, 23), b: drawn(12, 24) } };
    const steps = runSteps(
      (t) => {
        const zeros = scale(slice(t.x, [0, 0, 0, 0, 0], [batch, 1, height, width, 1]), 0);
        let hidden: Tensor = broadcastTo(reshape(zeros, [batch, height, width, 1]), [batch, height, width, filters]);
        let cell = hidden;
        const outputs: Tensor[] = [];
        const order = [0, 1, 2];
        for (const at of reverse ? order.reverse() : order) {
          const image = reshape(slice(t.x, [0, at], [batch, at + 1]), [batch, height, width, channels]);
          const ofInput = conv2d(image, t.w, { padding: "same", bias: t.b });
          const sums = add(ofInput, conv2d(hidden, t.u, { padding: "same" }));
          const [i, f, g, o] = split(sums, 4);
          cell = add(mul(sigmoid(f), cell), mul(sigmoid(i), tanh(g)));
          hidden = mul(sigmoid(o), tanh(cell));
          outputs[at] = hidden;
        }
        return stack(outputs, 1);
      },
      all,
      values,
    );
    using compiled = compileFunctionSync(
      (t: Named<Tensor>) => {
        const y = built.apply(t.x, context());
        const slopes = gradient(sum(mul(y, y)), [t.x, ...parameters]);
        return { y, dx: slopes[0], dw: slopes[1], du: slopes[2], db: slopes[3] };
      },
      { x: input(shapes.x) } as Named<Tensor>,
      { engine },
    );
    [values.w, values.u, values.b].forEach((value, i) => {
      compiled.setParameter(parameters[i].name, value);
    });
    near(compiled({ x } as never) as Named<Float32Array>, steps);
  });
});

describe("lengths that are none are refused where they are handed in", () => {
  const x = drawn(3 * 4 * FEATURES, 9);
  test.each([
    ["lstm", {}],
    ["gru", { truncate: 2 }],
    ["lstm", { layerNorm: true }],
  ])("%s %j", (layer, options) => {
    for (const wrong of [0, 5]) {
      const run = () => runLayer(layer, options, { batch: 3, time: 4, x, lengths: [4, wrong, 1] });
      expect(run).toThrow(DataError);
      expect(run).toThrow(
        `"lengths": every length must be a whole number from 1 to 4, the number of steps, got ${wrong}`,
      );
    }
  });

  test("in data for training, sample by sample", () => {
    const layer = lstm(3);
    const model = functional(
      { input: { x: [4, 2], lengths: [] }, dtype: { x: "float32", lengths: "uint32" } },
      ({ x: sequence, lengths }, { apply }) => apply(apply({ x: sequence, lengths }, layer), dense(1)),
    );
    using trainer = compileSync(model, { loss: meanSquaredError(), optimizer: sgd(), engine });
    const data = (last: number) => ({ x: { x: drawn(16, 3), lengths: [4, last] }, y: [0, 1] });
    expect(() => trainer.trainBatchSync(data(0))).toThrow("every length must be a whole number from 1 to 4");
    expect(trainer.trainBatchSync(data(2))).toBeGreaterThan(0);
  });
});

test("dropout of the state has one mask for all steps, another for each sample", () => {
  const [batch, time, units] = [6, 4, 8];
  const options = { activation: "linear", bias: false, recurrentDropout: 0.5, returnSequences: true };
  const built = builtOf({ layer: "simpleRnn", units, options }, units, time);
  const training = layerContext({ training: true, clock: constant(new Uint32Array(16)), seed: [3, 0] });
  using compiled = compileFunctionSync(
    ({ x }: Named<Tensor>) => ({ output: built.apply({ x }, training).output }),
    { x: input([batch, time, units]) } as Named<Tensor>,
    { engine },
  );
  // h = x + mask · h: with x = 1 in the first step alone, what is left is doubled in each.
  const identity = Float32Array.from({ length: units * units }, (_, i) => Number(i % (units + 1) === 0));
  for (const { tensor } of built.parameters) compiled.setParameter(tensor.name, identity);
  const x = Float32Array.from({ length: batch * time * units }, (_, i) => Number(i % (time * units) < units));
  const { output } = compiled({ x } as never) as Named<Float32Array>;
  const kept = new Set<string>();
  for (let sample = 0; sample < batch; sample++) {
    const mask = Array.from({ length: units }, (_, j) => output[(sample * time + 1) * units + j] / 2);
    expect(mask.every((value) => value === 0 || value === 1)).toBe(true);
    kept.add(mask.join(""));
    for (let t = 1; t < time; t++) {
      const row = output.slice((sample * time + t) * units, (sample * time + t + 1) * units);
      expect([...row]).toEqual(mask.map((value) => value * 2 ** t));
    }
  }
  expect(kept.size).toBeGreaterThan(3);
});

describe("errors", () => {
  const place = { where: "lstm 0", path: "0" };
  const build = (layer: unknown, shapes: object) => (layer as Layer).build(place, shapes as never);
  test.each([
    [() => lstm(0), "lstm: units must be"],
    [() => lstm(4, { bidirectional: "max" as never }), "lstm: bidirectional must be one of concatenate, sum, average"],
    [() => lstm(4, { dropout: 1 }), "lstm: dropout must be a number from 0 on, below 1, got 1"],
    [() => gru(4, { reset: "before", layerNorm: true }), 'gru: layerNorm must be with reset "after", got "before"'],
    [() => simpleRnn(4, { stateful: true, bidirectional: "sum" }), "simpleRnn: stateful must not be given with"],
    [() => build(lstm(4), { x: [3] }), "lstm 0: input must be [batch, time, features], got float32 [2, 3]"],
    [() => build(lstm(4), { x: [3, 2], mask: [4] }), "lstm 0: mask must be float32 [2, 3], 1 where there is a step"],
    [() => build(lstm(4), { x: [3, 2], hidden: [4] }), "lstm 0: hidden and cell must be given both or neither"],
    [() => build(gru(4), { x: [3, 2], hidden: [5] }), "lstm 0: hidden must be float32 [2, 4], a state for each layer"],
    [
      () => build(gru(4, { stateful: true }), { x: [3, 2], hidden: [4] }),
      "lstm 0: a stateful layer must not be given a first state",
    ],
  ])("%s", (make, message) => {
    expect(make).toThrow(ModelError);
    expect(make).toThrow(message);
  });
});
