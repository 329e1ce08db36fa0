// Models as files: each layer that the package exports is saved and loaded, predicts the same bits and trains on with them.
import { describe, expect, test } from "vitest";
import { createEngineSync } from "../../src/engine/engine.js";
import type { Tensor } from "../../src/graph/tensor.js";
import * as steepest from "../../src/platform/node.js";
import * as ops from "../../src/platform/nodeGraph.js";
import * as steepestIo from "../../src/platform/nodeIo.js";
import { decodeModel, decodeSafetensors, encodeModel, encodeSafetensors } from "../../src/platform/nodeIo.js";
import { layerSamples } from "./layerSamples.js";

const {
  compileSync,
  constantValue,
  defineLayer,
  dense,
  dropout,
  flatten,
  functional,
  l2,
  maxNorm,
  recompute,
  relu,
  sequential,
  sgd,
  tanh,
} = steepest;
type AnyModel = Parameters<typeof steepest.compileSync>[0] & {
  readonly inputs: readonly { key?: string; shape: readonly number[]; dtype: string; bound?: { below: number } }[];
  readonly outputs: readonly { key?: string; shape: readonly number[]; dtype: string }[];
};

const engine = createEngineSync();

/** A chain of layers whose axes the compiler does not know. */
const chain = (input: readonly number[], ...layers: readonly unknown[]) => sequential({ input }, ...(layers as never));

/** Numbers for the inputs of a model, some rows of them. */
function inputsFor(model: AnyModel, rows: number): unknown {
  const made = model.inputs.map(({ key, shape, dtype }) => {
    const size = rows * shape.reduce((product, one) => product * one, 1);
    const data =
      dtype === "uint32"
        ? Uint32Array.from({ length: size }, (_, index) => 1 + (index % 2))
        : Float32Array.from({ length: size }, (_, index) => Math.sin(index * 1.7) * 0.9);
    return [key, data] as const;
  });
  return made[0][0] === undefined ? made[0][1] : Object.fromEntries(made);
}

/** Without how long it was planned for. */
const summaryOf = (trainer: { summary(): unknown }) => String(trainer.summary()).replace(/planned in .* ms/, "");

/** A trainer whose loss is of each output. */
function trainerOf(model: AnyModel) {
  const isOne = model.outputs.length === 1 && model.outputs[0].key === undefined;
  const trainable = model.outputs.every(({ dtype }) => dtype === "float32") && model.parameters.size > 0;
  const loss = isOne
    ? steepest.meanSquaredError()
    : Object.fromEntries(model.outputs.map(({ key }) => [key, steepest.meanSquaredError()]));
  const options = trainable ? { loss, optimizer: sgd({ learningRate: 0.01 }), seed: 7 } : { seed: 7 };
  return { trainable, trainer: compileSync(model as never, { ...options, engine } as never) };
}

function targetsFor(model: AnyModel, rows: number): unknown {
  const made = model.outputs.map(({ key, shape }) => {
    const size = rows * shape.reduce((product, one) => product * one, 1);
    return [key, Float32Array.from({ length: size }, (_, index) => Math.cos(index))] as const;
  });
  return made[0][0] === undefined ? made[0][1] : Object.fromEntries(made);
}

/** Bits of parameters and predictions, before and after two more steps. */
function bitsOf(trainer: ReturnType<typeof trainerOf>["trainer"], model: AnyModel, trainable: boolean): string[] {
  const rows = 3;
  const x = inputsFor(model, rows) as never;
  const said: unknown[] = [trainer.predictSync(x)];
  if (trainable) {
    for (let step = 0; step < 2; step++) trainer.trainBatchSync({ x, y: targetsFor(model, rows) } as never);
    said.push(trainer.predictSync(x), Object.fromEntries(trainer.parameters()));
  }
  return said.map((one) =>
    JSON.stringify(one, (_, value) =>
      ArrayBuffer.isView(value)
        ? [...(value as Float32Array)].map((n) => (Object.is(n, -0) ? "-0" : String(n)))
        : value,
    ),
  );
}

/** Saves, loads, and compares all that is to be the same. */
function roundTrip(given: unknown, custom = {}): { bytes: Uint8Array; loaded: ReturnType<typeof decodeModel> } {
  const model = given as AnyModel;
  const { trainer, trainable } = trainerOf(model);
  // Not the first values: what is loaded must be what was saved.
  trainer.setParameters(
    new Map(
      [...trainer.parameters()].map(([path, { data }]) => [
        path,
        data.map((one, index) => one + 0.01 * ((index % 5) + 1)),
      ]),
    ) as never,
  );
  const bytes = encodeModel(trainer);
  const loaded = decodeModel(bytes, { custom });
  const again = trainerOf(loaded.model as unknown as AnyModel);
  try {
    expect(summaryOf(again.trainer)).toBe(summaryOf(trainer));
    expect(bitsOf(again.trainer, loaded.model as unknown as AnyModel, trainable)).toEqual(
      bitsOf(trainer, model, trainable),
    );
    again.trainer.reset();
    expect(decodeSafetensors(encodeModel(again.trainer)).tensors).toEqual(decodeSafetensors(bytes).tensors);
    return { bytes, loaded };
  } finally {
    trainer.dispose();
    again.trainer.dispose();
  }
}

describe("each layer is loaded as it was saved:", () => {
  for (const [name, sample] of Object.entries(layerSamples)) {
    test(name, () => {
      for (const model of [sample()].flat()) roundTrip(model);
    });
  }
});

describe("a functional model is loaded with what it does between its layers:", () => {
  const models: Record<string, () => unknown> = {
    "shared layers, skips and joins": () =>
      functional({ input: { a: [4], b: [4] } }, ({ a, b }, { apply }) => {
        const tower = chain([4], dense(5), tanh());
        const [left, right] = [apply(a, tower as never), apply(b, tower as never)];
        const both = ops.concatenate([left, ops.abs(ops.sub(left, right)), ops.mul(left, 0.5)], 1);
        return { near: apply(both, dense(2)), far: ops.add(apply(both, dense(3)), 1) };
      }),
    "shapes that depend on the batch": () =>
      functional({ input: [6, 4] }, (x, { apply }) => {
        const rows = ops.reshape(x, [x.shape[0] * 6, 4]);
        const back = ops.reshape(apply(rows, dense(3, { name: "row" })), [x.shape[0], 6, 3]);
        const turned = ops.transpose(back, [0, 2, 1]);
        const padded = ops.pad(ops.slice(turned, [0, 1], [], [1, 1]), [
          [0, 0],
          [1, 0],
          [0, 2],
        ]);
        return apply(ops.sum(ops.square(padded), [1]), dense(2));
      }),
    "reductions, gates and a table": () =>
      functional({ input: [6, 4] }, (x, { apply, parameter }) => {
        const scale = parameter("scale", [4], constantValue(1.5), { regularizer: l2(0.01) });
        const table = ops.constant([0.25, -0.5, 1, 2]);
        const weighted = ops.mul(ops.mul(x, scale), table);
        const [one, other] = ops.split(apply(weighted, dense(6)), 2, 2);
        const chosen = ops.where(ops.greater(one, 0), ops.relu(other), ops.leakyRelu(other, { negativeSlope: 0.3 }));
        return apply(
          ops.concatenate([ops.mean(chosen, 1), ops.max(chosen, 1), ops.softmax(ops.sum(chosen, [1]))], 1),
          dense(2),
        );
      }),
    "random numbers, other ones while training": () =>
      functional({ input: [4] }, (x, scope) => {
        const [mean, spread] = ops.split(scope.apply(x, dropout(0.2), dense(6)), 2, 1);
        const noise = ops.randomNormal(mean.shape, { ...scope.randomness(), standardDeviation: 0.5 });
        return scope.apply(scope.training ? ops.add(mean, ops.mul(spread, noise)) : mean, dense(2));
      }),
    "buffers and states": () =>
      functional({ input: [3] }, (x, { apply, buffer, state, update, training }) => {
        const seen = buffer("seen", [3]);
        const before = state("before", [x.shape[0], 3]);
        if (training) update(seen, ops.mean(x, 0));
        update(before, ops.add(ops.mul(before, 0.5), x));
        return apply(ops.add(ops.sub(x, seen), before), dense(2));
      }),
    "models in models, recomputed and nested": () => {
      const inner = functional({ input: [4], name: "inner" }, (x, { apply }) =>
        ops.add(x, apply(x, dense(4), relu(), dense(4))),
      );
      const block = recompute(sequential({ input: [4], name: "block" }, ...([inner, dropout(0.1), dense(4)] as never)));
      return chain([2, 2], flatten(), recompute(dense(4)) as never, block as never, inner as never, dense(1));
    },
  };
  for (const [name, make] of Object.entries(models)) test(name, () => void roundTrip(make()));
});

describe("custom layers", () => {
  const scaled = defineLayer("scaled", (x: Tensor, { parameter }, { by = 1 }: { by?: number }) =>
    ops.mul(x, ops.mul(parameter("scale", [x.shape[1]], constantValue(1)), by)),
  );

  test("are made by name, with their options", () => {
    const model = chain([3], scaled({ by: 2, name: "wide" }), dense(2));
    const { loaded } = roundTrip(model, { scaled });
    expect([...loaded.model.parameters.keys()]).toEqual(["wide.scale", "1.weight", "1.bias"]);
  });

  test("that are missing are named, before anything is made", () => {
    const { trainer } = trainerOf(chain([3], scaled() as never) as never);
    const bytes = encodeModel(trainer);
    trainer.dispose();
    expect(() => decodeModel(bytes)).toThrow(
      /the model has custom parts that must be given by name, got none called scaled: import them, and write \{ custom: \{ scaled \} \}/,
    );
  });

  test("of the name of another kind are not taken for it", () => {
    const mine = defineLayer("relu", (x: Tensor) => ops.neg(x));
    const { trainer } = trainerOf(chain([3], dense(2), mine() as never) as never);
    const bytes = encodeModel(trainer);
    trainer.dispose();
    expect(() => decodeModel(bytes)).toThrow(/got none called relu/);
  });
});

describe("what cannot be saved is refused:", () => {
  const refused = (model: unknown, message: RegExp) => {
    const { trainer } = trainerOf(model as never);
    try {
      expect(() => encodeModel(trainer)).toThrow(message);
    } finally {
      trainer.dispose();
    }
  };

  test("an initializer of somebody else's is asked for when it is loaded", () => {
    const mine = { ...constantValue(1), name: "mine" };
    const { trainer } = trainerOf(chain([3], dense(2, { weightInitializer: mine })) as never);
    const bytes = encodeModel(trainer);
    trainer.dispose();
    expect(() => decodeModel(bytes)).toThrow(/got none called mine/);
    expect(decodeModel(bytes, { custom: { mine: () => mine } }).model.parameters.size).toBe(2);
  });

  test("a loop between layers", () => {
    const model = functional({ input: [5, 3] }, (x, { apply }) => {
      const [carry] = ops.scan(
        (state: Tensor, one: Tensor) => [ops.add(state, one)] as const,
        apply(x, flatten(), dense(3)),
        ops.transpose(x, [1, 0, 2]),
      );
      return carry;
    });
    refused(model, /got scan: make a layer of what is around it/);
  });

  test("an operation that few need", () => {
    const model = functional({ input: [3] }, (x, { apply }) => ops.sort(apply(x, dense(3))).values);
    refused(model, /the operation must be one that can be saved between layers, got sort/);
  });

  test("what depends on the batch in another way", () => {
    const model = functional({ input: [3] }, (x, { apply }) => ops.mul(apply(x, dense(3)), Math.sqrt(x.shape[0])));
    refused(model, /must be a whole number that grows with it, got .* for batches of 2, 3, 5/);
  });

  test("a layer that somebody wrote by hand", () => {
    const byHand = { ...relu(), kind: "byHand" };
    refused(chain([3], dense(2), byHand), /made by defineLayer\(\) to be saved, got "byHand"/);
  });

  test("a function as an option", () => {
    const odd = defineLayer("odd", (x: Tensor, _scope, { by }: { by: (x: Tensor) => Tensor }) => by(x));
    refused(chain([3], dense(2), odd({ by: ops.relu }) as never), /got a function: make a layer of it/);
  });
});

describe("a file of a model", () => {
  const saved = (options = {}) => {
    const { trainer } = trainerOf(chain([3], dense(2, { weightConstraint: maxNorm(1) })) as never);
    const bytes = encodeModel(trainer, options);
    trainer.dispose();
    return bytes;
  };
  const changed = (bytes: Uint8Array, change: (model: { layers: unknown[]; version: unknown }) => void) => {
    const { tensors, metadata } = decodeSafetensors(bytes);
    const model = JSON.parse(metadata.architecture);
    change(model);
    const { checksum: _, ...notes } = metadata;
    return encodeSafetensors(Object.fromEntries(tensors) as never, { ...notes, architecture: JSON.stringify(model) });
  };

  test("has preprocessing and notes", () => {
    const scaler = { toJSON: () => ({ kind: "standard", mean: [0.1, 1 / 3] }) };
    const loaded = decodeModel(saved({ preprocessing: { scaler, classes: ["a", "b"] }, metadata: { data: "spring" } }));
    expect(loaded.preprocessing).toEqual({ scaler: { kind: "standard", mean: [0.1, 1 / 3] }, classes: ["a", "b"] });
    expect(loaded.metadata).toEqual({ data: "spring" });
    expect(loaded.steps).toBe(0);
  });

  test("keeps no number that JSON would change", () => {
    expect(() => saved({ preprocessing: { mean: [1, Number.NaN] } })).toThrow(
      /preprocessing.mean\[1\]: must be plain JSON/,
    );
    expect(() => saved({ preprocessing: { map: new Map() } })).toThrow(/preprocessing.map: must be plain JSON/);
  });

  test("is read as weights too, and weights are not read as a model", () => {
    const { trainer } = trainerOf(chain([3], dense(2)) as never);
    steepestIo.decodeWeights(trainer as never, saved());
    expect(() => decodeModel(steepestIo.encodeWeights(trainer as never))).toThrow(
      /must be a saved model, got the weights of a model: /,
    );
    trainer.dispose();
  });

  test("of a later version, of other layers or in disorder is refused", () => {
    const bytes = saved();
    expect(() => decodeModel(changed(bytes, (model) => Object.assign(model, { version: 2 })))).toThrow(
      /must be of version 1, got 2/,
    );
    expect(() =>
      decodeModel(changed(bytes, ({ layers }) => layers.splice(0, 1, { kind: "dence", with: [2] }))),
    ).toThrow(/got "dence"/);
    expect(() =>
      decodeModel(changed(bytes, ({ layers }) => layers.splice(0, 1, { kind: "constructor", with: [] }))),
    ).toThrow(/got "constructor"/);
    expect(() => decodeModel(changed(bytes, ({ layers }) => layers.reverse()))).toThrow(
      /made of those before it, got 0 for layer 0/,
    );
    expect(() => decodeModel(changed(bytes, ({ layers }) => layers.pop()))).toThrow(
      /the last of its layers must be the model/,
    );
    expect(() =>
      decodeModel(changed(bytes, ({ layers }) => layers.splice(0, 1, { kind: "dense", with: [3] }))),
    ).toThrow(/"0.weight" must be \[3, 3\]/);
    expect(() =>
      decodeModel(changed(bytes, ({ layers }) => layers.splice(0, 1, { kind: "dense", with: [-1] }))),
    ).toThrow(/its layers must make a model, got the error: dense: units must be/);
  });

  test("is a part of another model, with its values", () => {
    const { model } = decodeModel(saved());
    const { trainer } = trainerOf(chain([3], model, dense(4)) as never);
    const values = decodeSafetensors(saved()).tensors;
    expect(trainer.parameters().get("0.0.weight")?.data).toEqual(values.get("0.weight")?.data);
    trainer.dispose();
  });
});
