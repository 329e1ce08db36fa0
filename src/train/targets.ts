// The values of targets and of their weights: checked against what the loss takes, and copied.
import { DataError } from "../engine/errors.js";
import { sizeOf } from "../graph/tensor.js";
import { type FlatValues, writeFloats } from "../graph/values.js";
import { portName } from "../nn/ports.js";
import { hasIndices } from "../nn/weights.js";
import { type TargetFormat, targetShape } from "./data.js";

/** How many classes there are to choose from. */
function classesOf({ loss, port: { shape } }: TargetFormat): number {
  if (loss.targets === "labels") return 2 ** 32;
  return loss.classes?.(shape) ?? shape[shape.length - 1];
}

/**
 * Checks that the loss can take the targets, and copies them: as float32, or as class indices. `first`: index of the
 * first value.
 */
export function fillTargets(
  to: Float32Array | Uint32Array,
  data: FlatValues["data"],
  format: TargetFormat,
  first: number,
): void {
  const name = portName("y", format.port);
  if (format.weights !== undefined) {
    const weights = portName("weights", format.port);
    writeFloats(weights, to as Float32Array, data, first);
    const negative = findIndex(data, (value) => value < 0);
    if (negative < 0) return;
    throw new DataError(
      `${weights}: every weight must be a number of at least 0, got ${data[negative]} at index ${first + negative}`,
    );
  }
  const { ignoreIndex } = format.loss;
  if (!hasIndices(format.loss)) {
    writeFloats(name, to as Float32Array, data, first);
    checkTargetValues(name, data, format, first);
    return;
  }
  const classes = classesOf(format);
  const isClass = (value: number): boolean => Number.isInteger(value) && value >= 0 && value < classes;
  const bad = findIndex(data, (value) => !isClass(value) && value !== ignoreIndex);
  if (bad >= 0) {
    const orIgnored = ignoreIndex === undefined ? "" : `, or ${ignoreIndex} to be ignored`;
    throw new DataError(
      `${name}: every label must be a whole number from 0 to ${classes - 1}${orIgnored}, got ${data[bad]} at index ${first + bad}`,
    );
  }
  checkPadding(name, data, format, first);
  to.set(data);
}

/** Refuses a label behind padding: whoever wrote it takes the padding for a label. The data are whole samples. */
function checkPadding(name: string, data: FlatValues["data"], format: TargetFormat, first: number): void {
  const { name: loss, padding } = format.loss;
  if (padding === undefined) return;
  const size = sizeOf(targetShape(format));
  for (let at = 1; at < data.length; at++) {
    if (at % size === 0 || data[at] === padding || data[at - 1] !== padding) continue;
    throw new DataError(
      `${name}: ${loss}() takes ${padding} for padding, which only others of it may follow, got ${data[at]} behind it at index ${first + at}: let another class be the blank`,
    );
  }
}

function checkTargetValues(name: string, data: FlatValues["data"], format: TargetFormat, first: number): void {
  const { targets, ignoreValue } = format.loss;
  const refuse = (isBad: (value: number) => boolean, rule: string): void => {
    const bad =
      ignoreValue === undefined
        ? findIndex(data, isBad)
        : findIndex(data, (value) => isBad(value) && Math.fround(value) !== Math.fround(ignoreValue));
    if (bad < 0) return;
    const orIgnored = ignoreValue === undefined ? "" : `, or ${ignoreValue} to be ignored`;
    throw new DataError(`${name}: ${rule}${orIgnored}, got ${data[bad]} at index ${first + bad}`);
  };
  if (targets === "bits") refuse((v) => v !== 0 && v !== 1, "every target must be 0 or 1");
  if (targets === "signs") refuse((v) => v !== -1 && v !== 1, "every target must be -1 or 1");
  if (targets === "probabilities") refuse((v) => v < 0 || v > 1, "every target must lie within 0 and 1");
  if (targets !== "distributions") return;
  refuse((v) => v < 0 || v > 1, "every probability must lie within 0 and 1");
  const classes = classesOf(format);
  for (let row = 0; row < data.length; row += classes) {
    let sum = 0;
    for (let i = 0; i < classes; i++) sum += data[row + i];
    if (Math.abs(sum - 1) > 1e-3) {
      throw new DataError(
        `${name}: every distribution must sum to 1, got ${sum} for sample ${(first + row) / classes}`,
      );
    }
  }
}

function findIndex(data: FlatValues["data"], test: (value: number) => boolean): number {
  for (let i = 0; i < data.length; i++) if (test(data[i])) return i;
  return -1;
}
