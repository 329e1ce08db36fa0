// The memory that a program uses, found from its instructions.
import type { Block } from "./allocator.js";
import { operandsOf, type Pointer } from "./instructions.js";
import type { Region } from "./ranges.js";

/** The blocks that a program uses: those that it writes, those that it only reads, and those that are transient. */
export interface Touched {
  readonly writes: readonly Region[];
  readonly reads: readonly Region[];
  readonly transient: readonly Region[];
}

/** For the program in [program, end). `words` is the whole memory, `blocks` are its allocated blocks. */
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

function holdsAny({ address, bytes }: Region, addresses: ReadonlySet<Pointer>): boolean {
  for (const one of addresses) if (one >= address && one < address + bytes) return true;
  return false;
}
