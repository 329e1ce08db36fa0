// Takes a batch out of data that lie in memory: which rows, the clock of assembly/kernels/step.ts says.
import { checkInteger, ModelError } from "../engine/errors.js";
import { rows } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkTensor, showShape, sizeOf, type Tensor } from "../graph/tensor.js";

const CLOCK_WORDS = 16;

const gathering: Operation<{ batch: number }> = {
  name: "gatherRows",
  infer: ([data, clock, order], { batch }) => {
    checkInteger("gatherRows", "batch", batch, 1);
    if (data.shape.length === 0) {
      throw new ModelError("gatherRows: data must have rows, got a scalar: hand in a tensor of shape [rows, ...]");
    }
    const [count, ...rest] = data.shape;
    if (batch > count) {
      throw new ModelError(
        `gatherRows: data of shape ${showShape(data.shape)} have ${count} rows, got a batch of ${batch}: use a smaller batch`,
      );
    }
    checkWords("clock", clock, CLOCK_WORDS);
    if (order !== undefined) checkWords("order", order, count);
    return [{ shape: [batch, ...rest], dtype: data.dtype }];
  },
  forward: (record, { inputs: [data], outputs: [result], to, from: [address, clock, order = 0] }) => {
    const [batch] = result.shape;
    const [count] = data.shape;
    record.gatherRows(
      rows(batch, sizeOf(result.shape)),
      to[0],
      address,
      order,
      clock,
      count,
      sizeOf(data.shape) / count,
    );
  },
};

function checkWords(name: string, tensor: Tensor, length: number): void {
  const { dtype, shape } = tensor;
  if (dtype === "uint32" && shape.length === 1 && shape[0] === length) return;
  throw new ModelError(
    `gatherRows: ${name} must be uint32 of shape [${length}], got ${dtype} of shape ${showShape(shape)}: make it with input([${length}], { dtype: "uint32" })`,
  );
}

/**
 * The batch that is due: rows `order[first]`, `order[first + 1]`, … of the data, where `first` is the clock's `row`.
 *
 * @param data `[rows, ...rest]` of any dtype.
 * @param order uint32 `[rows]`, a permutation of the rows; `undefined` takes them as they lie.
 * @param clock uint32 `[16]`, the block that assembly/kernels/step.ts draws.
 * @param batch Rows to take, at most `rows`.
 * @returns `[batch, ...rest]` of the data's dtype. It has no derivative: data are not trained.
 * @throws ModelError where a shape, a dtype or `batch` does not fit.
 */
export function gatherRows(data: Tensor, order: Tensor | undefined, clock: Tensor, batch: number): Tensor {
  checkTensor("gatherRows", data, "data must be a tensor");
  return apply(gathering, order === undefined ? [data, clock] : [data, clock, order], { batch });
}
