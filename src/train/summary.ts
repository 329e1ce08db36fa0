// The model as a table, and the memory that training needs, planned before the first step.

import { THREAD_SCRATCH_BYTES } from "../engine/constants.js";
import { performance } from "../engine/host.js";
import { showShape } from "../graph/tensor.js";
import type { AppliedLayer, LayerParameter, LayerParts } from "../nn/layer.js";
import { isShape } from "../nn/ports.js";
import { NO_OPTIMIZER } from "./optimizer.js";
import { planTraining } from "./programs.js";
import { copyBytes } from "./rewind.js";
import { isTrainable, parameterCount, type State } from "./state.js";

/** Bytes in readable units: `1.2 MiB`. */
export function showBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

/** One line: a layer's path, its output shape, and the number of its parameters. */
interface Row {
  readonly path: string;
  readonly kind: string;
  readonly shape: string;
  readonly count: string;
  readonly note: string;
}

const HEAD: Row = { path: "path", kind: "layer", shape: "output shape", count: "parameters", note: "" };

export function summarize(state: State, batchSize: number): string {
  const { model } = state.config;
  const inputs = model.inputs.map(
    ({ key = "", shape }): Row => ({ path: key, kind: "input", shape: showShape(shape), count: "", note: "" }),
  );
  const own = [...model.parameters].map(([name, tensor]) => ({ name, tensor }));
  const rows = [HEAD, ...inputs, ...rowsOf(state, model, own, "", "")];
  const widthOf = (column: keyof Row): number => Math.max(...rows.map((row) => row[column].length));
  const [path, kind, shape, count] = [widthOf("path"), widthOf("kind"), widthOf("shape"), widthOf("count")];
  const [head, ...body] = rows.map((row) =>
    [row.path.padEnd(path), row.kind.padEnd(kind), row.shape.padEnd(shape), row.count.padStart(count), row.note]
      .join("  ")
      .trimEnd(),
  );
  const rule = "─".repeat(path + kind + shape + count + 6);
  return [head, rule, ...body, rule, ...totals(state, batchSize)].join("\n");
}

/** Layers, with the layers in them indented, each with its full path, and parameters that a function made directly. */
function rowsOf(
  state: State,
  { layers }: LayerParts,
  parameters: readonly LayerParameter[],
  prefix: string,
  indent: string,
): Row[] {
  const ofLayers = new Set(layers.flatMap((layer) => layer.parameters.map(({ tensor }) => tensor)));
  const own = parameters.filter(({ tensor }) => !ofLayers.has(tensor));
  const rows = own.map(({ name, tensor }): Row => {
    const kind = isTrainable(tensor) ? "parameter" : "buffer";
    const counts = countsOf(state, "", { parameters: [{ name: `${prefix}${name}`, tensor }] });
    return { path: `${indent}${prefix}${name}`, kind, shape: showShape(tensor.shape), ...counts };
  });
  for (const layer of layers) {
    const path = `${prefix}${layer.path}`;
    const counts = countsOf(state, path, layer);
    rows.push({ path: `${indent}${path}`, kind: layer.kind, shape: showOutputs(layer), ...counts });
    if (layer.parts !== undefined)
      rows.push(...rowsOf(state, layer.parts, layer.parameters, `${path}.`, `${indent}  `));
  }
  return rows;
}

function showOutputs({ outputShape }: AppliedLayer): string {
  if (isShape(outputShape)) return showShape(outputShape);
  return Object.entries(outputShape)
    .map(([key, shape]) => `${key} ${showShape(shape)}`)
    .join(", ");
}

/**
 * The number of values at `path`, and notes: whether the backward pass computes the layer again, which values are not
 * trained, and with what layer they are shared.
 */
function countsOf(
  state: State,
  path: string,
  { parameters, recomputed = false }: Pick<AppliedLayer, "parameters"> & Partial<Pick<AppliedLayer, "recomputed">>,
): Pick<Row, "count" | "note"> {
  const tensors = parameters.map(({ tensor }) => tensor);
  const trainable = tensors.filter(isTrainable);
  const frozen = trainable.filter((tensor) => state.fixed.offsets.has(tensor));
  const buffers = parameterCount(tensors) - parameterCount(trainable);
  const notes: string[] = recomputed ? ["recomputed"] : [];
  if (frozen.length > 0) {
    notes.push(frozen.length === trainable.length ? "frozen" : `${showCount(parameterCount(frozen))} frozen`);
  }
  if (buffers > 0) notes.push(`${showCount(buffers)} in buffers`);
  const homes = new Set(parameters.map((parameter) => homeOf(state, parameter)));
  const [home] = homes;
  if (homes.size === 1 && home !== undefined && home !== path) notes.push(`shared with ${home}`);
  return { count: showCount(parameterCount(trainable)), note: notes.join(", ") };
}

/** The path of the layer to which a model's parameter belongs: that of its first application. */
function homeOf({ config }: State, { name, tensor }: LayerParameter): string | undefined {
  for (const [path, known] of config.model.parameters) {
    if (known === tensor) return path.endsWith(`.${name}`) ? path.slice(0, -name.length - 1) : undefined;
  }
  return undefined;
}

function showCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** The number of parameters, and the memory that training needs. */
function totals(state: State, batchSize: number): string[] {
  const start = performance.now();
  const { arenaBytes, unsharedBytes, steps } = planTraining(state, state.samples.format, batchSize);
  const planMs = performance.now() - start;
  const again = steps.filter(({ node }) => node.original !== undefined).length;
  const kept = [...state.fixed.offsets.keys()];
  const frozen = parameterCount(kept.filter(isTrainable));
  const buffers = parameterCount(kept) - frozen;
  const beside = [
    ...(frozen === 0 ? [] : [`${showCount(frozen)} frozen`]),
    ...(buffers === 0 ? [] : [`${showCount(buffers)} in buffers`]),
  ];
  const besideNote = beside.length === 0 ? "" : ` (and ${beside.join(", ")})`;
  const block = state.trained.bytes;
  const { optimizer, slots: slotLayouts, scratchBytes } = state.config.optimizer.layout;
  const slots = slotLayouts.reduce((sum, { bytes }) => sum + bytes, scratchBytes);
  const { threads } = state.engine;
  const scratch = threads * THREAD_SCRATCH_BYTES;
  // If a step has several batches, also those of the current batch, and its buffers.
  const gradients = state.parts === undefined ? block : 2 * block + state.fixed.bytes;
  const copy = copyBytes(state);
  const whole = block + gradients + state.fixed.bytes + slots + copy + arenaBytes + scratch;
  const planned = [
    `parameters ${showBytes(block + state.fixed.bytes)}`,
    `gradients ${showBytes(gradients)}`,
    ...(optimizer === NO_OPTIMIZER ? [] : [`${optimizer.name} ${showBytes(slots)}`]),
    ...(copy === 0 ? [] : [`copy to go back to ${showBytes(copy)}`]),
    `activations ${showBytes(arenaBytes)} (${showBytes(unsharedBytes)} without sharing)`,
    `scratch of ${threads === 1 ? "one thread" : `${threads} threads`} ${showBytes(scratch)}`,
  ];
  const held = [...state.programs.held.values()];
  const heldBytes = held.reduce((sum, { program }) => sum + program.end - program.address, 0);
  if (again > 0) {
    const saved = planTraining(state, state.samples.format, batchSize, () => undefined).arenaBytes - arenaBytes;
    const effect = saved < 0 ? "costs" : "saves";
    planned.push(`recompute ${effect} ${showBytes(Math.abs(saved))} (${again} steps run again)`);
  }
  const plans = [
    `planned in ${planMs.toFixed(1)} ms: ${steps.length} steps`,
    `${held.length} program${held.length === 1 ? "" : "s"} held, ${showBytes(heldBytes)}`,
  ];
  return [
    `${showCount(parameterCount(state.parameters))} parameters${besideNote}; planned for batches of ${batchSize}: ${showBytes(whole)}`,
    `  ${planned.join(", ")}`,
    `  ${plans.join("; ")}`,
  ];
}
