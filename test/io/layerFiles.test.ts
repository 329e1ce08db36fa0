// Weights and checkpoints of each layer that the package exports: what is loaded has the bits of what was saved, and trains on with them.
import { afterAll, describe, expect, test } from "vitest";
import { compileSync, createEngineSync, meanSquaredError, sgd } from "../../src/platform/node.js";
import { decodeCheckpoint, decodeWeights, encodeCheckpoint, encodeWeights } from "../../src/platform/nodeIo.js";
import { layerSamples } from "./layerSamples.js";

interface Port {
  readonly key?: string;
  readonly shape: readonly number[];
  readonly dtype: string;
}
type AnyModel = {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly parameters: ReadonlyMap<string, unknown>;
};

const engine = createEngineSync();
afterAll(() => engine.dispose());
const ROWS = 3;

/** Values for each input or output: other ones of each turn. */
function valuesFor(ports: readonly Port[], turn: number): never {
  const made = ports.map(({ key, shape, dtype }) => {
    const size = ROWS * shape.reduce((product, one) => product * one, 1);
    const data =
      dtype === "uint32"
        ? Uint32Array.from({ length: size }, (_, index) => 1 + ((index + turn) % 2))
        : Float32Array.from({ length: size }, (_, index) => Math.sin(index * 1.7 + turn) * 0.9);
    return [key, data] as const;
  });
  return (made[0][0] === undefined ? made[0][1] : Object.fromEntries(made)) as never;
}

function trainerOf(model: AnyModel, seed: number) {
  const { outputs, parameters } = model;
  const loss =
    outputs[0].key === undefined
      ? meanSquaredError()
      : Object.fromEntries(outputs.map(({ key }) => [key, meanSquaredError()]));
  const trains = parameters.size > 0 && outputs.every(({ dtype }) => dtype === "float32");
  const options = trains ? { loss, optimizer: sgd({ learningRate: 0.01, momentum: 0.9 }) } : {};
  return { trains, trainer: compileSync(model as never, { ...options, engine, seed } as never) };
}
type Trainer = ReturnType<typeof trainerOf>["trainer"];

/** All bits that a checkpoint has, the position and the clocks too. */
const bitsOf = (trainer: Trainer) => Buffer.from(encodeCheckpoint(trainer.checkpoint())).toString("base64");

function step(trainer: Trainer, { inputs, outputs }: AnyModel, turn: number): void {
  trainer.trainBatchSync({ x: valuesFor(inputs, turn), y: valuesFor(outputs, turn + 1) } as never);
}

describe("each layer's weights and checkpoint have the bits that were saved:", () => {
  let layers = 0;
  for (const [name, sample] of Object.entries(layerSamples)) {
    test(name, () => {
      for (const model of [sample()].flat() as unknown as AnyModel[]) {
        const { trainer, trains } = trainerOf(model, 1);
        const other = trainerOf(model, 2).trainer;
        if (trains) for (let turn = 0; turn < 2; turn++) step(trainer, model, turn);
        layers++;

        expect(decodeWeights(other as never, encodeWeights(trainer as never))).toEqual({ metadata: {}, converted: [] });
        expect(other.parameters()).toEqual(trainer.parameters());

        // What a layer keeps besides, what the optimizer has, and which random numbers come next.
        other.restore(decodeCheckpoint(encodeCheckpoint(trainer.checkpoint())));
        expect(bitsOf(other)).toBe(bitsOf(trainer));
        if (trains) {
          step(trainer, model, 2);
          step(other, model, 2);
        }
        expect(other.predictSync(valuesFor(model.inputs, 3))).toEqual(trainer.predictSync(valuesFor(model.inputs, 3)));
        expect(bitsOf(other)).toBe(bitsOf(trainer));
        trainer.dispose();
        other.dispose();
      }
    });
  }

  test("are all of them", () => {
    expect(layers).toBeGreaterThanOrEqual(Object.keys(layerSamples).length);
  });
});
