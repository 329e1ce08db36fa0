// A row for each export of "steepest/graph".
import type { Engine } from "steepest";
import type { Row } from "../sweep.js";
import { activationRows } from "./activation.js";
import { functionRows } from "./functions.js";
import { imageRows } from "./images.js";
import { reduceRows } from "./reduce.js";
import { shapeRows } from "./shape.js";

export function graphRows(engine: Engine): readonly Row[] {
  return [...functionRows(engine), ...activationRows, ...shapeRows, ...reduceRows, ...imageRows];
}
