// Values that stay in memory, by the tensor that they are of: parameters and buffers, under everything that runs programs.
import type { Engine } from "../engine/engine.js";
import { SteepestError } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import { createLease, type Lease } from "../engine/lease.js";
import type { Recorder } from "../engine/recorder.js";
import { align } from "./plan.js";
import { runOnce } from "./program.js";
import { bytesOf, type RandomKey, type Shape, sizeOf, type Tensor } from "./tensor.js";

/** A parameter's values with its shape; row-major. */
export interface ParameterValues {
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** Tensors one after another in a block, each on a cache line; offsets in bytes. */
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

/** Where a tensor is in a block. Throws SteepestError if it is not among the block's. */
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
  /** Gives each of these tensors, which have no values yet, values: zeros, in one block. */
  adopt(tensors: readonly Tensor[]): Block;
  /** Gives a block back; its tensors have no values any longer. */
  drop(block: Block): void;
  has(tensor: Tensor): boolean;
  /** Throws SteepestError for a tensor without a value. */
  addressOf(tensor: Tensor): Pointer;
  /** A copy of a tensor's values. */
  read(tensor: Tensor): ParameterValues;
  write(tensor: Tensor, values: Float32Array): void;
  /** Gives all memory back. */
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

/** A copy of what is stored for a tensor: its values, or what is laid out like them, as its gradient. */
export function readValues(engine: Engine, { shape }: { readonly shape: Shape }, address: Pointer): ParameterValues {
  return { shape, data: engine.floats(address, sizeOf(shape)).slice() };
}

/** What `read` gives for each tensor, by the tensors' names. */
export function byName<V>(tensors: ReadonlyMap<string, Tensor>, read: (tensor: Tensor) => V): Map<string, V> {
  return new Map([...tensors].map(([name, tensor]) => [name, read(tensor)]));
}

/**
 * Fills each parameter by its own initializer; stream `firstStream` + i is parameter i's, so that none depends on the
 * others.
 */
export function initializeParameters(
  engine: Engine,
  parameters: readonly Tensor[],
  addressOf: (tensor: Tensor) => Pointer,
  seed: RandomKey["seed"],
  firstStream = 1,
): void {
  runOnce(engine, (recorder) => recordFirstValues(recorder, parameters, addressOf, seed, firstStream));
}

/** Records what `initializeParameters` does. */
export function recordFirstValues(
  recorder: Recorder,
  parameters: readonly Tensor[],
  addressOf: (tensor: Tensor) => Pointer,
  seed: RandomKey["seed"],
  firstStream = 1,
): void {
  parameters.forEach((tensor, index) => {
    if (tensor.source.kind !== "parameter") return;
    const random = { seed, stream: firstStream + index };
    tensor.source.initializer.record(recorder, addressOf(tensor), tensor.shape, random);
  });
}
