// The workers of one engine that share its memory, and the runs that they make together.
import {
  type Control,
  CRASHED,
  DONE,
  FURTHEST,
  giveUp,
  INTERRUPT,
  isGone,
  isOut,
  markLost,
  READY,
  reasonOf,
  regroup,
  SEQUENCE,
  STOP,
  viewControl,
  WATCHED,
} from "./control.js";
import { pause, performance } from "./host.js";
import type { Pointer } from "./instructions.js";
import type { Interpreter } from "./interpreter.js";
import {
  mayWait,
  type RunAnswer,
  startWorker,
  type ThreadData,
  ThreadError,
  type WorkerPort,
  watchesWorkers,
} from "./threads.js";

/** A program in [program, end), to be run `steps` times. */
export interface Call {
  readonly program: Pointer;
  readonly end: Pointer;
  readonly steps: number;
  /** The most threads that any of its instructions can use. */
  readonly threads: number;
}

export interface ThreadTeam {
  /** Threads that take part in a run, its leader among them. */
  readonly threads: number;
  /** Whether a worker leads, beside the calling thread. */
  readonly background: boolean;
  /** Nobody is left who could help the calling thread. */
  readonly alone: boolean;
  /** Makes a run that the calling thread leads. Throws ThreadError after a loss; the team goes on with the rest. */
  run(call: Call, lead: Interpreter["lead"]): void;
  /** Has a run made in the background; resolves to the steps done: fewer than asked for after an interrupt or `stop`. */
  runInBackground(call: Call): Promise<number>;
  /** Ends the run in the background after the step it is at. */
  interrupt(): void;
  /** Ends the workers. */
  stop(): void;
}

const START_MS = 20_000;
// A kernel that is under way is worked off before its thread looks at the barrier.
const OUT_MS = 10_000;

/**
 * Starts threads 1 … threads - 1, and thread 0 too where calls are to run in the background; waits until all have come
 * up. Rejects with ThreadError, naming the reason.
 */
export async function startTeam(
  team: Omit<ThreadData, "thread" | "scratch"> & { readonly threads: number; readonly background: boolean },
  scratchOf: (thread: number) => Pointer,
): Promise<ThreadTeam> {
  const { background, threads, ...shared } = team;
  const control = viewControl(shared.memory, shared.control);
  const leader = background ? createLeader(control) : undefined;
  const ports: WorkerPort[] = [];
  const stop = (): void => {
    Atomics.store(control.words, STOP, 1);
    // Whoever waits at a barrier for a leader that failed itself comes out; whoever sleeps wakes up.
    giveUp(control.words);
    Atomics.add(control.words, SEQUENCE, 1);
    Atomics.notify(control.words, SEQUENCE);
    leader?.answered({ done: 0 });
    for (const port of ports) port.close();
  };
  try {
    for (let thread = background ? 0 : 1; thread < threads; thread++) {
      const data = { ...shared, thread, scratch: scratchOf(thread) };
      const lost = (reason: string): void => {
        markLost(control, thread, `thread ${thread} ${reason}`);
        if (thread === 0) leader?.lost();
      };
      const port = startWorker(data, lost, (answer) => leader?.answered(answer as RunAnswer));
      ports.push(port);
      if (thread === 0) leader?.take(port);
    }
    await allUp(control, ports.length, threads - 1);
  } catch (error) {
    stop();
    throw error;
  }
  const workers = Array.from({ length: threads - 1 }, (_, index) => index + 1);
  return createTeam(control, shared, scratchOf(0), workers, leader, stop);
}

async function allUp(control: Control, workers: number, followers: number): Promise<void> {
  const watched = watchesWorkers() ? followers : 0;
  const deadline = performance.now() + START_MS;
  while (Atomics.load(control.words, READY) < workers || Atomics.load(control.words, WATCHED) < watched) {
    const late = performance.now() > deadline;
    const reason = reasonOf(control) ?? (late ? `a worker did not start within ${START_MS / 1000} s` : undefined);
    if (reason !== undefined) throw new ThreadError(`threads: ${reason}: use fewer threads`);
    await pause(1);
  }
}

function createTeam(
  control: Control,
  { control: address }: { readonly control: Pointer },
  scratch: Pointer,
  workers: readonly number[],
  leader: Leader | undefined,
  stop: () => void,
): ThreadTeam {
  const { words } = control;
  let members = regroup(control, workers);
  let background = leader !== undefined;
  /** Why the next run cannot be made by all who are thought to be there. */
  const missing = (): string | undefined => {
    const reason = reasonOf(control);
    if (reason === undefined) return undefined;
    if ((background && isGone(control, 0)) || members.some((worker) => isGone(control, worker))) return reason;
    // It was told of twice.
    members = regroup(control, members);
    return undefined;
  };
  const stillIn = (): boolean => !members.every((worker) => isGone(control, worker) || isOut(control, worker));
  const lost = (stepsDone: number, failedAt: Pointer): Error => {
    const reason = reasonOf(control) ?? "a thread is lost";
    if (stillIn()) return new Error(`${reason}, and others did not stop`);
    members = regroup(control, members);
    background &&= !isGone(control, 0);
    const left = team.alone || team.threads === 1 ? "one thread" : `${team.threads} threads`;
    return new ThreadError(`threads: ${reason}: the engine goes on with ${left}`, stepsDone, failedAt);
  };
  const team: ThreadTeam = {
    get threads() {
      return members.length + 1;
    },
    get background() {
      return background;
    },
    get alone() {
      return !background && (members.length === 0 || !mayWait());
    },
    run({ program, end, steps }, lead) {
      if (missing() !== undefined) throw lost(0, 0);
      const done = lead(address, program, end, steps, team.threads, scratch);
      if (done === steps) return;
      for (const deadline = performance.now() + OUT_MS; stillIn() && performance.now() < deadline; ) {
        Atomics.wait(words, CRASHED, 1, 2);
      }
      throw lost(done, Atomics.load(words, FURTHEST) >>> 0);
    },
    async runInBackground({ program, end, steps, threads }) {
      if (leader === undefined || missing() !== undefined) throw lost(0, 0);
      const request = { program, end, steps, threads: threads > 1 ? team.threads : 1 };
      const done = await leader.send(request);
      if (Atomics.load(words, STOP) !== 0 || done === steps || (done > 0 && reasonOf(control) === undefined))
        return done;
      const failedAt = Atomics.load(words, FURTHEST) >>> 0;
      for (const deadline = performance.now() + OUT_MS; stillIn() && performance.now() < deadline; ) await pause(2);
      throw lost(done, failedAt);
    },
    interrupt: () => leader?.interrupt(),
    stop,
  };
  return team;
}

/** The calling thread's end of the worker that leads in the background. */
interface Leader {
  take(port: WorkerPort): void;
  send(request: object): Promise<number>;
  answered(answer: RunAnswer): void;
  /** Nobody will answer any longer: what it had done is in the control block. */
  lost(): void;
  interrupt(): void;
}

function createLeader({ words }: Control): Leader {
  let port: WorkerPort | undefined;
  let settle: ((answer: RunAnswer) => void) | undefined;
  return {
    take(worker) {
      port = worker;
    },
    send(request) {
      for (const word of [INTERRUPT, DONE, FURTHEST]) Atomics.store(words, word, 0);
      return new Promise((resolve, reject) => {
        settle = (answer) => {
          settle = undefined;
          Atomics.store(words, INTERRUPT, 0);
          if ("done" in answer) resolve(answer.done);
          else reject(new Error(answer.trap));
        };
        port?.send(request);
      });
    },
    answered: (answer) => settle?.(answer),
    lost: () => settle?.({ done: Atomics.load(words, DONE) }),
    interrupt() {
      if (settle !== undefined) Atomics.store(words, INTERRUPT, 1);
    },
  };
}
