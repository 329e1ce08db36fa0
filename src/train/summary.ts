// The model as a table, and what training it takes, planned before the first step.
import { THREAD_SCRATCH_BYTES } from "../engine/engine.js";
import { showShape } from "../graph/tensor.js";
import { planTraining } from "./programs.js";
import { parameterCount, type State } from "./state.js";

/** Bytes as people read them: `1.2 MiB`. */
export function showBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

export function summarize(state: State, batchSize: number): string {
  const { model, optimizer } = state.recipe;
  const rows = [["layer", "output shape", "parameters"]];
  rows.push(["input", showShape(model.inputShape), "0"]);
  for (const layer of model.layers) {
    const name = layer.path === String(model.layers.indexOf(layer)) ? layer.kind : `${layer.kind} "${layer.path}"`;
    const count = parameterCount(layer.parameters.map((parameter) => parameter.tensor));
    rows.push([name, showShape(layer.outputShape), count.toLocaleString("en-US")]);
  }
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row: string[]): string =>
    `${row[0].padEnd(widths[0])}  ${row[1].padEnd(widths[1])}  ${row[2].padStart(widths[2])}`;
  const rule = "─".repeat(widths[0] + widths[1] + widths[2] + 4);
  const [head, ...body] = rows.map(line);
  const { arenaBytes, unsharedBytes } = planTraining(state, batchSize);
  const block = state.layout.bytes;
  const slots = block * state.slots.length;
  const { threads } = state.engine;
  const scratch = threads * THREAD_SCRATCH_BYTES;
  const planned = [
    `parameters ${showBytes(block)}`,
    `gradients ${showBytes(block)}`,
    `${optimizer.name} ${showBytes(slots)}`,
    `activations ${showBytes(arenaBytes)} (${showBytes(unsharedBytes)} without sharing)`,
    `scratch of ${threads === 1 ? "one thread" : `${threads} threads`} ${showBytes(scratch)}`,
  ];
  return [
    head,
    rule,
    ...body,
    rule,
    `${parameterCount(state.parameters).toLocaleString("en-US")} parameters; planned for batches of ${batchSize}: ${showBytes(2 * block + slots + arenaBytes + scratch)}`,
    `  ${planned.join(", ")}`,
  ].join("\n");
}
