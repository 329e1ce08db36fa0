// A row for each export of "steepest/graph".
import type { Engine } from "steepest";
import type { Row } from "../sweep.js";
import { activationRows } from "./activation.js";
import { imageRows } from "./images.js";
import { reduceRows } from "./reduce.js";
import { shapeRows } from "./shape.js";

export function graphRows(_engine: Engine): readonly Row[] {
  return [...activationRows, ...shapeRows, ...reduceRows, ...imageRows];
}
