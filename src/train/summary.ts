// The model as a table, and what training it takes, planned before the first step.
import { THREAD_SCRATCH_BYTES } from "../engine/engine.js";
import { showShape } from "../graph/tensor.js";
import { planTraining } from "./programs.js";
import type { Session } from "./session.js";
import { isTrainable, parameterCount } from "./state.js";

/** Bytes as people read them: `1.2 MiB`. */
export function showBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

export function summarize({ state, format, cache }: Session, batchSize: number): string {
  const { model, optimizer } = state.recipe;
  const rows = [["layer", "output shape", "parameters"]];
  for (const { key, shape } of model.inputs) {
    rows.push([key === undefined ? "input" : `input "${key}"`, showShape(shape), "0"]);
  }
  for (const layer of model.layers) {
    const name = layer.path === String(model.layers.indexOf(layer)) ? layer.kind : `${layer.kind} "${layer.path}"`;
    const count = parameterCount(layer.parameters.flatMap(({ tensor }) => (isTrainable(tensor) ? [tensor] : [])));
    rows.push([name, showShape(layer.outputShape), count.toLocaleString("en-US")]);
  }
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row: string[]): string =>
    `${row[0].padEnd(widths[0])}  ${row[1].padEnd(widths[1])}  ${row[2].padStart(widths[2])}`;
  const rule = "─".repeat(widths[0] + widths[1] + widths[2] + 4);
  const [head, ...body] = rows.map(line);
  const start = performance.now();
  const { arenaBytes, unsharedBytes, steps } = planTraining(state, format, batchSize);
  const planMs = performance.now() - start;
  const frozen = parameterCount([...state.keptLayout.offsets.keys()].filter(isTrainable));
  const frozenNote = frozen === 0 ? "" : ` (and ${frozen.toLocaleString("en-US")} frozen)`;
  const block = state.layout.bytes;
  const slots = block * state.slots.length;
  const { threads } = state.engine;
  const scratch = threads * THREAD_SCRATCH_BYTES;
  const planned = [
    `parameters ${showBytes(block + state.keptLayout.bytes)}`,
    `gradients ${showBytes(block)}`,
    `${optimizer.name} ${showBytes(slots)}`,
    `activations ${showBytes(arenaBytes)} (${showBytes(unsharedBytes)} without sharing)`,
    `scratch of ${threads === 1 ? "one thread" : `${threads} threads`} ${showBytes(scratch)}`,
  ];
  const held = cache.programs();
  const heldBytes = held.reduce((sum, { program }) => sum + program.end - program.address, 0);
  const plans = [
    `planned in ${planMs.toFixed(1)} ms: ${steps.length} steps`,
    `${held.length} program${held.length === 1 ? "" : "s"} held, ${showBytes(heldBytes)}`,
  ];
  return [
    head,
    rule,
    ...body,
    rule,
    `${parameterCount(state.parameters).toLocaleString("en-US")} parameters${frozenNote}; planned for batches of ${batchSize}: ${showBytes(2 * block + state.keptLayout.bytes + slots + arenaBytes + scratch)}`,
    `  ${planned.join(", ")}`,
    `  ${plans.join("; ")}`,
  ].join("\n");
}
