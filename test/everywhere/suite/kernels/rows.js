// How a row of the tables says what an operation is to give.
import { uniform } from "../numbers.js";
import { reader, tabulate } from "../reference.js";

const sizeOf = (shape) => shape.reduce((product, size) => product * size, 1);

/** An input of uniform numbers; `data` for others, which are uint32 where they are a Uint32Array. */
export const given = (shape, seed = 1, { low = -1, high = 1, data } = {}) => ({
  shape,
  data: data ?? uniform(sizeOf(shape), low, high, seed),
});

/**
 * An operation of some inputs: `trace(graph, tensors)` makes the result, of which `formula(readers, ...index)` gives each
 * element in float64. `readers` give each input's element at an index.
 */
export function row(operation, inputs, trace, shape, formula, options = {}) {
  const entries = Object.entries(inputs);
  const isIndex = ([, { data }]) => data instanceof Uint32Array;
  const floats = entries.filter((entry) => !isIndex(entry));
  return {
    operation,
    inputs: Object.fromEntries(floats.map(([name, { shape: size }]) => [name, size])),
    values: Object.fromEntries(floats.map(([name, { data }]) => [name, data])),
    wordInputs: Object.fromEntries(entries.filter(isIndex)),
    trace,
    want() {
      const readers = Object.fromEntries(entries.map(([name, { shape: size, data }]) => [name, reader(data, size)]));
      return tabulate(shape, (...index) => formula(readers, ...index));
    },
    ...options,
  };
}
