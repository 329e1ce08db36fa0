// What a worker runs that calls a function of a user's module. It is plain JavaScript as text, since it must load in bundles, in the
// source and in CommonJS alike.

/**
 * `answering(send)` gives what takes messages, one after another: { module, name, input }, and whether it is a trial of a search. It sends
 * { answer } for each, in their order, and { report } before that.
 */
export const ANSWERING = `
const answering = (send) => {
  let last = Promise.resolve();
  let loaded;
  const load = async (module, name) => {
    const { [name]: run } = await import(module);
    if (typeof run !== "function") throw new Error("a" + (name === "default" ? " default export" : "n export of this name") + " that is no function");
    return run;
  };
  const textOf = (error) => typeof error?.message === "string" ? (error.name ?? "Error") + ": " + error.message : String(error);
  const scoreOf = async (run, input) => {
    const { signal } = new AbortController();
    const report = (score) => { if (typeof score === "number") send({ report: score }); };
    const score = await run({ ...input, signal, report });
    return typeof score === "number" ? { score } : { error: "the score must be a finite number, got " + typeof score };
  };
  const answer = async ({ module, name, trial, input }) => {
    let run;
    try {
      run = await (loaded ??= load(module, name));
    } catch (error) {
      return { moduleError: textOf(error) };
    }
    return trial ? scoreOf(run, input) : { value: await run(input.element, input.place) };
  };
  const take = async (message) => {
    try {
      send({ answer: await answer(message) });
    } catch (error) {
      send({ answer: { error: textOf(error) } });
    }
  };
  return (message) => { last = last.then(() => take(message)); };
};
`;

/** What is sent to it. */
export interface ModuleCall {
  readonly module: string;
  readonly name: string;
  readonly trial: boolean;
  readonly input: unknown;
}

/** What it sends. */
export interface ModuleMessage {
  readonly report?: number;
  readonly answer?: ModuleAnswer;
}

/** What the function gave, what it threw, or why there is none. */
export interface ModuleAnswer {
  readonly value?: unknown;
  readonly score?: number;
  readonly error?: string;
  readonly moduleError?: string;
}

/** A thread or process that has loaded a module, and calls its function. */
export interface ModuleWorker {
  /** Calls are answered in their order. Rejects with text that says what became of the worker, if it is lost. */
  run(call: ModuleCall, onReport?: (score: number) => void): Promise<ModuleAnswer>;
  close(): void;
}

/** How messages reach a worker. */
export interface WorkerLink {
  /** Throws if it is something that cannot be posted. */
  send(call: ModuleCall): void;
  /** Whether it keeps the process alive. */
  hold(held: boolean): void;
  close(): void;
}

export interface WorkerListeners {
  message(message: ModuleMessage): void;
  lost(reason: string): void;
}

/** A worker, from what starts its thread or process. */
export function moduleWorker(start: (listeners: WorkerListeners) => WorkerLink): ModuleWorker {
  const calls: Pending[] = [];
  let lostBecause: string | undefined;
  const link = start({
    message({ report, answer }) {
      if (report !== undefined) calls[0]?.onReport(report);
      if (answer === undefined) return;
      calls.shift()?.resolve(answer);
      if (calls.length === 0) link.hold(false);
    },
    lost(reason) {
      lostBecause ??= `the worker was lost: ${reason}`;
      for (const { reject } of calls.splice(0)) reject(lostBecause);
    },
  });
  return {
    run: (call, onReport = () => {}) =>
      new Promise((resolve, reject) => {
        if (lostBecause !== undefined) return reject(lostBecause);
        link.send(call);
        link.hold(true);
        calls.push({ onReport, resolve, reject });
      }),
    close: () => link.close(),
  };
}

interface Pending {
  onReport(score: number): void;
  resolve(answer: ModuleAnswer): void;
  reject(reason: string): void;
}
