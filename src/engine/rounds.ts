// The messages between the calling thread and a worker that has a copy of its memory (replica.ts).
//
//   calling thread                                   worker
//   newer regions ────► ┌─────────────────┐ ───────► into the copy
//                       │ transfer buffer │          the call, in parts: it looks for an interrupt between them
//   into the memory ◄── └─────────────────┘ ◄─────── regions to read
//
// There is one buffer, which goes back and forth. If the contents do not fit, they take several rounds. So no message
// blocks a page for long, and there is no garbage, which the page would have to collect all at once.
import type { Pointer } from "./instructions.js";
import type { CompiledKernels, KernelMemory } from "./interpreter.js";
import type { Region } from "./ranges.js";

/** What a worker needs in order to hold a copy. */
export interface ReplicaData {
  readonly replica: true;
  readonly module: CompiledKernels;
}

/** A call over the copy. */
export interface ReplicaCall {
  readonly program: Pointer;
  readonly end: Pointer;
  readonly steps: number;
  readonly control: Pointer;
  readonly scratch: Pointer;
}

/** The worker copies the buffer's contents to `writes`, makes the call, if there is one, and fills the buffer from `reads`. */
export interface Round {
  readonly transferBuffer: ArrayBuffer;
  /** The length of the calling thread's memory. */
  readonly memoryBytes: number;
  readonly writes: readonly Region[];
  readonly call: ReplicaCall | undefined;
  readonly reads: readonly Region[];
}

/** An interrupt ends the current call after the step it is at. Without a call it does nothing. */
export type ReplicaRequest = Round | { readonly interrupt: true };

export type ReplicaAnswer = { readonly transferBuffer: ArrayBuffer; readonly done: number } | { readonly trap: string };

// Copying this much takes a few tenths of a millisecond.
export const TRANSFER_BYTES = 1 << 20;

/** Copies regions of the memory into the buffer, one behind the other. */
export function pack(transferBuffer: ArrayBuffer, { buffer }: KernelMemory, regions: readonly Region[]): void {
  const to = new Uint8Array(transferBuffer);
  let at = 0;
  for (const { address, bytes } of regions) {
    to.set(new Uint8Array(buffer, address, bytes), at);
    at += bytes;
  }
}

/** Copies the buffer's contents, which `pack` put there, into the same regions of another memory. */
export function unpack(transferBuffer: ArrayBuffer, { buffer }: KernelMemory, regions: readonly Region[]): void {
  const to = new Uint8Array(buffer);
  let at = 0;
  for (const { address, bytes } of regions) {
    to.set(new Uint8Array(transferBuffer, at, bytes), address);
    at += bytes;
  }
}

/** Divides regions among rounds, as much in each as the buffer holds. There is at least one round. */
export function intoRounds(regions: readonly Region[]): Region[][] {
  const rounds: Region[][] = [[]];
  let room = TRANSFER_BYTES;
  for (let { address, bytes } of regions) {
    while (bytes > 0) {
      if (room === 0) {
        rounds.push([]);
        room = TRANSFER_BYTES;
      }
      const part = Math.min(bytes, room);
      rounds[rounds.length - 1].push({ address, bytes: part });
      address += part;
      bytes -= part;
      room -= part;
    }
  }
  return rounds;
}
