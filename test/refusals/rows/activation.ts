import * as ops from "steepest/graph";
import { input } from "steepest/graph";
import type { Row } from "../sweep.js";

const x = input([2, 3]);

/** A function of one tensor. */
export function unaryRow(name: string, call: (x: ops.Tensor) => ops.Tensor): Row {
  return { name, call, good: () => [x] };
}

export const activationRows: readonly Row[] = [
  { name: "leakyRelu", call: ops.leakyRelu, good: () => [x, { negativeSlope: 0.1 }], optional: ["1"] },
];
