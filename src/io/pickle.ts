// A restricted reader of Python's pickles, for what PyTorch saves: numbers, text, lists, dicts, and tensors. No code of the file
// is run: what would call a function is refused by its name, unless it makes a dict or a tensor.
// https://github.com/python/cpython/blob/main/Lib/pickletools.py
import { showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { FormatError } from "./formatError.js";

/** A function or class that the pickle names: "torch._utils _rebuild_tensor_v2". */
export interface PickledGlobal {
  readonly global: string;
}

/** A tensor's storage: what PyTorch calls a persistent id. */
export interface PickledStorage {
  readonly persistent: unknown;
}

export interface PickleHost {
  /** Whether a global may be named. */
  knows(global: string): boolean;
  /** What calling a global with these arguments gives. */
  call(global: string, args: readonly unknown[]): unknown;
}

const MARK = Symbol("mark");

interface Machine {
  readonly where: string;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly host: PickleHost;
  readonly stack: unknown[];
  readonly memo: Map<number, unknown>;
  at: number;
}

type Opcode = (machine: Machine) => void;

/** What a pickle holds. Dicts are Maps, tuples and lists are arrays. */
export function readPickle(where: string, bytes: Uint8Array, host: PickleHost): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const machine: Machine = { where, bytes, view, host, stack: [], memo: new Map(), at: 0 };
  while (machine.at < bytes.length) {
    const code = bytes[machine.at++];
    if (code === STOP) return pop(machine);
    const run = OPCODES.get(code);
    if (run === undefined) {
      throw new FormatError(
        `${where}: a pickle must hold tensors, numbers and text only, got the opcode 0x${code.toString(16)} at byte ${machine.at - 1}: save a state_dict`,
      );
    }
    run(machine);
  }
  throw cut(where);
}

function cut(where: string): FormatError {
  return new FormatError(`${where}: a pickle must have an end, got none: the file is damaged`);
}

const STOP = 0x2e;

function take(machine: Machine, count: number): number {
  const { at, bytes, where } = machine;
  if (at + count > bytes.length) throw cut(where);
  machine.at += count;
  return at;
}

function pop({ stack, where }: Machine): unknown {
  if (stack.length === 0 || stack[stack.length - 1] === MARK) throw odd(where);
  return stack.pop();
}

function odd(where: string): FormatError {
  return new FormatError(
    `${where}: a pickle must be in order, got an operation without its operands: the file is damaged`,
  );
}

function popToMark({ stack, where }: Machine): unknown[] {
  const mark = stack.lastIndexOf(MARK);
  if (mark < 0) throw odd(where);
  return stack.splice(mark).slice(1);
}

function textOf(machine: Machine, length: number): string {
  const at = take(machine, length);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(machine.bytes.subarray(at, at + length)));
  } catch (cause) {
    throw new FormatError(`${machine.where}: text must be UTF-8, got other bytes: the file is damaged`, { cause });
  }
}

function lineOf(machine: Machine): string {
  const end = machine.bytes.indexOf(0x0a, machine.at);
  if (end < 0) throw cut(machine.where);
  const text = textOf(machine, end - machine.at);
  machine.at++;
  return text;
}

function named({ where, host }: Machine, module: unknown, name: unknown): PickledGlobal {
  const global = `${module}.${name}`;
  if (host.knows(global)) return { global };
  throw new FormatError(
    `${where}: a pickle must name nothing but tensors and dicts, got ${showValue(global)}, which is code: save a state_dict`,
  );
}

function long(machine: Machine): number {
  const length = machine.bytes[take(machine, 1)];
  const at = take(machine, length);
  let value = 0n;
  for (let index = length - 1; index >= 0; index--) value = (value << 8n) | BigInt(machine.bytes[at + index]);
  return Number(BigInt.asIntN(8 * length, value));
}

/** Whether it is a dict of the pickle. */
export function isMap(value: unknown): value is Map<unknown, unknown> {
  return kindOf(value) === "Map";
}

function setItems({ stack, where }: Machine, items: readonly unknown[]): void {
  const target = stack[stack.length - 1];
  if (!isMap(target) || items.length % 2 !== 0) throw odd(where);
  for (let index = 0; index < items.length; index += 2) target.set(items[index], items[index + 1]);
}

function append({ stack, where }: Machine, items: readonly unknown[]): void {
  const target = stack[stack.length - 1];
  if (!Array.isArray(target)) throw odd(where);
  for (const item of items) target.push(item);
}

function reduce(machine: Machine): void {
  const args = pop(machine);
  const callee = pop(machine) as Partial<PickledGlobal> | undefined;
  if (!Array.isArray(args) || typeof callee?.global !== "string") throw odd(machine.where);
  machine.stack.push(machine.host.call(callee.global, args));
}

const tuple =
  (count: number): Opcode =>
  (machine) => {
    const items = Array.from({ length: count }, () => pop(machine)).reverse();
    machine.stack.push(items);
  };
const push =
  (make: (machine: Machine) => unknown): Opcode =>
  (machine) => {
    machine.stack.push(make(machine));
  };
const get = (machine: Machine, index: number): unknown => {
  if (machine.memo.has(index)) return machine.memo.get(index);
  throw odd(machine.where);
};
const put = (machine: Machine, index: number): void => {
  const value = pop(machine);
  machine.memo.set(index, value);
  machine.stack.push(value);
};
const byte = (machine: Machine) => machine.bytes[take(machine, 1)];
const word = (machine: Machine) => machine.view.getUint32(take(machine, 4), true);

const OPCODES: ReadonlyMap<number, Opcode> = new Map<number, Opcode>([
  [0x80, (machine) => void take(machine, 1)], // PROTO
  [0x95, (machine) => void take(machine, 8)], // FRAME
  [0x28, push(() => MARK)],
  [0x4e, push(() => undefined)], // NONE
  [0x88, push(() => true)],
  [0x89, push(() => false)],
  [0x4b, push(byte)], // BININT1
  [0x4d, push((machine) => machine.view.getUint16(take(machine, 2), true))],
  [0x4a, push((machine) => machine.view.getInt32(take(machine, 4), true))],
  [0x8a, push(long)],
  [0x47, push((machine) => machine.view.getFloat64(take(machine, 8), false))],
  [0x58, push((machine) => textOf(machine, word(machine)))], // BINUNICODE
  [0x8c, push((machine) => textOf(machine, byte(machine)))],
  [0x7d, push(() => new Map())],
  [0x5d, push(() => [])],
  [0x29, push(() => [])],
  [0x74, push(popToMark)], // TUPLE
  [0x85, tuple(1)],
  [0x86, tuple(2)],
  [0x87, tuple(3)],
  [0x71, (machine) => put(machine, byte(machine))], // BINPUT
  [0x72, (machine) => put(machine, word(machine))],
  [0x94, (machine) => put(machine, machine.memo.size)], // MEMOIZE
  [0x68, push((machine) => get(machine, byte(machine)))], // BINGET
  [0x6a, push((machine) => get(machine, word(machine)))],
  [0x75, (machine) => setItems(machine, popToMark(machine))], // SETITEMS
  [
    0x73, // SETITEM
    (machine) => {
      const value = pop(machine);
      setItems(machine, [pop(machine), value]);
    },
  ],
  [0x65, (machine) => append(machine, popToMark(machine))], // APPENDS
  [0x61, (machine) => append(machine, [pop(machine)])], // APPEND
  [0x63, push((machine) => named(machine, lineOf(machine), lineOf(machine)))], // GLOBAL
  [
    0x93, // STACK_GLOBAL
    (machine) => {
      const name = pop(machine);
      machine.stack.push(named(machine, pop(machine), name));
    },
  ],
  [0x52, reduce],
  [0x62, (machine) => void pop(machine)], // BUILD: attributes of a dict, which has none
  [0x51, (machine) => machine.stack.push({ persistent: pop(machine) } satisfies PickledStorage)], // BINPERSID
]);
