// The control block, shared by all threads of an engine: the barrier, what the leader hands over, how far it is, tables with
// a word for each worker, and who has been lost, and why. Byte offsets; TypeScript has them from here (src/engine/control.ts).

/** How often all have met, and in the lowest byte how many of them have arrived for the next time. */
export const CONTROL_BARRIER: usize = 0;
export const ARRIVED: u32 = 0xff;
/** Not 0 once a thread has died: nobody waits for it any longer. */
export const CONTROL_CRASHED: usize = 8;
/** Counts the runs that the leader has begun; the others sleep on it. */
export const CONTROL_SEQUENCE: usize = 12;
export const CONTROL_PROGRAM: usize = 16;
export const CONTROL_PROGRAM_END: usize = 20;
export const CONTROL_STEPS: usize = 24;
/** How many workers have come up. */
export const CONTROL_READY: usize = 28;
export const CONTROL_STOP: usize = 32;
/** How many threads take part in the run, the leader among them. */
export const CONTROL_TOGETHER: usize = 36;
/** Not 0 if somebody is told of a worker's end while the others wait for it. */
export const CONTROL_WATCHED: usize = 40;
/** Not 0 once somebody writes the reason. */
export const CONTROL_TOLD: usize = 44;
/** Not 0: the run is to end after the step it is at. */
export const CONTROL_INTERRUPT: usize = 48;
/** Which run the leader ends early, and after how many steps (64 bits): a thread that comes late takes it for no other. */
export const CONTROL_ENDING: usize = 56;
// On a line of its own, as the leader writes it at each instruction while the others look at the barrier.
/** Whole steps that the run has done, and behind them the furthest instruction that anybody can have begun: 0 if none.
 *  From a body's second round on it is, within the body, the body's last word. */
export const CONTROL_DONE: usize = 64;
export const CONTROL_FURTHEST: usize = 68;

export const MAX_WORKERS: u32 = 64;
/** By worker: which thread of a run it is, and the last run that it has come out of, whether whole or cut short. */
export const CONTROL_PLACES: usize = 128;
export const CONTROL_LEFT: usize = CONTROL_PLACES + MAX_WORKERS * 4;
/** By worker: not 0 once it is lost. */
export const CONTROL_GONE: usize = CONTROL_LEFT + MAX_WORKERS * 4;
/** Why the first one was lost, as ASCII. */
export const CONTROL_REASON: usize = CONTROL_GONE + MAX_WORKERS * 4;
export const CONTROL_BYTES: usize = CONTROL_REASON + 256;
