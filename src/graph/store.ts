// Values of parameters and buffers, which stay in memory, by their tensor. Functions, trainers and workspaces use this
// store.
import type { Engine } from "../engine/engine.js";
import { SteepestError } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import { createLease, type Lease } from "../engine/lease.js";
import type { Recorder } from "../engine/recorder.js";
import { align } from "./plan.js";
import { runOnce } from "./program.js";
import { bytesOf, type RandomKey, type Shape, sizeOf, type Tensor } from "./tensor.js";

/** The values of a parameter, row-major, with its shape. */
export interface ParameterValues {
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** The layout of tensors in a block: one after another, each on a cache line. Offsets in bytes. */
export interface BlockLayout {
  readonly bytes: number;
  readonly offsets: ReadonlyMap<Tensor, number>;
}

export function layoutBlock(tensors: readonly Tensor[]): BlockLayout {
  const offsets = new Map<Tensor, number>();
  let bytes = 0;
  for (const tensor of tensors) {
    offsets.set(tensor, bytes);
    bytes += align(bytesOf(tensor));
  }
  return { bytes, offsets };
}

/** The offset of a tensor in a block. Throws SteepestError if it is not in the block. */
export function offsetIn({ offsets }: BlockLayout, tensor: Tensor): number {
  const offset = offsets.get(tensor);
  if (offset !== undefined) return offset;
  throw new SteepestError(`memory: ${tensor.name} must be in the block, got one of another: please report it`);
}

/** A block in memory. */
export interface Block extends BlockLayout {
  readonly address: Pointer;
}

/** Values by tensor. */
export interface ValueStore {
  readonly engine: Engine;
  /** How many tensors have a value. */
  readonly size: number;
  /** Allocates zeros for these tensors, which have no values yet, in one block. */
  adopt(tensors: readonly Tensor[]): Block;
  /** Frees a block. Its tensors then have no values. */
  drop(block: Block): void;
  has(tensor: Tensor): boolean;
  /** Throws SteepestError for a tensor without a value. */
  addressOf(tensor: Tensor): Pointer;
  /** A copy of a tensor's values. */
  read(tensor: Tensor): ParameterValues;
  write(tensor: Tensor, values: Float32Array): void;
  /** Frees all memory. */
  dispose(): void;
}

export function createValueStore(engine: Engine): ValueStore {
  const addresses = new Map<Tensor, Pointer>();
  const blocks = new Map<Block, Lease>();
  const addressOf = (tensor: Tensor): Pointer => {
    const address = addresses.get(tensor);
    if (address !== undefined) return address;
    throw new SteepestError(`memory: ${tensor.name} must have a value, got none: please report it`);
  };
  const drop = (block: Block): void => {
    blocks.get(block)?.release();
    blocks.delete(block);
    for (const tensor of block.offsets.keys()) addresses.delete(tensor);
  };
  return {
    engine,
    get size() {
      return addresses.size;
    },
    adopt(tensors) {
      const layout = layoutBlock(tensors);
      const lease = createLease(engine);
      const block: Block = { ...layout, address: lease.takeZeros(layout.bytes) };
      blocks.set(block, lease);
      for (const [tensor, offset] of layout.offsets) addresses.set(tensor, block.address + offset);
      return block;
    },
    drop,
    has: (tensor) => addresses.has(tensor),
    addressOf,
    read: (tensor) => readValues(engine, tensor, addressOf(tensor)),
    write: (tensor, values) => engine.write(addressOf(tensor), values),
    dispose() {
      for (const block of [...blocks.keys()]) drop(block);
    },
  };
}

/** Copies the values of a tensor, or values with the same layout, such as its gradient. */
export function readValues(engine: Engine, { shape }: { readonly shape: Shape }, address: Pointer): ParameterValues {
  return { shape, data: engine.floats(address, sizeOf(shape)).slice() };
}

/** The result of `read` for each tensor, by name. */
export function byName<V>(tensors: ReadonlyMap<string, Tensor>, read: (tensor: Tensor) => V): Map<string, V> {
  return new Map([...tensors].map(([name, tensor]) => [name, read(tensor)]));
}

/**
 * Fills each parameter by its initializer. Parameter i uses the random stream `firstStream` + i, so it does not depend
 * on the other parameters.
 */
export function initializeParameters(
  engine: Engine,
  parameters: readonly Tensor[],
  addressOf: (tensor: Tensor) => Pointer,
  seed: RandomKey["seed"],
  firstStream = 1,
): void {
  runOnce(engine, (recorder) => recordFirstValues(recorder, parameters, addressOf, seed, firstStream));
  writeFirstValues(engine, parameters, addressOf);
}

/** Writes the values of parameters that begin with given ones: see `beginWith`. */
export function writeFirstValues(
  engine: Engine,
  parameters: readonly Tensor[],
  addressOf: (tensor: Tensor) => Pointer,
): void {
  for (const tensor of parameters) {
    const { source } = tensor;
    if (source.kind === "parameter" && source.values) engine.write(addressOf(tensor), source.values);
  }
}

/** Records the instructions of `initializeParameters`, but for given values: `writeFirstValues` writes those. */
export function recordFirstValues(
  recorder: Recorder,
  parameters: readonly Tensor[],
  addressOf: (tensor: Tensor) => Pointer,
  seed: RandomKey["seed"],
  firstStream = 1,
): void {
  parameters.forEach((tensor, index) => {
    if (tensor.source.kind !== "parameter" || tensor.source.values) return;
    const random = { seed, stream: firstStream + index };
    tensor.source.initializer.record(recorder, addressOf(tensor), tensor.shape, random);
  });
}
