// The interpreter. A program is data in linear memory, one instruction after another:
//
//   word 0        1              2       3          4 …
//   ┌────────┬──────────────┬───────┬──────────┬─────────────────────────────────────┐
//   │ opcode │ size (bytes) │ units │ threads  │ the kernel's arguments              │
//   └────────┴──────────────┴───────┴──────────┴─────────────────────────────────────┘
//
// `units` is how many independent units of work the instruction has, `threads` the most threads
// that are worth waking for it. Every thread walks the same program; thread t of T takes the units
// [units·t/T, units·(t+1)/T) of each instruction. A unit's result never depends on who computed it.

import { dispatch } from "./dispatch";

const SIZE: usize = 4;
const UNITS: usize = 8;
const THREADS: usize = 12;

// The barrier block, three words shared by all threads of an engine.
const ARRIVED: usize = 0;
const GENERATION: usize = 4;
const CRASHED: usize = 8;

const SPINS: u32 = 4096;
const WAIT_NANOSECONDS: i64 = 100_000_000;

/** The first address that the module itself does not use; TypeScript hands out memory from here. */
export function heapBase(): usize {
  return __heap_base;
}

/**
 * Runs the program in [program, programEnd) `steps` times as thread `thread` of `threads`; every
 * thread makes the same call. Returns the steps done: fewer than `steps` only after a crash elsewhere.
 */
export function run(
  program: usize,
  programEnd: usize,
  steps: u32,
  thread: u32,
  threads: u32,
  barrier: usize,
  scratch: usize,
): u32 {
  if (threads == 1) {
    for (let step: u32 = 0; step < steps; step++) {
      for (let at = program; at < programEnd; at += load<u32>(at, SIZE)) {
        dispatch(at, 0, load<u32>(at, UNITS), scratch);
      }
    }
    return steps;
  }
  for (let step: u32 = 0; step < steps; step++) {
    if (!runShared(program, programEnd, thread, threads, barrier, scratch)) return step;
  }
  return steps;
}

/** The units [begin, end) of one instruction: how tests hold that no result depends on the split. */
export function runRange(instruction: usize, begin: u32, end: u32, scratch: usize): void {
  dispatch(instruction, begin, end, scratch);
}

/** One step of one thread among several. Serial instructions are thread 0's; the rest meet at the barrier. */
function runShared(
  program: usize,
  programEnd: usize,
  thread: u32,
  threads: u32,
  barrier: usize,
  scratch: usize,
): bool {
  let serialBefore = true;
  for (let at = program; at < programEnd; at += load<u32>(at, SIZE)) {
    const units = load<u32>(at, UNITS);
    const share = min(threads, load<u32>(at, THREADS));
    if (share <= 1) {
      if (thread == 0) dispatch(at, 0, units, scratch);
      serialBefore = true;
      continue;
    }
    if (serialBefore && !meet(barrier, threads)) return false;
    serialBefore = false;
    if (thread < share) {
      const begin = <u32>((<u64>units * thread) / share);
      const end = <u32>((<u64>units * (thread + 1)) / share);
      if (begin < end) dispatch(at, begin, end, scratch);
    }
    if (!meet(barrier, threads)) return false;
  }
  return meet(barrier, threads);
}

/** Waits until all threads have arrived: spins a little, then sleeps in slices. False when a thread has crashed. */
function meet(barrier: usize, threads: u32): bool {
  const generation = atomic.load<u32>(barrier, GENERATION);
  if (atomic.add<u32>(barrier, 1, ARRIVED) == threads - 1) {
    atomic.store<u32>(barrier, 0, ARRIVED);
    atomic.add<u32>(barrier, 1, GENERATION);
    atomic.notify(barrier + GENERATION, -1);
    return true;
  }
  for (let spin: u32 = 0; spin < SPINS; spin++) {
    if (atomic.load<u32>(barrier, GENERATION) != generation) return true;
  }
  while (atomic.load<u32>(barrier, GENERATION) == generation) {
    if (atomic.load<u32>(barrier, CRASHED) != 0) return false;
    atomic.wait<u32>(barrier + GENERATION, generation, WAIT_NANOSECONDS);
  }
  return true;
}
