// What a program works on, as its instructions say.
import type { Block } from "./allocator.js";
import { operandsOf, type Pointer } from "./instructions.js";
import type { Region } from "./ranges.js";

/** The blocks of memory that a program works on: those that it writes, those that it only reads, and transient ones. */
export interface Touched {
  readonly writes: readonly Region[];
  readonly reads: readonly Region[];
  readonly transient: readonly Region[];
}

/** Of the program in [program, end); `words` is all of memory, `blocks` what is allocated there. */
export function touchedBy(words: Uint32Array, blocks: readonly Block[], program: Pointer, end: Pointer): Touched {
  const { outputs, inputs } = operandsOf(words, program, end);
  const writes = blocks.filter(({ mark, ...block }) => mark !== "transient" && holdsAny(block, outputs));
  const others = blocks.filter((block) => !writes.includes(block));
  const tables = others.filter((block) => block.mark === "addresses" && holdsAny(block, inputs));
  const listed = new Set(
    tables.flatMap(({ address, bytes }) => [...words.subarray(address / 4, (address + bytes) / 4)]),
  );
  return {
    writes,
    reads: others.filter((block) => block.mark !== "transient" && (holdsAny(block, inputs) || holdsAny(block, listed))),
    transient: others.filter(
      (block) => block.mark === "transient" && (holdsAny(block, inputs) || holdsAny(block, outputs)),
    ),
  };
}

function holdsAny({ address, bytes }: Region, places: ReadonlySet<Pointer>): boolean {
  for (const place of places) if (place >= address && place < address + bytes) return true;
  return false;
}
