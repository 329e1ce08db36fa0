// The control block: words that all threads of an engine share. assembly/control.ts says what each of them is.

import {
  CONTROL_BARRIER,
  CONTROL_BYTES,
  CONTROL_CRASHED,
  CONTROL_DONE,
  CONTROL_FURTHEST,
  CONTROL_GONE,
  CONTROL_INTERRUPT,
  CONTROL_LEFT,
  CONTROL_PLACES,
  CONTROL_READY,
  CONTROL_REASON,
  CONTROL_SEQUENCE,
  CONTROL_STOP,
  CONTROL_TOLD,
  CONTROL_WATCHED,
} from "./constants.js";
import type { Pointer } from "./instructions.js";
import type { KernelMemory } from "./interpreter.js";

// Indices of words, or of tables with a word for each worker.
export const BARRIER = CONTROL_BARRIER / 4;
export const CRASHED = CONTROL_CRASHED / 4;
export const SEQUENCE = CONTROL_SEQUENCE / 4;
export const READY = CONTROL_READY / 4;
export const STOP = CONTROL_STOP / 4;
export const WATCHED = CONTROL_WATCHED / 4;
const TOLD = CONTROL_TOLD / 4;
export const INTERRUPT = CONTROL_INTERRUPT / 4;
export const DONE = CONTROL_DONE / 4;
export const FURTHEST = CONTROL_FURTHEST / 4;
const PLACES = CONTROL_PLACES / 4;
export const LEFT = CONTROL_LEFT / 4;
const GONE = CONTROL_GONE / 4;

export interface Control {
  readonly words: Int32Array;
  readonly reason: Uint8Array;
}

/** These views stay valid when a shared memory grows, as the block is at its beginning. */
export function viewControl({ buffer }: KernelMemory, address: Pointer): Control {
  return {
    words: new Int32Array(buffer, address, CONTROL_REASON / 4),
    reason: new Uint8Array(buffer, address + CONTROL_REASON, CONTROL_BYTES - CONTROL_REASON),
  };
}

/**
 * Marks a worker as lost, so that nobody waits for it any longer. The first reason is kept; it is complete before
 * anybody can see that there is one.
 */
export function markLost({ words, reason }: Control, worker: number, why: string): void {
  if (Atomics.exchange(words, GONE + worker, 1) !== 0) return;
  if (Atomics.exchange(words, TOLD, 1) !== 0) return;
  for (let i = 0; i < Math.min(why.length, reason.length); i++) reason[i] = why.charCodeAt(i) & 127;
  giveUp(words);
}

/** Makes all threads that wait at the barrier leave the run. */
export function giveUp(words: Int32Array): void {
  Atomics.store(words, CRASHED, 1);
  Atomics.notify(words, BARRIER);
}

/** Why a worker was lost, if one has been since the last `regroup`. */
export function reasonOf({ words, reason }: Control): string | undefined {
  if (Atomics.load(words, CRASHED) === 0) return undefined;
  return String.fromCharCode(...reason.filter((code) => code !== 0)) || "a thread has given no sign for a minute";
}

export function isGone({ words }: Control, worker: number): boolean {
  return Atomics.load(words, GONE + worker) !== 0;
}

/** Whether a living worker has left the last run. */
export function hasLeft({ words }: Control, worker: number): boolean {
  return Atomics.load(words, LEFT + worker) === Atomics.load(words, SEQUENCE);
}

/**
 * Numbers the living workers from 1 on for the runs to come, and returns them. All of them must have left the last run.
 * A worker that is lost meanwhile is noticed here or at the next run.
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
