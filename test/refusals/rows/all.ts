// A row for each export of "steepest/graph".
import type { Engine } from "steepest";
import type { Row } from "../sweep.js";
import { activationRows } from "./activation.js";

export function graphRows(_engine: Engine): readonly Row[] {
  return [...activationRows];
}
