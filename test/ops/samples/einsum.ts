import { einsum } from "../../../src/ops/einsum.js";
import { type Case, laneSizes, type Sample } from "../cases.js";

/** Every combination of all letters, one after another. */
function summed(equation: string, sizes: Readonly<Record<string, number>>, data: readonly Float64Array[]): number[] {
  const [left, output] = equation.split("->");
  const operands = left.split(",");
  const letters = [...new Set(left.replaceAll(",", ""))];
  const shapeOf = (labels: string) => [...labels].map((label) => sizes[label]);
  const result = new Array<number>(shapeOf(output).reduce((a, b) => a * b, 1)).fill(0);
  const all = shapeOf(letters.join(""));
  // How far each operand's, and the result's, place moves with each letter.
  const steps = [...operands, output].map((labels) =>
    letters.map((letter) =>
      [...labels].reduce((step, label, axis) => {
        if (label !== letter) return step;
        return step + shapeOf(labels.slice(axis + 1)).reduce((a, b) => a * b, 1);
      }, 0),
    ),
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

/** An axis of the ellipsis that is 1 in one operand, and one that it does not have. */
function broadcastCase(): Case {
  return {
    name: "...ij,...jk->...ik, broadcast",
    inputs: [{ shape: [2, 1, 3, 4] }, { shape: [5, 4, 2] }],
    apply: (a, b) => einsum("...ij,...jk->...ik", a, b),
    reference: (a, b) => summed("xij,yjk->xyik", { x: 2, y: 5, i: 3, j: 4, k: 2 }, [a, b]),
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
      einsumCase("ii->", { i: 5 }),
      einsumCase("ii->i", { i: 5 }),
      einsumCase("bii->ib", { b: 3, i: 4 }),
      einsumCase("iii->i", { i: 3 }),
      einsumCase("ijij->ij", { i: 3, j: 4 }),
      einsumCase("iji,jk->ik", { i: 3, j: 4, k: 5 }),
      einsumCase("ij,jk,kl->il", { i: 3, j: 4, k: 5, l: 2 }),
      einsumCase("i,j,k->kji", { i: 3, j: 4, k: 2 }),
      einsumCase("bi,uij,bj->bu", { b: 3, u: 4, i: 5, j: 6 }),
      einsumCase("ab,bc,cd,de->ae", { a: 2, b: 9, c: 3, d: 8, e: 2 }),
      einsumCase("ij,ij,ij->", { i: 4, j: 5 }),
      einsumCase("abc,c,bd,z->ad", { a: 2, b: 3, c: 4, d: 5, z: 2 }),
      einsumCase("xyij->xyji", { x: 2, y: 3, i: 4, j: 5 }, "...ij->...ji"),
      einsumCase("xyij,yjk->xyik", { x: 2, y: 3, i: 4, j: 5, k: 2 }, "...ij,...jk->...ik"),
      einsumCase("bxyc,cd->dbxy", { b: 2, x: 3, y: 2, c: 4, d: 5 }, "b...c,cd->db..."),
      einsumCase("xi,xi->x", { x: 3, i: 4 }, "...i,...i"),
      einsumCase("xib,xia->xab", { x: 3, i: 4, a: 2, b: 5 }, "...ib,...ia"),
      einsumCase("xyi->i", { x: 2, y: 3, i: 4 }, "...i->i"),
      einsumCase("xij,jk->xik", { x: 2, i: 3, j: 4, k: 5 }, "x...j,jk->x...k"),
      einsumCase("xii->xi", { x: 2, i: 3 }, "...ii->...i"),
      broadcastCase(),
    ],
  },
} satisfies Record<string, Sample>;
