// What is known as numbers while a graph is traced: PyTorch calculates the shape of a reshape by a dozen nodes.
import type { Numbers, Step, Value } from "./imported.js";

// More than any shape has: nothing else is calculated here.
const MAX_KNOWN = 4096;

const sizeOf = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

/** One number with each, or each with its own. */
function each(compute: (a: number, b: number) => number): (step: Step, of: readonly Numbers[]) => Numbers | undefined {
  return (_, [a, b]) => {
    const [n, m] = [a.data.length, b.data.length];
    if (n !== m && n !== 1 && m !== 1) return undefined;
    const from = n >= m ? a : b;
    const data = Array.from({ length: Math.max(n, m) }, (_unused, index) =>
      compute(a.data[n === 1 ? 0 : index], b.data[m === 1 ? 0 : index]),
    );
    return { dims: from.dims, data, whole: a.whole && b.whole };
  };
}

const list = (data: readonly number[], whole: boolean): Numbers => ({ dims: [data.length], data, whole });
const again = ({ data, whole }: Numbers, dims: readonly number[]): Numbers | undefined =>
  sizeOf(dims) === data.length ? { dims, data, whole } : undefined;

type Calculate = (step: Step, of: readonly Numbers[]) => Numbers | undefined;

const CALCULATED: Readonly<Record<string, Calculate>> = {
  Add: each((a, b) => a + b),
  Sub: each((a, b) => a - b),
  Mul: each((a, b) => a * b),
  Div: (step, of) => each((a, b) => (of.every(({ whole }) => whole) ? Math.trunc(a / b) : a / b))(step, of),
  Mod: (step, of) => each((a, b) => (step.int("fmod", 0) === 1 ? a % b : a - Math.floor(a / b) * b))(step, of),
  Max: each(Math.max),
  Min: each(Math.min),
  Equal: each((a, b) => Number(a === b)),
  Neg: (_, [x]) => ({ ...x, data: Array.from(x.data, (one) => -one) }),
  Where: (_, [mask, a, b]) => {
    const size = Math.max(mask.data.length, a.data.length, b.data.length);
    const from = [mask, a, b].find(({ data }) => data.length === size) as Numbers;
    if ([mask, a, b].some(({ data }) => data.length !== size && data.length !== 1)) return undefined;
    const at = ({ data }: Numbers, index: number) => data[data.length === 1 ? 0 : index];
    const data = Array.from({ length: size }, (_unused, index) => at(at(mask, index) === 0 ? b : a, index));
    return { dims: from.dims, data, whole: a.whole && b.whole };
  },
  Concat: (step, of) =>
    step.axis(step.int("axis"), step.rank(0)) === 0 && of.every(({ dims }) => dims.length === 1)
      ? list(
          of.flatMap(({ data }) => Array.from(data)),
          of[0].whole,
        )
      : undefined,
  Gather: (_, [x, at]) => {
    if (x.dims.length !== 1 || at.dims.length > 1) return undefined;
    const data = Array.from(at.data, (index) => x.data[index < 0 ? index + x.data.length : index]);
    return data.includes(undefined as never) ? undefined : { dims: at.dims, data, whole: x.whole };
  },
  Slice: (_, [x, starts, ends, , steps]) => {
    if (x.dims.length !== 1 || starts?.data.length !== 1 || ends?.data.length !== 1 || (steps?.data[0] ?? 1) !== 1)
      return undefined;
    return list(Array.from(x.data).slice(starts.data[0], ends.data[0]), x.whole);
  },
  Squeeze: (_, [x]) => (x.data.length === 1 ? { ...x, dims: [] } : undefined),
  Unsqueeze: (_, [x]) => (x.dims.length === 0 ? { ...x, dims: [1] } : undefined),
  Reshape: (_, [x, to]) => {
    const sizes = Array.from(to.data);
    const known = sizeOf(sizes.filter((size) => size !== -1));
    return again(
      x,
      sizes.map((size) => (size === -1 ? x.data.length / known : size)),
    );
  },
  Cast: (step, [x]) => {
    const whole = ![1, 10, 11, 16].includes(step.int("to"));
    return { dims: x.dims, data: whole ? Array.from(x.data, Math.trunc) : x.data, whole };
  },
  Identity: (_, [x]) => x,
  Floor: (_, [x]) => ({ ...x, data: Array.from(x.data, Math.floor) }),
  ReduceProd: (_, [x]) =>
    x.dims.length === 1 ? { dims: [], data: [sizeOf(Array.from(x.data))], whole: x.whole } : undefined,
};

/** How many inputs these have, by ONNX's rules. All others have one. */
const LEAST_INPUTS: Readonly<Record<string, number>> = {
  ...{ Add: 2, Sub: 2, Mul: 2, Div: 2, Mod: 2, Equal: 2, Where: 3, Gather: 2, Reshape: 2 },
};

/** The numbers that a node gives, if all that it reads is known; undefined: it is traced as others are. */
export function calculated(step: Step): Value | undefined {
  const { type, attributes } = step.node;
  if (type === "Shape") {
    const shape = step.shapeOf(0);
    return {
      known: list(
        shape.slice(step.int("start", 0), "end" in attributes ? step.int("end", shape.length) : undefined),
        true,
      ),
    };
  }
  if (type === "ConstantOfShape") return filled(step);
  if (type === "Size") return { known: { dims: [], data: [sizeOf(step.shapeOf(0))], whole: true } };
  if (type === "Range") return ranged(step);
  const calculate = Object.hasOwn(CALCULATED, type) ? CALCULATED[type] : undefined;
  const of = step.values.map((_, index) => step.knownOf(index));
  if (calculate === undefined || of.length === 0 || of.some((one) => one === undefined || one.data.length > MAX_KNOWN))
    return undefined;
  // Of one or three numbers the largest is found as that of other tensors is.
  if ((type === "Max" || type === "Min") && of.length !== 2) return undefined;
  const least = LEAST_INPUTS[type] ?? 1;
  if (of.length < least) throw step.error(`must have ${least} inputs, got ${of.length}`);
  const known = calculate(step, of as Numbers[]);
  return known === undefined ? undefined : { known };
}

function ranged(step: Step): Value {
  const [[start], [limit], [delta]] = [step.numbers(0), step.numbers(1), step.numbers(2)];
  const size = Math.max(Math.ceil((limit - start) / delta), 0);
  if (!(size <= MAX_KNOWN)) throw step.error(`must have at most ${MAX_KNOWN} numbers, got ${size}`);
  const whole = step.knownOf(0)?.whole === true;
  return {
    known: list(
      Array.from({ length: size }, (_, index) => start + index * delta),
      whole,
    ),
  };
}

function filled(step: Step): Value {
  const dims = step.numbers(0);
  const size = sizeOf(dims);
  if (!(size <= MAX_KNOWN) || dims.some((one) => !(one >= 0)))
    throw step.error(`its shape must have at most ${MAX_KNOWN} elements, got [${dims.slice(0, 8)}]`);
  const value = step.node.attributes.value;
  const tensor = value !== undefined && "t" in value ? value.t : undefined;
  return {
    known: {
      dims,
      data: new Array<number>(size).fill(tensor?.data[0] ?? 0),
      whole: tensor !== undefined && tensor.type !== "float",
    },
  };
}
