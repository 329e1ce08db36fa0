// V8 14 (Node 26) builds a vector constant anew wherever it stands in a loop; earlier ones move it out themselves.
// This pass does it for them: a v128.const in a loop becomes a local that is set in front of the outermost loop.
// It works on binaryen's text, one instruction a line, and leaves the rest as it is: the same module, the same bits.
//
// Beside it, a local that nobody uses, the last one of each function that waits: V8 11.3's baseline compiler (Node 20)
// keeps the address of an atomic wait in eight bytes where it has room for four, and the other four lie in the last local.
// Without it a thread that had slept at a barrier lost the generation that it waited for, and took itself for released.
import binaryen from "binaryen";

const OPENS = new Set(["block", "if", "loop", "try", "try_table"]);
// One cheap instruction makes a zero; it is not worth a register.
const ZERO = /^v128\.const i32x4( 0x0+){4}$/;

const WAIT = /^memory\.atomic\.wait(32|64)\b/;

/**
 * The lines of a function, the constants of its loops in locals. What follows a loop in the same block reads them too: the
 * rest of a row, which is the loop's body once more, then has the same bytes, and packs to nothing.
 */
function hoistInFunction(lines) {
  const locals = new Map();
  const result = [];
  let depth = 0;
  let loop; // the outermost that is open: its depth, its first line in `result`, the constants in it
  let known = []; // constants in locals, and the depth of the block that they were set in
  const read = (constant) => {
    if (!locals.has(constant)) locals.set(constant, `$constant${locals.size}`);
    return `local.get ${locals.get(constant)}`;
  };
  for (const line of lines) {
    const instruction = line.trim();
    const name = instruction.split(" ", 1)[0];
    if (name === "loop") loop ??= { depth, start: result.length, constants: new Set() };
    if (name === "else") known = known.filter((block) => block.depth < depth);
    if (OPENS.has(name)) depth++;
    if (name === "v128.const" && known.some(({ constants }) => constants.has(instruction))) {
      result.push(read(instruction));
    } else if (loop !== undefined && name === "v128.const" && !ZERO.test(instruction)) {
      loop.constants.add(instruction);
      result.push(read(instruction));
    } else {
      result.push(line);
    }
    if (name !== "end") continue;
    depth--;
    known = known.filter((block) => block.depth <= depth);
    if (depth !== loop?.depth) continue;
    const { start, constants } = loop;
    result.splice(start, 0, ...[...constants].flatMap((constant) => [constant, `local.set ${locals.get(constant)}`]));
    known.push({ depth, constants });
    loop = undefined;
  }
  const declarations = [...locals.values()].map((local) => `(local ${local} v128)`);
  if (lines.some((line) => WAIT.test(line.trim()))) declarations.push("(local $overwritten i64)");
  const body = result.findIndex((line, i) => i > 0 && !line.startsWith("  (local "));
  return result.toSpliced(body, 0, ...declarations);
}

/** A module's text, an instruction a line. */
export function textOf(bytes) {
  const module = binaryen.readBinaryWithFeatures(bytes, binaryen.Features.All);
  const text = module.emitStackIR();
  module.dispose();
  return text;
}

/** The module `bytes` with the constants of its loops in locals. */
export function hoistConstants(bytes) {
  const lines = [];
  let body;
  for (const line of textOf(bytes).split("\n")) {
    if (line.startsWith(" (func ")) body = [];
    (body ?? lines).push(line);
    if (body === undefined || line !== " )") continue;
    lines.push(...hoistInFunction(body));
    body = undefined;
  }
  const module = binaryen.parseText(lines.join("\n"));
  module.setFeatures(binaryen.Features.All);
  if (!module.validate()) throw new Error("hoistConstants: the module is not valid any more: see the lines above");
  const hoisted = module.emitBinary();
  module.dispose();
  return hoisted;
}
