// The back end that runs everything on the calling thread.
import type { Backend } from "./backend.js";
import type { Pointer } from "./instructions.js";
import type { Interpreter } from "./interpreter.js";

export function inlineBackend({ run }: Interpreter, control: Pointer, scratch: Pointer): Backend {
  return {
    threads: 1,
    background: undefined,
    copies: undefined,
    successor: undefined,
    run(program, end, steps) {
      run(program, end, steps, 0, 1, control, scratch);
    },
    stop() {},
  };
}
