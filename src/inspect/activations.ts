// What the layers of a model give, and how what comes out depends on it.
import { type OptionsOf, optional, readOptions, unchecked } from "../engine/options.js";
import type { Shape, Tensor } from "../graph/tensor.js";
import type { Values } from "../graph/values.js";
import type { ForPorts, Ports } from "../nn/ports.js";
import { gradient } from "../ops/gradient.js";
import type { ParameterValues } from "../train/parameters.js";
import { chooseLayers, type Inspected, type LayerChoice, type Look, openLook } from "./look.js";
import { CHOICE, choiceOf, type Feed, SCORE, type Score, type ScoreOptions, type ScorePlan, scoreOf } from "./score.js";

export interface ActivationsOptions {
  /**
   * Paths of layers, such as "0" or "encoder.1", or patterns in which `*` stands for any characters. Default: all layers, those
   * inside of others too.
   */
  layers?: LayerChoice;
}

const LAYERS = optional(unchecked<LayerChoice>());
const ACTIVATIONS = { layers: LAYERS } satisfies OptionsOf<ActivationsOptions>;

/**
 * What the layers give for these samples while predicting, by path, in the order in which they are applied: [samples, …]. A
 * layer that is applied again has another entry, "0#2"; one that gives several tensors an entry for each, "0.sequence". Layers
 * in the body of a loop have none. Nothing changes in the trainer: its values are copied.
 *
 * @throws {ModelError} If no layer has such a path.
 * @throws {DataError} If the samples do not fit the model.
 *
 * @example
 * const values = await activations(trainer, image, { layers: "0" });
 * console.log(values.get("0")?.shape); // [1, 8]
 */
export async function activations<I extends Ports, O extends Ports>(
  trainer: Inspected<I, O>,
  x: ForPorts<I, Values>,
  options: ActivationsOptions = {},
): Promise<Map<string, ParameterValues>> {
  const where = "activations";
  const { layers } = readOptions(where, options, ACTIVATIONS);
  const look = await openLook(where, trainer as unknown as Inspected<Ports, Ports>, x as Values, (sight) => ({
    results: chooseLayers(where, sight.layers, layers),
  }));
  try {
    return look.run();
  } finally {
    look.dispose();
  }
}

export interface LayerGradientsOptions extends ActivationsOptions, ScoreOptions {}

const GRADIENTS = { layers: LAYERS, ...SCORE } satisfies OptionsOf<LayerGradientsOptions>;

/**
 * The gradients of a score by what the layers give, by path, [samples, …]: how the score would change with each of these
 * numbers. The score is the output for the class that the model chooses, or what the options say. What the score does not
 * depend on has gradient 0; layers of whole numbers have none, and are left out.
 *
 * @throws {ModelError} If no layer has such a path, or the score does not fit the model.
 * @throws {DataError} If the samples or targets do not fit the model.
 */
export async function activationGradients<I extends Ports, O extends Ports>(
  trainer: Inspected<I, O>,
  x: ForPorts<I, Values>,
  options: LayerGradientsOptions = {},
): Promise<Map<string, ParameterValues>> {
  const where = "activationGradients";
  const { layers, ...plan } = readOptions(where, options, GRADIENTS);
  return withScore(where, trainer as unknown as Inspected<Ports, Ports>, x as Values, plan, (score, sight) => {
    const chosen = [...chooseLayers(where, sight.layers, layers)].filter(([, { dtype }]) => dtype === "float32");
    const gradients = gradient(
      score.total,
      chosen.map(([, tensor]) => tensor),
    );
    return new Map(chosen.map(([path], index) => [path, gradients[index]]));
  });
}

// Among the results, next to paths, which are not empty.
const OUTPUT = "";

/** Looks at a prediction and a score of it. */
export async function openScored(
  where: string,
  trainer: Inspected<Ports, Ports>,
  x: ForPorts<Ports, Values>,
  plan: ScorePlan,
  want: (score: Score, sight: Look["sight"]) => ReadonlyMap<string, Tensor>,
): Promise<{ look: Look; feed: Feed }> {
  let choice: Shape | undefined;
  const look = await openLook(where, trainer, x, (sight) => {
    const score = scoreOf(where, sight, plan);
    const results = new Map(want(score, sight));
    if (score.choice !== undefined) {
      choice = score.choice.shape;
      results.set(OUTPUT, score.choice);
    }
    return { results, extras: score.extras };
  });
  if (choice === undefined) return { look, feed: {} };
  const shape = choice;
  try {
    const zeros = new Float32Array(shape[0] * shape[1]);
    const outputs = () => (look.run({ [CHOICE]: zeros }).get(OUTPUT) as ParameterValues).data;
    return { look, feed: { [CHOICE]: choiceOf(where, plan, shape, outputs) } };
  } catch (error) {
    look.dispose();
    throw error;
  }
}

/** Computes tensors that go with a score, once. */
export async function withScore(
  where: string,
  trainer: Inspected<Ports, Ports>,
  x: ForPorts<Ports, Values>,
  plan: ScorePlan,
  want: (score: Score, sight: Look["sight"]) => ReadonlyMap<string, Tensor>,
): Promise<Map<string, ParameterValues>> {
  const { look, feed } = await openScored(where, trainer, x, plan, want);
  try {
    const values = look.run(feed);
    values.delete(OUTPUT);
    return values;
  } finally {
    look.dispose();
  }
}
