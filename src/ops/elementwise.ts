// Elementwise arithmetic with broadcasting (NumPy's rule: trailing axes align, sizes must match or be 1).
import { elements } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import { sizeOf, type Tensor } from "../graph/tensor.js";

const addition: Operation = {
  name: "add",
  infer: ([a]) => [{ shape: a.shape }],
  forward: (record, { outputs, to, from }) => {
    const n = sizeOf(outputs[0].shape);
    record.add(elements(n), to[0], from[0], from[1], n);
  },
  backward: ({ gradient }) => [gradient, gradient],
  inPlace: [0, 1],
};

/** a + b, broadcast. */
export function add(a: Tensor, b: Tensor): Tensor {
  return apply(addition, [a, b], undefined);
}
