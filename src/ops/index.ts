// Every operation, by name. What is no operation itself (`gradient`) is listed in NotAnOperation.
export {
  absolute,
  add,
  copyOf,
  divide,
  equal,
  exp,
  greater,
  greaterEqual,
  log,
  maximum,
  minimum,
  multiply,
  negate,
  type Operand,
  power,
  reciprocal,
  scale,
  select,
  shift,
  square,
  squareRoot,
  subtract,
} from "./elementwise.js";
export { gradient } from "./gradient.js";
export { type Axes, argmax, max, mean, min, type ReduceOptions, sum } from "./reduce.js";
export { broadcastTo, flatten, reshape, transpose } from "./shape.js";
