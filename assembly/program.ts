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

// The control block, shared by all threads of an engine: the barrier, what the leader hands over, how far it is, and
// tables with a word for each worker. TypeScript's part of it is in src/engine/control.ts.
/** How often all have met, and in the lowest byte how many of them have arrived for the next time. */
const BARRIER: usize = 0;
const ARRIVED: u32 = 0xff;
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
/** How many threads take part in the run, the leader among them. */
const TOGETHER: usize = 36;
/** Not 0 if somebody is told of a worker's end while the others wait for it. */
const WATCHED: usize = 40;
/** Not 0: the run is to end after the step it is at. */
const INTERRUPT: usize = 48;
/** Which run the leader ends early, and after how many steps (64 bits): a thread that comes late takes it for no other. */
const ENDING: usize = 56;
// On a line of its own, as the leader writes it at each instruction while the others look at the barrier.
/** Whole steps that the run has done, and behind them the furthest instruction that anybody can have begun: 0 if none. */
const DONE: usize = 64;
const FURTHEST: usize = 68;
/** By worker: which thread of a run it is, and the last run that it has come out of, whether whole or cut short. */
const PLACES: usize = 128;
const LEFT: usize = 384;

// Some 60 µs, as long as it takes to put a thread to sleep and wake it again. With 4096 instead two threads gave 784-128-10
// at batch 128 1.1 times the speed of one (median of 15 rounds), with these 1.5; four times as many gave no more.
const SPINS: u32 = 65536;
const WAIT_NANOSECONDS: i64 = 100_000_000;
// A minute without a sign of the others, and nobody who would be told of their end: they are dead, whatever killed them.
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
        store<u32>(control, at, FURTHEST);
        dispatch(at, 0, load<u32>(at, UNITS), scratch);
      }
      endStep(control, step + 1);
      if (atomic.load<u32>(control, INTERRUPT) != 0) return step + 1;
    }
    return steps;
  }
  // No other run begins before all threads have come to this one's last barrier.
  const run = <u64>atomic.load<u32>(control, SEQUENCE) << 32;
  for (let step: u32 = 0; step < steps; step++) {
    const ending = run | (step + 1);
    const failedAt = runShared(program, programEnd, thread, threads, control, scratch, ending);
    if (failedAt != 0 && failedAt != programEnd) {
      if (thread == 0) store<u32>(control, failedAt, FURTHEST);
      return step;
    }
    if (thread == 0) endStep(control, step + 1);
    // Where only the last meeting failed, all instructions are done: the step is whole.
    if (failedAt != 0 || atomic.load<u64>(control, ENDING) == ending) return step + 1;
  }
  return steps;
}

/** In this order, as whoever looks after the leader was lost between the two must not take a whole step for one that was
 *  not begun. */
function endStep(control: usize, done: u32): void {
  store<u32>(control, done, DONE);
  store<u32>(control, 0, FURTHEST);
}

/** Runs a program as the leader, thread 0, together with the workers. Returns the steps done: see `run`. */
export function lead(control: usize, program: usize, programEnd: usize, steps: u32, threads: u32, scratch: usize): u32 {
  store<u32>(control, program, PROGRAM);
  store<u32>(control, programEnd, PROGRAM_END);
  store<u32>(control, steps, STEPS);
  store<u32>(control, threads, TOGETHER);
  store<u32>(control, 0, DONE);
  store<u32>(control, 0, FURTHEST);
  atomic.add<u32>(control, 1, SEQUENCE);
  atomic.notify(control + SEQUENCE, -1);
  return run(program, programEnd, steps, 0, threads, control, scratch);
}

/** A worker's life: waits for a run, cheaply, does its share, waits again; until told to stop. */
export function work(control: usize, worker: u32, scratch: usize): void {
  const own = control + (<usize>worker << 2);
  let seen: u32 = 0;
  atomic.add<u32>(control, 1, READY);
  while (atomic.load<u32>(control, STOP) == 0) {
    if (!awaitRun(control, seen)) continue;
    // The leader cannot begin another run before this one's last barrier, so what it wrote stays as it is.
    seen++;
    if (atomic.load<u32>(control, STOP) != 0) return;
    const thread = load<u32>(own, PLACES);
    const threads = load<u32>(control, TOGETHER);
    run(load<u32>(control, PROGRAM), load<u32>(control, PROGRAM_END), load<u32>(control, STEPS), thread, threads, control, scratch);
    atomic.store<u32>(own, seen, LEFT);
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
  for (let at = program; at < programEnd; ) {
    const next = at + load<u32>(at, SIZE);
    if (thread == 0) store<u32>(control, at, FURTHEST);
    const units = load<u32>(at, UNITS);
    const share = min(threads, load<u32>(at, THREADS));
    if (share <= 1) {
      if (thread == 0) dispatch(at, 0, units, scratch);
      serialBefore = true;
      at = next;
      continue;
    }
    if (serialBefore && !meet(control, threads)) return at;
    serialBefore = false;
    if (thread < share) {
      const begin = <u32>((<u64>units * thread) / share);
      const end = <u32>((<u64>units * (thread + 1)) / share);
      if (begin < end) dispatch(at, begin, end, scratch);
    }
    // Whoever has met the others may begin the next.
    if (thread == 0) store<u32>(control, next, FURTHEST);
    if (!meet(control, threads)) return at;
    at = next;
  }
  if (thread == 0 && atomic.load<u32>(control, INTERRUPT) != 0) atomic.store<u64>(control, ending, ENDING);
  return meet(control, threads) ? 0 : programEnd;
}

/** Waits until all threads have arrived: spins a little, then sleeps in slices. False when a thread has crashed: then it
 *  is so for all who are left, as whoever gives up takes its arrival back. */
function meet(control: usize, threads: u32): bool {
  const arrival = atomic.add<u32>(control, 1, BARRIER);
  if ((arrival & ARRIVED) == threads - 1) {
    atomic.store<u32>(control, (arrival | ARRIVED) + 1, BARRIER);
    atomic.notify(control + BARRIER, -1);
    return true;
  }
  for (let spin: u32 = 0; spin < SPINS; spin++) {
    if ((atomic.load<u32>(control, BARRIER) ^ arrival) > ARRIVED) return true;
  }
  let waits: u32 = 0;
  for (let now = atomic.load<u32>(control, BARRIER); (now ^ arrival) <= ARRIVED; now = atomic.load<u32>(control, BARRIER)) {
    if (waits++ == MOST_WAITS && atomic.load<u32>(control, WATCHED) == 0) atomic.store<u32>(control, 1, CRASHED);
    if (atomic.load<u32>(control, CRASHED) != 0 && (now & ARRIVED) != threads) {
      if (atomic.cmpxchg<u32>(control, now, now - 1, BARRIER) == now) return false;
      continue;
    }
    atomic.wait<u32>(control + BARRIER, now, WAIT_NANOSECONDS);
  }
  return true;
}
