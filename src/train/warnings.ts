// Warnings: what is most likely a mistake, but works. Errors are for what cannot work.
import { fn, type OptionRule } from "../engine/options.js";
import type { Tensor } from "../graph/tensor.js";
import { type Port, portName } from "../nn/ports.js";
import type { ByteScale } from "../ops/gather.js";
import { type InputValues, isStored } from "./bytes.js";
import type { OutputConfig, State } from "./state.js";

/** What is most likely a mistake. docs/troubles.md has a section for each code. */
export interface Warning {
  /** Such as "softmax-before-logits". */
  readonly code: string;
  /** Where, and what was found. */
  readonly message: string;
  /** What helps. */
  readonly remedy: string;
}

/** What is told of warnings; `false`: nobody is. */
export type Warn = ((warning: Warning) => void) | false;

const shown = new Set<string>();

/** Writes a warning to the console, the first of each code. */
function toConsole({ code, message, remedy }: Warning): void {
  if (shown.has(code)) return;
  shown.add(code);
  console.warn(`steepest: ${message}: ${remedy} (${code})`);
}

const RULE = /* @__PURE__ */ fn<(warning: Warning) => void>();

/** The option `warn`. Default: the console, once for each code. */
export const warnRule: OptionRule<Warn> = (where, name, value) => {
  if (value === undefined) return toConsole;
  return value === false ? false : RULE(where, name, value);
};

/** Warns of an output whose loss includes what the model already does before it changes the shape. */
export function warnOfLogits(warn: Warn, trial: readonly Tensor[], outputs: readonly OutputConfig[]): void {
  if (warn === false) return;
  outputs.forEach(({ loss, port }, index) => {
    const found = loss?.includes?.find((kind) => kind === nameBefore(trial[index]));
    if (found === undefined) return;
    const where = port.key === undefined ? "compile" : `compile: output "${port.key}"`;
    warn({
      code: "softmax-before-logits",
      message: `${where}: ${loss?.name} takes logits, but they have been through ${found}(), and only changed their shape since`,
      remedy: `remove ${found}(), predict() applies it`,
    });
  });
}

/** What a trainer has seen of inputs of bytes. */
export interface SeenBytes {
  /** What those of each input were scaled by last; nothing if it was 1 and 0. */
  readonly scaled: (ByteScale | undefined)[];
  isWarned: boolean;
}

/** Notes what bytes are scaled by; warns, once a trainer, of bytes without a scale where those before had one. */
export function warnOfBytes(
  { config: { warn }, samples: { bytes } }: State,
  where: string,
  x: readonly InputValues[],
  inputs: readonly Port[],
): void {
  if (warn === false || bytes.isWarned) return;
  // Single predictions pass here, so this is a loop, which allocates nothing.
  for (let index = 0; index < x.length; index++) {
    const { scaled } = x[index];
    const before = bytes.scaled[index];
    if (scaled !== undefined) {
      if (scaled.scale !== 1 || scaled.offset !== 0) bytes.scaled[index] = scaled;
    } else if (before !== undefined && isStored(x[index], inputs[index])) {
      bytes.isWarned = true;
      warn(unscaledBytes(`${where}: ${portName("x", inputs[index])}`, before));
      return;
    }
  }
}

function unscaledBytes(where: string, { scale, offset }: ByteScale): Warning {
  const shown = (value: number): number => Number(value.toPrecision(6));
  return {
    code: "bytes-unscaled",
    message: `${where} is bytes without scale and offset, but those before had scale ${shown(scale)} and offset ${shown(offset)}`,
    remedy: "give these the same: predict(x, { scale, offset }), evaluate({ x, y, scale, offset })",
  };
}

/** Name of the operation that made a tensor's values, whatever shapes they had since. */
function nameBefore({ source }: Tensor): string | undefined {
  if (source.kind !== "result") return undefined;
  const { operation, inputs } = source.node;
  return operation.forward === undefined && inputs.length === 1 ? nameBefore(inputs[0]) : operation.name;
}
