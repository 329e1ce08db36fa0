// Scan: a graph of its own for each step of a sequence.
import type { Tensor } from "../graph/tensor.js";
import { cast } from "../ops/rounding.js";
import { scan } from "../ops/scan.js";
import { transpose } from "../ops/shape.js";
import { flip } from "../ops/slice.js";
import { plain, type Step, type Value } from "./imported.js";
import type { Read } from "./readElements.js";

const list = (step: Step, name: string, count: number): readonly number[] => {
  const found = step.ints(name) ?? new Array<number>(count).fill(0);
  if (found.length === count) return found;
  throw step.error(`${name} must be ${count} numbers, got ${found.length}`);
};

const sameType = (x: Tensor, { dtype }: Tensor): Tensor => (x.dtype === dtype ? x : cast(x, dtype));

/** x with another axis in front, or the front axis in another place. */
function toFront(x: Tensor, axis: number): Tensor {
  if (axis === 0) return x;
  const axes = x.shape.map((_, at) => at);
  return transpose(x, [axis, ...axes.toSpliced(axis, 1)]);
}
function fromFront(x: Tensor, axis: number): Tensor {
  if (axis === 0) return x;
  const axes = x.shape.map((_, at) => at).slice(1);
  return transpose(x, axes.toSpliced(axis, 0, 0));
}

function scanned(step: Step): readonly Value[] {
  if (step.opset < 9) throw step.error(`must be of opset 9 or later, got ${step.opset}`);
  const body = step.graph("body");
  const rowCount = step.int("num_scan_inputs");
  const carryCount = step.values.length - rowCount;
  const outputCount = body.outputs.length - carryCount;
  if (rowCount < 1 || carryCount < 0 || outputCount < 0 || body.inputs.length !== step.values.length)
    throw step.error(`its body must take ${step.values.length} inputs, got ${body.inputs.length}`);
  const [axes, ways] = [list(step, "scan_input_axes", rowCount), list(step, "scan_input_directions", rowCount)];
  const outAxes = list(step, "scan_output_axes", outputCount);
  const outWays = list(step, "scan_output_directions", outputCount);
  const reverse = ways.every((way) => way === 1);
  const turned = (x: Tensor, way: number) => (way === Number(reverse) ? x : flip(x, 0));
  const carries = Array.from({ length: carryCount }, (_, index) => step.tensor(index));
  const rows = axes.map((axis, index) => {
    const x = step.tensor(carryCount + index);
    return turned(toFront(x, step.axis(axis, x.shape.length)), ways[index]);
  });
  const run = step.within(body);
  const [last, ys] = scan(
    (carry: readonly Tensor[], row: readonly Tensor[]) => {
      const results = run([...carry, ...row]);
      return [results.slice(0, carryCount).map((x, index) => sameType(x, carry[index])), results.slice(carryCount)];
    },
    carries as readonly Tensor[],
    rows as readonly Tensor[],
    { reverse },
  );
  const stacked = (ys as readonly Tensor[]).map((y, index) => {
    const whole = turned(y, outWays[index]);
    return fromFront(whole, step.axis(outAxes[index], whole.shape.length));
  });
  return [...(last as readonly Tensor[]), ...stacked].map(plain);
}

export const loopReaders = { Scan: scanned } satisfies Record<string, Read>;
