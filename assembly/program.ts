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

// The control block, words shared by all threads of an engine: the barrier's, and what the leader hands over.
const ARRIVED: usize = 0;
const GENERATION: usize = 4;
/** Not 0 once a thread has died: nobody waits for it any longer. */
const CRASHED: usize = 8;
/** Counts the runs that the leader has begun; the others sleep on it. */
const SEQUENCE: usize = 12;
const PROGRAM: usize = 16;
const PROGRAM_END: usize = 20;
const STEPS: usize = 24;
/** How many workers have come up. */
const READY: usize = 28;
const STOP: usize = 32;
/** The instruction that the leader stood at when it learnt of a crash. */
const FAILED_AT: usize = 36;
/** Counts the runs that workers have come out of, whether whole or cut short by a crash. */
const LEFT: usize = 40;
// The word at 44 is TypeScript's.
/** Not 0: the run is to end after the step it is at. */
const INTERRUPT: usize = 48;
/** Which run the leader ends early, and after how many steps (64 bits): a thread that comes late takes it for no other. */
const ENDING: usize = 56;

// Some 60 µs, as long as it takes to put a thread to sleep and wake it again. With 4096 instead two threads gave 784-128-10
// at batch 128 1.1 times the speed of one (median of 15 rounds), with these 1.5; four times as many gave no more.
const SPINS: u32 = 65536;
const WAIT_NANOSECONDS: i64 = 100_000_000;
// A minute without a sign of the others: they are dead, whatever killed them.
const MOST_WAITS: u32 = 600;

/** The first address that the module itself does not use; TypeScript hands out memory from here. */
export function heapBase(): usize {
  return __heap_base;
}

/**
 * Runs the program in [program, programEnd) `steps` times as thread `thread` of `threads`; every
 * thread makes the same call. Returns the steps done: fewer than `steps` only after a crash elsewhere or an interrupt.
 */
export function run(
  program: usize,
  programEnd: usize,
  steps: u32,
  thread: u32,
  threads: u32,
  control: usize,
  scratch: usize,
): u32 {
  if (threads == 1) {
    for (let step: u32 = 0; step < steps; step++) {
      for (let at = program; at < programEnd; at += load<u32>(at, SIZE)) {
        dispatch(at, 0, load<u32>(at, UNITS), scratch);
      }
      if (atomic.load<u32>(control, INTERRUPT) != 0) return step + 1;
    }
    return steps;
  }
  // No other run begins before all threads have come to this one's last barrier.
  const run = <u64>atomic.load<u32>(control, SEQUENCE) << 32;
  for (let step: u32 = 0; step < steps; step++) {
    const ending = run | (step + 1);
    const failedAt = runShared(program, programEnd, thread, threads, control, scratch, ending);
    if (failedAt != 0) {
      if (thread == 0) store<u32>(control, failedAt, FAILED_AT);
      return step;
    }
    if (atomic.load<u64>(control, ENDING) == ending) return step + 1;
  }
  return steps;
}

/** Runs a program as the leader, thread 0, together with the workers. Returns the steps done: see `run`. */
export function lead(control: usize, program: usize, programEnd: usize, steps: u32, threads: u32, scratch: usize): u32 {
  store<u32>(control, program, PROGRAM);
  store<u32>(control, programEnd, PROGRAM_END);
  store<u32>(control, steps, STEPS);
  atomic.add<u32>(control, 1, SEQUENCE);
  atomic.notify(control + SEQUENCE, -1);
  return run(program, programEnd, steps, 0, threads, control, scratch);
}

/** A worker's life: waits for a run, cheaply, does its share, waits again; until told to stop. */
export function work(control: usize, thread: u32, threads: u32, scratch: usize): void {
  let seen: u32 = 0;
  atomic.add<u32>(control, 1, READY);
  while (atomic.load<u32>(control, STOP) == 0) {
    if (!awaitRun(control, seen)) continue;
    // The leader cannot begin another run before this one's last barrier, so what it wrote stays as it is.
    seen++;
    if (atomic.load<u32>(control, STOP) != 0) return;
    run(load<u32>(control, PROGRAM), load<u32>(control, PROGRAM_END), load<u32>(control, STEPS), thread, threads, control, scratch);
    atomic.add<u32>(control, 1, LEFT);
    atomic.notify(control + LEFT, 1);
  }
}

/** Whether a run after the one `seen` has begun: spins a little, then sleeps until the leader wakes it. */
function awaitRun(control: usize, seen: u32): bool {
  for (let spin: u32 = 0; spin < SPINS; spin++) {
    if (atomic.load<u32>(control, SEQUENCE) != seen) return true;
  }
  atomic.wait<u32>(control + SEQUENCE, seen, -1);
  return atomic.load<u32>(control, SEQUENCE) != seen;
}

/** The units [begin, end) of one instruction: how tests hold that no result depends on the split. */
export function runRange(instruction: usize, begin: u32, end: u32, scratch: usize): void {
  dispatch(instruction, begin, end, scratch);
}

/** One step of one thread among several. Serial instructions are thread 0's; the rest meet at the barrier.
 *  Returns 0, or the instruction at which a crash of another thread ended it. */
function runShared(
  program: usize,
  programEnd: usize,
  thread: u32,
  threads: u32,
  control: usize,
  scratch: usize,
  ending: u64,
): usize {
  let serialBefore = true;
  for (let at = program; at < programEnd; at += load<u32>(at, SIZE)) {
    const units = load<u32>(at, UNITS);
    const share = min(threads, load<u32>(at, THREADS));
    if (share <= 1) {
      if (thread == 0) dispatch(at, 0, units, scratch);
      serialBefore = true;
      continue;
    }
    if (serialBefore && !meet(control, threads)) return at;
    serialBefore = false;
    if (thread < share) {
      const begin = <u32>((<u64>units * thread) / share);
      const end = <u32>((<u64>units * (thread + 1)) / share);
      if (begin < end) dispatch(at, begin, end, scratch);
    }
    if (!meet(control, threads)) return at;
  }
  if (thread == 0 && atomic.load<u32>(control, INTERRUPT) != 0) atomic.store<u64>(control, ending, ENDING);
  return meet(control, threads) ? 0 : programEnd;
}

/** Waits until all threads have arrived: spins a little, then sleeps in slices. False when a thread has crashed. */
function meet(control: usize, threads: u32): bool {
  const generation = atomic.load<u32>(control, GENERATION);
  if (atomic.add<u32>(control, 1, ARRIVED) == threads - 1) {
    atomic.store<u32>(control, 0, ARRIVED);
    atomic.add<u32>(control, 1, GENERATION);
    atomic.notify(control + GENERATION, -1);
    return true;
  }
  for (let spin: u32 = 0; spin < SPINS; spin++) {
    if (atomic.load<u32>(control, GENERATION) != generation) return true;
  }
  for (let waits: u32 = 0; atomic.load<u32>(control, GENERATION) == generation; waits++) {
    if (waits == MOST_WAITS) atomic.store<u32>(control, 1, CRASHED);
    if (atomic.load<u32>(control, CRASHED) != 0) return false;
    atomic.wait<u32>(control + GENERATION, generation, WAIT_NANOSECONDS);
  }
  return true;
}
