// The states of layers (scope.state), one row for each row of the batch: their memory, and which batches may continue
// them.
import type { Engine } from "../engine/engine.js";
import { DataError } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import type { Region } from "../engine/ranges.js";
import { sizeOf } from "../graph/tensor.js";
import type { LayerState } from "../nn/layer.js";

export interface RowStates {
  readonly places: Map<LayerState, Region>;
  /** How many rows they have; `undefined`: all are zeros, for a batch of any size. */
  rows: number | undefined;
}

export function createRowStates(): RowStates {
  return { places: new Map(), rows: undefined };
}

/**
 * The address of a state, with room for so many rows. If there was less room, the state moves, and `moved` is called.
 */
export function placeOfRows(
  engine: Engine,
  { places }: RowStates,
  state: LayerState,
  rows: number,
  moved: () => void = () => {},
): Pointer {
  const bytes = rows * sizeOf(state.shape) * 4;
  const known = places.get(state);
  if (known !== undefined && known.bytes >= bytes) return known.address;
  const address = engine.allocateZeros(bytes);
  if (known !== undefined) {
    engine.write(address, engine.floats(known.address, known.bytes / 4).slice());
    engine.allocator.free(known.address);
    moved();
  }
  places.set(state, { address, bytes });
  return address;
}

/** Copies so many rows of a state: zeros if no program has used it yet. */
export function readRows(engine: Engine, { places }: RowStates, state: LayerState, rows: number): Float32Array {
  const values = new Float32Array(rows * sizeOf(state.shape));
  const place = places.get(state);
  // A state that only predictions go on with may have had fewer rows than training gave to others.
  if (place !== undefined) values.set(engine.floats(place.address, Math.min(values.length, place.bytes / 4)));
  return values;
}

/** Throws if a batch has another number of rows than the states: it is not known which row continues which. */
export function claimRows(states: RowStates, where: string, rows: number): void {
  if (states.rows !== undefined && states.rows !== rows) {
    throw new DataError(
      `${where}: the model's state holds ${states.rows} row${states.rows === 1 ? "" : "s"}, one for each of a batch, got a batch of ${rows}: call resetState() first`,
    );
  }
  states.rows = rows;
}

/** Sets all states to zeros, for a batch of any size. */
export function resetRows(engine: Engine, states: RowStates): void {
  for (const { address, bytes } of states.places.values()) engine.clear(address, bytes);
  states.rows = undefined;
}

export function releaseRows(engine: Engine, { places }: RowStates): void {
  for (const { address } of places.values()) engine.allocator.free(address);
  places.clear();
}
