import { einsum } from "../../../src/ops/einsum.js";
import { type Case, laneSizes, type Sample } from "../cases.js";

/** Every combination of all letters, one after another. */
function summed(equation: string, sizes: Readonly<Record<string, number>>, data: readonly Float64Array[]): number[] {
  const [left, output] = equation.split("->");
  const operands = left.split(",");
  const letters = [...new Set(left.replace(",", ""))];
  const shapeOf = (labels: string) => [...labels].map((label) => sizes[label]);
  const result = new Array<number>(shapeOf(output).reduce((a, b) => a * b, 1)).fill(0);
  const all = shapeOf(letters.join(""));
  // How far each operand's, and the result's, place moves with each letter.
  const steps = [...operands, output].map((labels) =>
    letters.map((letter) => {
      const axis = labels.indexOf(letter);
      return axis < 0 ? 0 : shapeOf(labels.slice(axis + 1)).reduce((a, b) => a * b, 1);
    }),
  );
  const places = steps.map(() => 0);
  const visit = (depth: number): void => {
    if (depth === letters.length) {
      result[places[operands.length]] += operands.reduce((product, _, i) => product * data[i][places[i]], 1);
      return;
    }
    for (let i = 0; i < all[depth]; i++) {
      visit(depth + 1);
      for (let of = 0; of < places.length; of++) places[of] += steps[of][depth];
    }
    for (let of = 0; of < places.length; of++) places[of] -= all[depth] * steps[of][depth];
  };
  visit(0);
  return result;
}

function einsumCase(equation: string, sizes: Readonly<Record<string, number>>, spelled = equation): Case {
  const operands = equation.split("->")[0].split(",");
  return {
    name: `${spelled} ${JSON.stringify(sizes)}`,
    inputs: operands.map((labels) => ({ shape: [...labels].map((label) => sizes[label]) })),
    apply: (...tensors) => einsum(spelled, ...tensors),
    reference: (...data) => summed(equation, sizes, data),
  };
}

export const einsumSamples = {
  einsum: {
    cases: [
      ...laneSizes.map((n) => einsumCase("ij,jk->ik", { i: n, j: 7, k: 5 })),
      ...laneSizes.map((n) => einsumCase("bij,bjk->bik", { b: 3, i: 4, j: n, k: 2 })),
      einsumCase("ij->ji", { i: 3, j: 5 }),
      einsumCase("ijk->ik", { i: 3, j: 5, k: 4 }),
      einsumCase("ijk->", { i: 3, j: 5, k: 4 }),
      einsumCase("i,i->", { i: 9 }),
      einsumCase("i,j->ij", { i: 3, j: 5 }),
      einsumCase("i,j->ji", { i: 3, j: 5 }),
      einsumCase("bi,bi->b", { b: 4, i: 6 }),
      einsumCase("bi,i->bi", { b: 4, i: 6 }),
      einsumCase("ij,kj->ik", { i: 3, j: 8, k: 5 }),
      einsumCase("ji,jk->ik", { i: 3, j: 8, k: 5 }),
      einsumCase("ji,kj->ik", { i: 3, j: 8, k: 5 }),
      einsumCase("ij,jk->ki", { i: 3, j: 8, k: 5 }),
      einsumCase("bqhd,bkhd->bhqk", { b: 2, q: 3, h: 2, d: 4, k: 5 }),
      einsumCase("bhqk,bkhd->bqhd", { b: 2, q: 3, h: 2, d: 4, k: 5 }),
      einsumCase("abc,cd->abd", { a: 2, b: 3, c: 4, d: 5 }),
      einsumCase("abcd,dce->abe", { a: 2, b: 3, c: 4, d: 5, e: 3 }),
      einsumCase("abz,bc->ac", { a: 2, b: 3, c: 4, z: 3 }),
      einsumCase("ij,jk->ik", { i: 2, j: 3, k: 4 }, "ij, jk"),
      einsumCase("ba->ab", { a: 2, b: 3 }, "ba"),
      einsumCase("a,->a", { a: 3 }),
    ],
  },
} satisfies Record<string, Sample>;
