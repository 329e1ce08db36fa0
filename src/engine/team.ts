// The back end whose workers share the engine's memory and make runs together.
import type { Backend, Background } from "./backend.js";
import { THREAD_SCRATCH_BYTES } from "./constants.js";
import {
  type Control,
  CRASHED,
  DONE,
  FURTHEST,
  giveUp,
  hasLeft,
  INTERRUPT,
  isGone,
  markLost,
  READY,
  reasonOf,
  regroup,
  SEQUENCE,
  STOP,
  viewControl,
  WATCHED,
} from "./control.js";
import { backendOf, type Core, openedOf } from "./core.js";
import { pause, performance } from "./host.js";
import type { Pointer } from "./instructions.js";
import type { CompiledKernels, Interpreter } from "./interpreter.js";
import {
  mayWait,
  type RunAnswer,
  type RunRequest,
  SILENT_MS,
  START_MS,
  startWorker,
  ThreadError,
  type WorkerPort,
  warnOfSilence,
  watchesWorkers,
} from "./threads.js";

// A worker finishes the kernel that it is at before it looks at the barrier again.
const JOIN_MS = 10_000;

export interface TeamOptions {
  /** Threads that take part in a run, among them the leader, thread 0. */
  readonly threads: number;
  /** Whether a worker leads. If not, the calling thread does. */
  readonly background: boolean;
}

/** Starts the workers, and waits until all are ready. Rejects with ThreadError, which says why one did not start. */
export async function startTeam(core: Core, module: CompiledKernels, options: TeamOptions): Promise<Backend> {
  const { memory, interpreter } = openedOf(core);
  const { threads, background } = options;
  const control = viewControl(memory, core.control);
  const leader = background ? createLeader(control) : undefined;
  const ports: WorkerPort[] = [];
  const stop = (): void => {
    Atomics.store(control.words, STOP, 1);
    // Releases workers that wait at a barrier for a leader that failed, and wakes those that sleep.
    giveUp(control.words);
    Atomics.add(control.words, SEQUENCE, 1);
    Atomics.notify(control.words, SEQUENCE);
    leader?.answered({ done: 0 });
    for (const port of ports) port.close();
  };
  try {
    for (let thread = background ? 0 : 1; thread < threads; thread++) {
      const scratch = core.scratch + thread * THREAD_SCRATCH_BYTES;
      const lost = (reason: string): void => {
        markLost(control, thread, `thread ${thread} ${reason}`);
        if (thread === 0) leader?.lost();
      };
      const data = { module, memory, control: core.control, thread, scratch };
      const port = startWorker(data, lost, (answer) => leader?.answered(answer as RunAnswer));
      ports.push(port);
      if (thread === 0) leader?.attach(port);
    }
    await allReady(control, ports.length, threads - 1);
  } catch (error) {
    stop();
    throw error;
  }
  const members = createMembers(control, threads - 1, background);
  const run = leadRun(core, control, members, interpreter.lead);
  const led = leader && backgroundRun(control, members, leader);
  return teamBackend(members, backendOf(core), run, led, stop);
}

async function allReady(control: Control, workers: number, followers: number): Promise<void> {
  const begun = performance.now();
  let isQuiet = true;
  // Whether they are watched may turn out only when one has started.
  const isWatched = (): boolean => !watchesWorkers() || Atomics.load(control.words, WATCHED) >= followers;
  while (Atomics.load(control.words, READY) < workers || !isWatched()) {
    const waited = performance.now() - begun;
    const late = waited > START_MS;
    const reason = reasonOf(control) ?? (late ? `a worker did not start within ${START_MS / 1000} s` : undefined);
    if (reason !== undefined) throw new ThreadError(`threads: ${reason}: use fewer threads`);
    const silent = workers - Atomics.load(control.words, READY);
    if (isQuiet && waited > SILENT_MS && silent > 0) {
      isQuiet = false;
      warnOfSilence(silent);
    }
    await pause(1);
  }
}

function teamBackend(
  members: Members,
  inline: Backend,
  lead: Backend["run"],
  led: Background | undefined,
  stop: () => void,
): Backend {
  return {
    get threads() {
      return members.threads;
    },
    get background() {
      return members.background ? led : undefined;
    },
    copies: undefined,
    get successor() {
      return members.unusable ? inline : undefined;
    },
    run(program, end, steps, threads) {
      if (threads > 1 && !members.background) lead(program, end, steps, threads);
      else inline.run(program, end, steps, threads);
    },
    stop,
  };
}

/** The threads that take part in runs, and what becomes of them. */
interface Members {
  /** How many there are, among them the leader. */
  readonly threads: number;
  /** Whether a worker leads. */
  readonly background: boolean;
  /** Whether no worker is left that could be of use to the calling thread. */
  readonly unusable: boolean;
  /** Whether a loss has been reported. Then wait until nobody is running, and ask who is missing. */
  hasLoss(): boolean;
  /** Whether a living worker has not left the last run yet. */
  anyRunning(): boolean;
  /** Whether one of those who are counted is gone, and not one who has been retired before. */
  anyMissing(): boolean;
  /** Retires those who are gone. Returns the error to throw. */
  retire(stepsDone: number, failedAt: Pointer): Error;
}

function createMembers(control: Control, followers: number, background: boolean): Members {
  let living = regroup(
    control,
    Array.from({ length: followers }, (_, index) => index + 1),
  );
  const members = {
    get threads() {
      return living.length + 1;
    },
    background,
    get unusable() {
      return !members.background && (living.length === 0 || !mayWait());
    },
    hasLoss: () => reasonOf(control) !== undefined,
    anyMissing() {
      if ((members.background && isGone(control, 0)) || living.some((worker) => isGone(control, worker))) return true;
      // The loss was reported twice.
      living = regroup(control, living);
      return false;
    },
    anyRunning: () => !living.every((worker) => isGone(control, worker) || hasLeft(control, worker)),
    retire(stepsDone: number, failedAt: Pointer) {
      const reason = reasonOf(control) ?? "a thread is lost";
      if (members.anyRunning()) return new Error(`${reason}, and others did not stop`);
      living = regroup(control, living);
      members.background &&= !isGone(control, 0);
      const left = members.unusable || members.threads === 1 ? "one thread" : `${members.threads} threads`;
      return new ThreadError(`threads: ${reason}: the engine goes on with ${left}`, stepsDone, failedAt);
    },
  };
  return members;
}

/** Runs that the calling thread leads. */
function leadRun(
  { control: address, scratch }: Core,
  { words }: Control,
  members: Members,
  lead: Interpreter["lead"],
): Backend["run"] {
  const joinSync = (): void => {
    for (const deadline = performance.now() + JOIN_MS; members.anyRunning() && performance.now() < deadline; ) {
      Atomics.wait(words, CRASHED, 1, 2);
    }
  };
  return (program, end, steps) => {
    if (members.hasLoss()) {
      // A worker may still be on its way out of the last run, whose last step is done.
      joinSync();
      if (members.anyMissing()) throw members.retire(0, 0);
    }
    const done = lead(address, program, end, steps, members.threads, scratch);
    if (done === steps) return;
    joinSync();
    throw members.retire(done, Atomics.load(words, FURTHEST) >>> 0);
  };
}

/** Runs that a worker leads. */
function backgroundRun(control: Control, members: Members, leader: Leader): Background {
  const { words } = control;
  const join = async (): Promise<void> => {
    for (const deadline = performance.now() + JOIN_MS; members.anyRunning() && performance.now() < deadline; ) {
      await pause(2);
    }
  };
  return {
    async run(program, end, steps, threads) {
      if (members.hasLoss()) {
        await join();
        if (members.anyMissing()) throw members.retire(0, 0);
      }
      const done = await leader.send({ program, end, steps, threads: threads > 1 ? members.threads : 1 });
      const isInterrupted = done > 0 && !members.hasLoss();
      if (Atomics.load(words, STOP) !== 0 || done === steps || isInterrupted) return done;
      const failedAt = Atomics.load(words, FURTHEST) >>> 0;
      await join();
      throw members.retire(done, failedAt);
    },
    interrupt: () => leader.interrupt(),
  };
}

/** The calling thread's link to the worker that leads. */
interface Leader {
  attach(port: WorkerPort): void;
  /** Resolves to the number of steps done. */
  send(request: RunRequest): Promise<number>;
  answered(answer: RunAnswer): void;
  /** No answer will come. The control block says how far the worker got. */
  lost(): void;
  interrupt(): void;
}

function createLeader({ words }: Control): Leader {
  let port: WorkerPort | undefined;
  let settle: ((answer: RunAnswer) => void) | undefined;
  return {
    attach(worker) {
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
