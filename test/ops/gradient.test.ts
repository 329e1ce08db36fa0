// Gradients of tensors of any shape, by a cotangent; and what is known of a function's results.
import { describe, expect, test } from "vitest";
import { ModelError } from "../../src/engine/errors.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import { constant, input, type Tensor } from "../../src/graph/tensor.js";
import * as ops from "../../src/ops/index.js";
import { engineOf } from "./battery.js";

const engine = engineOf("strict");

describe("a cotangent", () => {
  test("gives the vector–Jacobian product, of each tensor", () => {
    using f = compileFunctionSync(
      ({ a, b, c }) => {
        const [da, db] = ops.gradient(ops.matmul(a, b), [a, b], { cotangent: c });
        return { da, db };
      },
      { a: [2, 3], b: [3, 2], c: [2, 2] },
      { engine },
    );
    const [a, b, c] = [
      [1, 2, 3, 4, 5, 6],
      [1, -1, 2, 0, 3, 5],
      [1, 10, 100, 1000],
    ];
    const { da, db } = f({ a, b, c });
    // c·bᵀ and aᵀ·c.
    expect([...da]).toEqual([-9, 2, 53, -900, 200, 5300]);
    expect([...db]).toEqual([401, 4010, 502, 5020, 603, 6030]);
    expect(f.outputShapes).toEqual({ da: [2, 3], db: [3, 2] });
  });

  test("of 1 for a scalar gives the gradient; twice what there is for 2", () => {
    const slopes = ({ x }: { x: Tensor }) => {
      const y = ops.sum(ops.exp(x));
      return { whole: ops.gradient(y, x), twice: ops.gradient(y, x, { cotangent: constant(2) }) };
    };
    using f = compileFunctionSync(slopes, { x: [3] }, { engine });
    const { whole, twice } = f({ x: [0, 1, -1] });
    expect([...twice]).toEqual([...whole].map((value) => 2 * value));
  });

  test("that depends on what is differentiated by is differentiated too, if asked", () => {
    // d/dx (x³)·x by the product rule with the cotangent held: 3x²·x, and the derivative of that is 9x².
    const f = ({ x }: { x: Tensor }) => {
      const first = ops.gradient(ops.pow(x, 3), x, { cotangent: x });
      return { first, second: ops.gradient(first, x, { cotangent: constant([1, 1]) }) };
    };
    using run = compileFunctionSync(f, { x: [2] }, { engine });
    const { first, second } = run({ x: [1, -2] });
    expect([...first]).toEqual([3, -24]);
    expect([...second]).toEqual([9, 36]);
  });

  test.each<[() => unknown, string]>([
    [
      () => ops.gradient(input([2, 3], { name: "y" }), input([3]), { cotangent: input([3]) }),
      "gradient: cotangent must have the shape of y [2, 3], got [3]",
    ],
    [
      () => ops.gradient(input([2]), input([2]), { cotangent: input([2], { dtype: "uint32", name: "words" }) }),
      "gradient: tensors must be float32, got words of uint32",
    ],
    [
      () => ops.gradient(input([2], { name: "y" }), input([2])),
      "gradient: the loss must be a scalar, got y of shape [2]: reduce it with sum() or mean() first, or give a cotangent",
    ],
  ])("is refused if it does not fit", (build, text) => {
    expect(build).toThrow(ModelError);
    expect(build).toThrow(text);
  });
});

test("the shapes of results are known", () => {
  using f = compileFunctionSync(
    ({ x }) => ({ y: ops.transpose(x), n: ops.argmax(x, 1), s: ops.sum(x) }),
    { x: [2, 3] },
    {
      engine,
    },
  );
  expect(f.outputShapes).toEqual({ y: [3, 2], n: [2], s: [] });
});
