// Activations, forward, on as many elements as stay in the second-level cache.
import type { Tensor } from "../../src/graph/tensor.js";
import { gelu, silu } from "../../src/ops/gated.js";
import { relu } from "../../src/ops/piecewise.js";
import { elu, sigmoid, softplus, tanh } from "../../src/ops/smooth.js";
import { createRandom, uniformValues } from "../data.js";
import { engineOf } from "../engines.js";
import { type Activation, activate, formulas } from "../javascript/activations.js";
import { type ResidentFunction, residentFunction } from "../steepest.js";
import { type Implementation, variantOf, type Workload } from "../workload.js";
import { checkValues } from "./values.js";

const ELEMENTS = 16384;
const RELATIVE_TOLERANCE = 5e-7;
const ABSOLUTE_TOLERANCE = 1e-7;

const operations: Record<Activation, (x: Tensor) => Tensor> = {
  relu,
  sigmoid,
  tanh,
  softplus,
  silu,
  elu: (x) => elu(x),
  gelu: (x) => gelu(x, { approximate: "tanh" }),
};

export function activationWorkloads(): Workload[] {
  return (Object.keys(operations) as Activation[]).map((activation) => ({
    name: `activation-${activation}`,
    description: `${activation}${activation === "gelu" ? " (tanh approximation)" : ""} of ${ELEMENTS} elements, forward`,
    metric: "gelements-s",
    work: ELEMENTS,
    async prepare(implementation) {
      const x = uniformValues(createRandom(8), ELEMENTS, 6);
      const contestant = await createActivation(implementation, activation, x);
      contestant.run(1);
      const expected = Float64Array.from(x, formulas[activation]);
      const toleranceOf = (i: number) => RELATIVE_TOLERANCE * Math.abs(expected[i]) + ABSOLUTE_TOLERANCE;
      checkValues(`${activation} in float64`, contestant.result(), expected, toleranceOf);
      return contestant;
    },
  }));
}

async function createActivation(
  implementation: Implementation,
  activation: Activation,
  x: Float32Array,
): Promise<ResidentFunction> {
  const variant = variantOf(implementation);
  if (variant !== undefined) {
    return residentFunction(await engineOf(variant), [{ shape: [ELEMENTS], values: x }], operations[activation]);
  }
  const y = new Float32Array(ELEMENTS);
  return {
    reset() {},
    run(steps) {
      for (let i = 0; i < steps; i++) activate[activation](y, x);
    },
    result: () => y,
    dispose() {},
  };
}
