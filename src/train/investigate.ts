// Where a step went wrong: from the last copy of the values, the steps since are done again, until values are no longer
// finite. That step is then done once more, instruction by instruction.
import { operandsOf, type Pointer, repeatAt } from "../engine/instructions.js";
import type { Region } from "../engine/ranges.js";
import { nodesBehind } from "../graph/backward.js";
import { bytesOf, type Node, type Shape, sizeOf, type Tensor } from "../graph/tensor.js";
import type { DivergenceOrigin } from "./divergence.js";
import { EngineCall, type Job } from "./job.js";
import { trainedOf } from "./parameters.js";
import type { StepProgram } from "./programs.js";
import type { State } from "./state.js";
import type { ReadyStep } from "./steps.js";

/** What the instructions of a step say of its origin: `row` is that of the step's samples. */
export type Origin = Pick<DivergenceOrigin, "layer" | "operation" | "phase" | "tensor"> & {
  readonly row: number | undefined;
};

/** A part of a step that is done at once. */
interface Unit {
  readonly begin: Pointer;
  readonly end: Pointer;
  readonly node: Node | undefined;
  readonly kernel: string;
}

/** What is done in which round of the batches of a step. */
type Visit = (unit: Unit, round: number) => Job<Origin | undefined>;

/**
 * Does a step whose inputs are in place, instruction by instruction, up to the first that leaves a value that is not finite.
 */
export function* findOrigin(state: State, { program: step, part, samples }: ReadyStep): Job<Origin | undefined> {
  const sizes = { step: samples.length, part };
  const known = contextOf(step);
  return yield* walk(state, step, 0, step.program.listing.length, 0, function* (unit, round) {
    const { program } = step;
    const written = unit.node === undefined ? [] : floatsOf(step, unit.node);
    const regions = unit.node === undefined ? regionsWritten(state, unit) : written;
    yield new EngineCall({ ...program, address: unit.begin, end: unit.end }, 1, regions);
    if (unit.node === undefined) return lookAtValues(state, unit, regions);
    return lookAtNode(state, unit.node, written, known, { round, ...sizes });
  });
}

/** Goes through the units of a listing, repeats of the program itself included. */
function* walk(
  state: State,
  step: StepProgram,
  first: number,
  last: number,
  round: number,
  visit: Visit,
): Job<Origin | undefined> {
  const { address, end, listing } = step.program;
  const at = (index: number): Pointer => (index < listing.length ? address + listing[index].offset * 4 : end);
  for (let index = first, next = first; index < last; index = next) {
    const { origin, kernel } = listing[index];
    const node = origin as Node | undefined;
    const repeat = repeatAt(state.engine.heap.words, at(index) / 4);
    next = index + 1;
    if (repeat !== undefined) {
      while (next < last && at(next) < repeat.end * 4) next++;
      if (node === undefined) {
        for (let turn = 0; turn < repeat.count; turn++) {
          state.engine.write(repeat.counter, [turn], "uint32");
          const found = yield* walk(state, step, index + 1, next, turn, visit);
          if (found !== undefined) return found;
        }
        continue;
      }
    }
    // All instructions of a node are one unit: only then are its outputs complete.
    while (node !== undefined && next < last && listing[next].origin === node) next++;
    const found = yield* visit({ begin: at(index), end: at(next), node, kernel }, round);
    if (found !== undefined) return found;
  }
  return undefined;
}

interface Place extends Region {
  readonly tensor: Tensor;
}

function floatsOf(step: StepProgram, node: Node): Place[] {
  return step
    .writtenBy(node)
    .filter(({ tensor }) => tensor.dtype === "float32")
    .map(({ tensor, address }) => ({ tensor, address, bytes: bytesOf(tensor) }));
}

/** What a step's tensors are to its loss. */
interface Context {
  readonly loss: Tensor;
  /** The nodes that the loss depends on. */
  readonly forward: ReadonlySet<Node>;
  /** Tensors that are infinite because a constant is: a mask of -Infinity, for example. */
  readonly meant: Set<Tensor>;
}

function contextOf({ tensors: [loss] }: StepProgram): Context {
  return { loss, forward: new Set(nodesBehind([loss])), meant: new Set() };
}

/** Which samples the rows of a tensor are. */
interface Rows {
  readonly round: number;
  readonly step: number;
  readonly part: number;
}

function lookAtNode(
  { engine }: State,
  node: Node,
  written: readonly Place[],
  { loss, forward, meant }: Context,
  { round, step, part }: Rows,
): Origin | undefined {
  const isForward = forward.has(node) || (node.original !== undefined && forward.has(node.original));
  // Metrics may be infinite, and train nothing.
  if (!isForward && node.id < loss.id) return undefined;
  for (const { tensor, address } of written) {
    const values = engine.floats(address, sizeOf(tensor.shape));
    const at = firstBad(values, isMeant(node, meant) ? isNotNumber : isNotFinite);
    if (at < 0) {
      if (firstBad(values, isNotFinite) >= 0) meant.add(tensor);
      continue;
    }
    const rows = Math.min(part, step - round * part);
    const operation = nameOf(node, tensor);
    const { shape } = tensor;
    return {
      layer: node.scope,
      operation,
      phase: isForward ? "forward" : "backward",
      tensor: { name: `output of ${operation}`, shape, index: indexOf(at, shape), value: values[at] },
      row: shape[0] === rows ? round * part + Math.floor(at / (values.length / rows)) : undefined,
    };
  }
  return undefined;
}

/** Name of a node's operation, and of the activation that was fused into it. */
function nameOf({ operation }: Node, { source }: Tensor): string {
  const last = source.kind === "result" ? source.node.operation.name : operation.name;
  return last === operation.name ? last : `${operation.name} + ${last}`;
}

/** Whether infinities may come from a constant, or from the operation's own attributes. */
function isMeant({ inputs, attributes }: Node, meant: ReadonlySet<Tensor>): boolean {
  const own = typeof attributes === "object" && attributes !== null ? Object.values(attributes) : [attributes];
  if (own.some((value) => typeof value === "number" && isNotFinite(value))) return true;
  return inputs.some(
    (tensor) =>
      meant.has(tensor) || (tensor.source.kind === "constant" && firstBad(tensor.source.data, isNotFinite) >= 0),
  );
}

function isNotFinite(value: number): boolean {
  return value - value !== 0;
}

const isNotNumber = Number.isNaN;

function firstBad(values: ArrayLike<number>, isBad: (value: number) => boolean): number {
  for (let index = 0; index < values.length; index++) if (isBad(values[index])) return index;
  return -1;
}

/** The index along each axis. */
function indexOf(at: number, shape: Shape): number[] {
  const index: number[] = [];
  let rest = at;
  for (const size of [...shape].reverse()) {
    index.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return index;
}

/** The values that an instruction of no node has changed: gradients, parameters, buffers, the optimizer's. */
function regionsWritten({ engine, trained, fixed, gradients, optimizer }: State, { begin, end }: Unit): Region[] {
  const { outputs } = operandsOf(engine.heap.words, begin, end);
  const all = [{ address: gradients, bytes: trained.bytes }, trained, fixed, ...optimizer.slots];
  return all.filter(({ address, bytes }) => [...outputs].some((one) => one >= address && one < address + bytes));
}

function lookAtValues(state: State, { kernel }: Unit, regions: readonly Region[]): Origin | undefined {
  const { engine } = state;
  for (const { address, bytes } of regions) {
    const at = firstBad(engine.floats(address, bytes / 4), isNotFinite);
    if (at < 0) continue;
    const { layer, tensor } = valueAt(state, address, at);
    return { layer, operation: kernel, phase: "update", tensor, row: undefined };
  }
  return undefined;
}

/** The parameter, gradient or value of the optimizer that an element of a region belongs to. */
function valueAt(state: State, address: Pointer, at: number): Pick<Origin, "layer" | "tensor"> {
  const { engine, trained, fixed, gradients, config, optimizer } = state;
  const places: { name: string; path: string; shape: Shape; address: Pointer }[] = [];
  for (const [path, tensor] of config.model.parameters) {
    const { shape } = tensor;
    places.push({ name: path, path, shape, address: state.values.addressOf(tensor) });
  }
  for (const [path, tensor] of trainedOf(state)) {
    const offset = trained.offsets.get(tensor) as number;
    places.push({ name: `gradient of ${path}`, path, shape: tensor.shape, address: gradients + offset });
  }
  for (const [slot, parts] of optimizer.values) {
    for (const [path, part] of parts) places.push({ name: `${slot} of ${path}`, path, ...part });
  }
  const element = address + at * 4;
  const found = places.find((place) => element >= place.address && element < place.address + bytesOf(place));
  const value = engine.floats(element, 1)[0];
  if (found === undefined) {
    const name = address === fixed.address ? "buffers" : "the optimizer's state";
    return { layer: "", tensor: { name, shape: [], index: [], value } };
  }
  const index = indexOf((element - found.address) / 4, found.shape);
  const layer = found.path.includes(".") ? found.path.slice(0, found.path.lastIndexOf(".")) : "";
  return { layer, tensor: { name: found.name, shape: found.shape, index, value } };
}
