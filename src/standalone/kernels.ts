// The kernels that recorded programs call, and a function for each program that calls them: a module of WebAssembly with
// nothing else in it. A kernel's code is that of the build, so its bits are too.
import { SteepestError } from "../engine/errors.js";
import { repeatAt } from "../engine/instructions.js";
import type { KernelBytes } from "../engine/module.js";
import { kernelKinds, kernelNames } from "../engine/recorder.js";
import type { BatchProgram, RecordedPrediction } from "./record.js";

export type Binaryen = typeof import("binaryen").default;
type Module = InstanceType<Binaryen["Module"]>;
type Code = ReturnType<Module["nop"]>;

/** Loads it when it is needed. Throws SteepestError if it is not installed. */
export async function loadBinaryen(where: string): Promise<Binaryen> {
  const { default: binaryen } = await import(/* webpackIgnore: true */ "binaryen").catch((cause: unknown) => {
    throw new SteepestError(`${where}: needs the package binaryen, which is not there: npm install binaryen`, {
      cause,
    });
  });
  return binaryen;
}

/** What the module's function for a batch size is called. */
export const functionFor = (batch: number): string => `predict${batch}`;

/** The module's bytes. It imports its memory, `env.memory`, and writes the data there when it is instantiated. */
export function moduleFor(binaryen: Binaryen, build: KernelBytes, recorded: RecordedPrediction): KernelBytes {
  // Released versions cannot be told the features before.
  const module = binaryen.readBinary(build);
  module.setFeatures(binaryen.Features.All);
  try {
    const signatures = signaturesIn(binaryen, module);
    for (const program of recorded.programs) addProgram(binaryen, module, signatures, program, recorded.scratch);
    for (const name of signatures.keys()) module.removeExport(name);
    module.runPasses(["remove-unused-module-elements"]);
    return withData(module.emitBinary() as KernelBytes, recorded.dataAt, recorded.data);
  } finally {
    module.dispose();
  }
}

/** An exported function. */
interface Signature {
  /** What it is called inside of the module. */
  readonly name: string;
  readonly parameters: number;
}

function signaturesIn(binaryen: Binaryen, module: Module): Map<string, Signature> {
  const found = new Map<string, Signature>();
  for (let index = 0; index < module.getNumExports(); index++) {
    const { name, kind, value } = binaryen.getExportInfo(module.getExportByIndex(index));
    if (kind !== binaryen.ExternalFunction) continue;
    const { params } = binaryen.getFunctionInfo(module.getFunction(value));
    found.set(name, { name: value, parameters: binaryen.expandType(params).length });
  }
  return found;
}

function addProgram(
  binaryen: Binaryen,
  module: Module,
  signatures: ReadonlyMap<string, Signature>,
  { batch, words }: BatchProgram,
  scratch: number,
): void {
  const locals: number[] = [];
  const numbers = new DataView(words.buffer, words.byteOffset);
  const call = (at: number): Code => {
    const kernel = kernelNames[words[at]];
    const kinds = kernelKinds[words[at]];
    const { name, parameters } = signatures.get(kernel) as Signature;
    const own = parameters > kinds.length + 2 ? [scratch] : [];
    const given: Code[] = [0, words[at + 2], ...own].map((value) => module.i32.const(value | 0));
    let place = (at + 4) * 4;
    for (const kind of kinds) {
      if (kind === "d") given.push(module.f64.const(numbers.getFloat64(place, true)));
      else if (kind === "f") given.push(module.f32.const(numbers.getFloat32(place, true)));
      else given.push(module.i32.const(numbers.getInt32(place, true)));
      place += kind === "d" ? 8 : 4;
    }
    return module.call(name, given, binaryen.none);
  };
  const codeOf = (from: number, to: number): Code => {
    const codes: Code[] = [];
    for (let at = from, next = at; at < to; at = next) {
      next = at + words[at + 1] / 4;
      const repeat = repeatAt(words, at);
      if (repeat === undefined) {
        codes.push(call(at));
        continue;
      }
      // local = 0; do { memory[counter] = local; body } while (++local < count)
      const local = locals.push(binaryen.i32) - 1;
      const label = `repeat${local}`;
      const advanced = module.i32.add(module.local.get(local, binaryen.i32), module.i32.const(1));
      const again = module.i32.lt_u(
        module.local.tee(local, advanced, binaryen.i32),
        module.i32.const(repeat.count | 0),
      );
      const rounds = [
        module.i32.store(0, 4, module.i32.const(repeat.counter | 0), module.local.get(local, binaryen.i32)),
        codeOf(repeat.body, repeat.end),
        module.br(label, again),
      ];
      codes.push(module.local.set(local, module.i32.const(0)), module.loop(label, module.block(null, rounds)));
    }
    return module.block(null, codes);
  };
  const body = codeOf(0, words.length);
  const name = functionFor(batch);
  module.addFunction(name, binaryen.none, binaryen.none, locals, body);
  module.addFunctionExport(name, name);
}

const DATA_SECTION = 11;
const ACTIVE = 0;
const I32_CONST = 0x41;
const END = 0x0b;

/** Adds a section of data behind the last, which is the code's: the module has none yet. */
function withData(module: KernelBytes, at: number, data: Uint8Array): KernelBytes {
  const head = [1, ACTIVE, I32_CONST, ...signed(at), END, ...unsigned(data.length)];
  const section = [DATA_SECTION, ...unsigned(head.length + data.length), ...head];
  const whole = new Uint8Array(module.length + section.length + data.length);
  whole.set(module);
  whole.set(section, module.length);
  whole.set(data, module.length + section.length);
  return whole;
}

/** A whole number of at least 0 in LEB128: seven bits a byte, the lowest first, and a flag where more follow. */
function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...unsigned(Math.floor(value / 128))];
}

/** The same of a signed number, whose last byte says the sign in its bit 6. */
function signed(value: number): number[] {
  return value < 64 ? [value] : [(value % 128) | 128, ...signed(Math.floor(value / 128))];
}
