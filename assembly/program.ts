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
//
// An instruction without units is a repeat. It runs the instructions in its body `count` times, with 0 … count - 1 in the
// word at `counter`, which thread 0 writes. Its size is that of head and body, its threads the most of its body's.
//
//   ┌────────┬──────┬───┬─────────┬─────────┬───────┬──────────────────────────────────┐
//   │ opcode │ size │ 0 │ threads │ counter │ count │ the body: instructions           │
//   └────────┴──────┴───┴─────────┴─────────┴───────┴──────────────────────────────────┘

import {
  ARRIVED,
  CONTROL_BARRIER,
  CONTROL_CRASHED,
  CONTROL_DONE,
  CONTROL_ENDING,
  CONTROL_FURTHEST,
  CONTROL_INTERRUPT,
  CONTROL_LEFT,
  CONTROL_PLACES,
  CONTROL_PROGRAM,
  CONTROL_PROGRAM_END,
  CONTROL_READY,
  CONTROL_SEQUENCE,
  CONTROL_STEPS,
  CONTROL_STOP,
  CONTROL_TOGETHER,
  CONTROL_WATCHED,
} from "./control";
import { dispatch } from "./dispatch";

const SIZE: usize = 4;
const UNITS: usize = 8;
const THREADS: usize = 12;
const COUNTER: usize = 16;
const COUNT: usize = 20;
const BODY: usize = 24;

// Some 60 µs, as long as it takes to put a thread to sleep and wake it again. With 4096 instead two threads gave 784-128-10
// at batch 128 1.1 times the speed of one (median of 15 rounds), with these 1.5; four times as many gave no more.
const SPINS: u32 = 65536;
const WAIT_NANOSECONDS: i64 = 100_000_000;
// A minute without a sign of the others, and nobody who would be told of their end: they are dead, whatever killed them.
const MAX_WAITS: u32 = 600;

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
      walk(program, programEnd, 0, control, scratch);
      endStep(control, step + 1);
      if (atomic.load<u32>(control, CONTROL_INTERRUPT) != 0) return step + 1;
    }
    return steps;
  }
  // No other run begins before all threads have come to this one's last barrier.
  const run = <u64>atomic.load<u32>(control, CONTROL_SEQUENCE) << 32;
  for (let step: u32 = 0; step < steps; step++) {
    const ending = run | (step + 1);
    const failedAt = runShared(program, programEnd, thread, threads, control, scratch, ending);
    if (failedAt != 0 && failedAt != programEnd) {
      if (thread == 0) store<u32>(control, failedAt, CONTROL_FURTHEST);
      return step;
    }
    if (thread == 0) endStep(control, step + 1);
    // Where only the last meeting failed, all instructions are done: the step is whole.
    if (failedAt != 0 || atomic.load<u64>(control, CONTROL_ENDING) == ending) return step + 1;
  }
  return steps;
}

/** In this order, as whoever looks after the leader was lost between the two must not take a whole step for one that was
 *  not begun. */
function endStep(control: usize, done: u32): void {
  store<u32>(control, done, CONTROL_DONE);
  store<u32>(control, 0, CONTROL_FURTHEST);
}

/** Runs a program as the leader, thread 0, together with the workers. Returns the steps done: see `run`. */
export function lead(control: usize, program: usize, programEnd: usize, steps: u32, threads: u32, scratch: usize): u32 {
  store<u32>(control, program, CONTROL_PROGRAM);
  store<u32>(control, programEnd, CONTROL_PROGRAM_END);
  store<u32>(control, steps, CONTROL_STEPS);
  store<u32>(control, threads, CONTROL_TOGETHER);
  store<u32>(control, 0, CONTROL_DONE);
  store<u32>(control, 0, CONTROL_FURTHEST);
  atomic.add<u32>(control, 1, CONTROL_SEQUENCE);
  atomic.notify(control + CONTROL_SEQUENCE, -1);
  return run(program, programEnd, steps, 0, threads, control, scratch);
}

/** A worker's life: waits for a run, cheaply, does its share, waits again; until told to stop. */
export function work(control: usize, worker: u32, scratch: usize): void {
  const own = control + (<usize>worker << 2);
  let seen: u32 = 0;
  atomic.add<u32>(control, 1, CONTROL_READY);
  while (atomic.load<u32>(control, CONTROL_STOP) == 0) {
    if (!awaitRun(control, seen)) continue;
    // The leader cannot begin another run before this one's last barrier, so what it wrote stays as it is.
    seen++;
    if (atomic.load<u32>(control, CONTROL_STOP) != 0) return;
    const thread = load<u32>(own, CONTROL_PLACES);
    const threads = load<u32>(control, CONTROL_TOGETHER);
    run(load<u32>(control, CONTROL_PROGRAM), load<u32>(control, CONTROL_PROGRAM_END), load<u32>(control, CONTROL_STEPS), thread, threads, control, scratch);
    atomic.store<u32>(own, seen, CONTROL_LEFT);
  }
}

/** Whether a run after the one `seen` has begun: spins a little, then sleeps until the leader wakes it. */
function awaitRun(control: usize, seen: u32): bool {
  for (let spin: u32 = 0; spin < SPINS; spin++) {
    if (atomic.load<u32>(control, CONTROL_SEQUENCE) != seen) return true;
  }
  atomic.wait<u32>(control + CONTROL_SEQUENCE, seen, -1);
  return atomic.load<u32>(control, CONTROL_SEQUENCE) != seen;
}

/** The units [begin, end) of one instruction: how tests hold that no result depends on the split. */
export function runRange(instruction: usize, begin: u32, end: u32, scratch: usize): void {
  dispatch(instruction, begin, end, scratch);
}

/** The instructions in [at, end) by one thread. All that is before `begun` counts as begun, whatever is run again. */
function walk(at: usize, end: usize, begun: usize, control: usize, scratch: usize): void {
  for (; at < end; at += load<u32>(at, SIZE)) {
    store<u32>(control, max(at, begun), CONTROL_FURTHEST);
    const units = load<u32>(at, UNITS);
    if (units != 0) dispatch(at, 0, units, scratch);
    else repeat(at, begun, control, scratch);
  }
}

function repeat(at: usize, begun: usize, control: usize, scratch: usize): void {
  const end = at + load<u32>(at, SIZE);
  const count = load<u32>(at, COUNT);
  for (let round: u32 = 0; round < count; round++) {
    store<u32>(load<u32>(at, COUNTER), round);
    walk(at + BODY, end, begun, control, scratch);
    begun = max(begun, end - 4);
  }
}

/** One step of one thread among several. Returns 0, or the instruction at which a crash of another thread ended it. */
function runShared(
  program: usize,
  programEnd: usize,
  thread: u32,
  threads: u32,
  control: usize,
  scratch: usize,
  ending: u64,
): usize {
  const failedAt = walkShared(program, programEnd, programEnd, 0, thread, threads, control, scratch);
  if (failedAt != 0) return failedAt;
  if (thread == 0 && atomic.load<u32>(control, CONTROL_INTERRUPT) != 0) atomic.store<u64>(control, ending, CONTROL_ENDING);
  return meet(control, threads) ? 0 : programEnd;
}

/** The instructions in [at, end) by one thread among several, who go on at `after`. Serial instructions are thread 0's;
 *  the rest meet at the barrier. Returns as `runShared`. */
function walkShared(
  at: usize,
  end: usize,
  after: usize,
  begun: usize,
  thread: u32,
  threads: u32,
  control: usize,
  scratch: usize,
): usize {
  let serialBefore = true;
  for (; at < end; at += load<u32>(at, SIZE)) {
    const furthest = max(at, begun);
    if (thread == 0) store<u32>(control, furthest, CONTROL_FURTHEST);
    const units = load<u32>(at, UNITS);
    const share = min(threads, load<u32>(at, THREADS));
    if (share <= 1) {
      if (thread == 0) {
        if (units != 0) dispatch(at, 0, units, scratch);
        else repeat(at, begun, control, scratch);
      }
      serialBefore = true;
      continue;
    }
    const next = at + load<u32>(at, SIZE);
    const continuation = next < end ? next : after;
    if (units == 0) {
      const failedAt = repeatShared(at, continuation, begun, thread, threads, control, scratch);
      if (failedAt != 0) return failedAt;
      serialBefore = true;
      continue;
    }
    if (serialBefore && !meet(control, threads)) return furthest;
    serialBefore = false;
    if (thread < share) {
      const first = <u32>((<u64>units * thread) / share);
      const last = <u32>((<u64>units * (thread + 1)) / share);
      if (first < last) dispatch(at, first, last, scratch);
    }
    // Whoever has met the others may begin the next.
    if (thread == 0) store<u32>(control, max(furthest, continuation), CONTROL_FURTHEST);
    if (!meet(control, threads)) return furthest;
  }
  return 0;
}

/** As `repeat`, by one thread among several, who go on at `after`. Returns as `runShared`. */
function repeatShared(
  at: usize,
  after: usize,
  begun: usize,
  thread: u32,
  threads: u32,
  control: usize,
  scratch: usize,
): usize {
  const body = at + BODY;
  const end = at + load<u32>(at, SIZE);
  const count = load<u32>(at, COUNT);
  for (let round: u32 = 0; round < count; round++) {
    // Nobody reads it now: the last round's instructions that are shared are done, the serial ones are this thread's.
    if (thread == 0) store<u32>(load<u32>(at, COUNTER), round);
    const failedAt = walkShared(body, end, round + 1 < count ? body : after, begun, thread, threads, control, scratch);
    if (failedAt != 0) return failedAt;
    begun = max(begun, end - 4);
  }
  return 0;
}

/** Waits until all threads have arrived: spins a little, then sleeps in slices. False when a thread has crashed: then it
 *  is so for all who are left, as whoever gives up takes its arrival back. */
function meet(control: usize, threads: u32): bool {
  const arrival = atomic.add<u32>(control, 1, CONTROL_BARRIER);
  if ((arrival & ARRIVED) == threads - 1) {
    atomic.store<u32>(control, (arrival | ARRIVED) + 1, CONTROL_BARRIER);
    atomic.notify(control + CONTROL_BARRIER, -1);
    return true;
  }
  for (let spin: u32 = 0; spin < SPINS; spin++) {
    if ((atomic.load<u32>(control, CONTROL_BARRIER) ^ arrival) > ARRIVED) return true;
  }
  let waits: u32 = 0;
  for (let now = atomic.load<u32>(control, CONTROL_BARRIER); (now ^ arrival) <= ARRIVED; now = atomic.load<u32>(control, CONTROL_BARRIER)) {
    if (waits++ == MAX_WAITS && atomic.load<u32>(control, CONTROL_WATCHED) == 0) atomic.store<u32>(control, 1, CONTROL_CRASHED);
    if (atomic.load<u32>(control, CONTROL_CRASHED) != 0 && (now & ARRIVED) != threads) {
      if (atomic.cmpxchg<u32>(control, now, now - 1, CONTROL_BARRIER) == now) return false;
      continue;
    }
    atomic.wait<u32>(control + CONTROL_BARRIER, now, WAIT_NANOSECONDS);
  }
  return true;
}
