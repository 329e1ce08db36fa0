// The control block: words that all threads of an engine share. What the kernels' side knows of it is in
// assembly/program.ts; the rest is who has been lost, and why, as ASCII.

import type { Pointer } from "./instructions.js";
import type { KernelMemory } from "./interpreter.js";

export const CONTROL_BYTES = 1152;
export const MOST_WORKERS = 64;

// Indices of words.
export const BARRIER = 0;
export const CRASHED = 2;
export const SEQUENCE = 3;
export const READY = 7;
export const STOP = 8;
export const WATCHED = 10;
/** Set by whoever writes the reason. */
const TOLD = 11;
export const INTERRUPT = 12;
export const DONE = 16;
export const FURTHEST = 17;
// Tables by worker.
const PLACES = 32;
const LEFT = 96;
const GONE = 160;
const REASON_BYTES = 896;

export interface Control {
  readonly words: Int32Array;
  readonly reason: Uint8Array;
}

/** Growing a shared memory leaves old views short, not wrong: the block lies at its beginning. */
export function viewControl({ buffer }: KernelMemory, address: Pointer): Control {
  return {
    words: new Int32Array(buffer, address, REASON_BYTES / 4),
    reason: new Uint8Array(buffer, address + REASON_BYTES, CONTROL_BYTES - REASON_BYTES),
  };
}

/**
 * A worker has come to its end: nobody waits for it any longer. Whoever learns of it first says why; the first reason
 * stays, and is whole before anybody learns that there is one.
 */
export function markLost({ words, reason }: Control, worker: number, why: string): void {
  if (Atomics.exchange(words, GONE + worker, 1) !== 0) return;
  if (Atomics.exchange(words, TOLD, 1) !== 0) return;
  for (let i = 0; i < Math.min(why.length, reason.length); i++) reason[i] = why.charCodeAt(i) & 127;
  giveUp(words);
}

/** Whoever waits at the barrier comes out of the run. */
export function giveUp(words: Int32Array): void {
  Atomics.store(words, CRASHED, 1);
  Atomics.notify(words, BARRIER);
}

/** Why a worker was lost, once one has been. */
export function reasonOf({ words, reason }: Control): string | undefined {
  if (Atomics.load(words, CRASHED) === 0) return undefined;
  return String.fromCharCode(...reason.filter((code) => code !== 0)) || "a thread has given no sign for a minute";
}

export function isGone({ words }: Control, worker: number): boolean {
  return Atomics.load(words, GONE + worker) !== 0;
}

/** Whether a worker that lives has come out of the last run. */
export function isOut({ words }: Control, worker: number): boolean {
  return Atomics.load(words, LEFT + worker) === Atomics.load(words, SEQUENCE);
}

/**
 * Gives the workers that live their places in the runs to come, from 1 on, and returns them. All of them must be out of
 * the last run. Losses that come while this runs are either seen by it or by the next run.
 */
export function regroup(control: Control, workers: readonly number[]): number[] {
  const { words, reason } = control;
  reason.fill(0);
  Atomics.store(words, TOLD, 0);
  Atomics.store(words, CRASHED, 0);
  Atomics.store(words, BARRIER, 0);
  const living = workers.filter((worker) => !isGone(control, worker));
  living.forEach((worker, index) => {
    Atomics.store(words, PLACES + worker, index + 1);
  });
  return living;
}
