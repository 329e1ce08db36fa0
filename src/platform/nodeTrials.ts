// Threads and processes for the trials of a search.
import { type ChildProcess, spawn } from "node:child_process";
import { Worker } from "node:worker_threads";
import { SteepestError } from "../engine/errors.js";
import type { TrialWorker, WorkerAnswer, WorkerKind } from "../search/host.js";

// What a worker runs: plain JavaScript as text, since it must load in the bundle, in the source and in CommonJS alike.
const PROGRAM = `
const threads = require("node:worker_threads");
const port = threads.isMainThread
  ? { send: (message) => process.send(message, () => {}), listen: (take) => process.on("message", take) }
  : { send: (message) => threads.parentPort.postMessage(message), listen: (take) => threads.parentPort.on("message", take) };
if (threads.isMainThread) process.on("disconnect", () => process.exit());
let loaded;
const load = async (module) => {
  const { default: run } = await import(module);
  if (typeof run !== "function") throw new Error("a default export that is no function");
  return run;
};
const textOf = (error) => typeof error?.message === "string" ? (error.name ?? "Error") + ": " + error.message : String(error);
port.listen(async ({ module, input }) => {
  let run;
  try {
    run = await (loaded ??= load(module));
  } catch (error) {
    return port.send({ answer: { moduleError: textOf(error) } });
  }
  try {
    const { signal } = new AbortController();
    const report = (score) => { if (typeof score === "number") port.send({ report: score }); };
    const score = await run({ ...input, signal, report });
    port.send({ answer: typeof score === "number" ? { score } : { error: "the score must be a finite number, got " + typeof score } });
  } catch (error) {
    port.send({ answer: { error: textOf(error) } });
  }
});
`;

interface Message {
  readonly report?: number;
  readonly answer?: WorkerAnswer;
}

/** What a thread and a process have in common. */
interface Link {
  send(message: object): void;
  close(): void;
}

interface Listeners {
  message(message: Message): void;
  lost(reason: string): void;
}

export function startTrialWorker(where: string, module: string, kind: WorkerKind): TrialWorker {
  let settle: { resolve(answer: WorkerAnswer): void; reject(reason: string): void } | undefined;
  let onReport: (score: number) => void = () => {};
  let lostBecause: string | undefined;
  const listeners: Listeners = {
    message({ report, answer }) {
      if (report !== undefined) onReport(report);
      if (answer !== undefined) settle?.resolve(answer);
    },
    lost(reason) {
      lostBecause ??= `the worker was lost: ${reason}`;
      settle?.reject(lostBecause);
    },
  };
  const link = kind === "threads" ? startThread(listeners) : startProcess(where, listeners);
  return {
    run({ number, configuration, parameters, seed, budget }, report) {
      onReport = report;
      return new Promise((resolve, reject) => {
        settle = { resolve, reject };
        if (lostBecause !== undefined) return reject(lostBecause);
        link.send({ module, input: { number, configuration, parameters, seed, budget } });
      });
    },
    close: () => link.close(),
  };
}

function startThread({ message, lost }: Listeners): Link {
  const worker = new Worker(PROGRAM, { eval: true });
  worker.on("message", message);
  worker.once("error", (error) => lost(error.message));
  worker.once("exit", (code) => lost(`it ended with code ${code}`));
  return {
    send: (task) => worker.postMessage(task),
    close: () => void worker.terminate(),
  };
}

function startProcess(where: string, { message, lost }: Listeners): Link {
  if ("bun" in process.versions || "deno" in process.versions) {
    throw new SteepestError(`${where}: workers must be "threads" here, got "processes": only Node has them`);
  }
  const child: ChildProcess = spawn(process.execPath, [...loaders(process.execArgv), "-e", PROGRAM], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    serialization: "advanced",
  });
  child.on("message", (value) => message(value as Message));
  child.once("error", (error) => lost(error.message));
  child.once("exit", (code, signal) =>
    lost(signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`),
  );
  return {
    // One that is gone says so by its exit.
    send: (task) => void child.send(task, () => {}),
    close: () => void child.kill("SIGKILL"),
  };
}

/** Of this process's arguments, those by which modules are loaded: a process may have been started with a program, or a debugger. */
function loaders(args: readonly string[]): string[] {
  return args.filter((arg, i) => {
    const isLoader = (one = "") =>
      /^(--import|--require|-r|--loader|--experimental-loader|--conditions|-C)(=|$)/.test(one);
    return isLoader(arg) || (isLoader(args[i - 1]) && !args[i - 1].includes("="));
  });
}
