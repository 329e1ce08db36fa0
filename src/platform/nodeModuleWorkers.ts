// Workers that call a function of a user's module, as threads and as processes: for trials of a search, and for the elements of a source.
import { type ChildProcess, spawn } from "node:child_process";
import { Worker } from "node:worker_threads";
import { SteepestError } from "../engine/errors.js";
import {
  ANSWERING,
  type ModuleMessage,
  type ModuleWorker,
  moduleWorker,
  type WorkerLink,
  type WorkerListeners,
} from "./moduleWorker.js";

const PROGRAM = `${ANSWERING}
const threads = require("node:worker_threads");
if (threads.isMainThread) {
  process.on("disconnect", () => process.exit());
  process.on("message", answering((message) => process.send(message, () => {})));
} else threads.parentPort.on("message", answering((message) => threads.parentPort.postMessage(message)));
`;

export function startModuleWorker(where: string, kind: "threads" | "processes"): ModuleWorker {
  return moduleWorker((listeners) => (kind === "threads" ? startThread(listeners) : startProcess(where, listeners)));
}

function startThread({ message, lost }: WorkerListeners): WorkerLink {
  const worker = new Worker(PROGRAM, { eval: true });
  worker.on("message", message);
  worker.once("error", (error) => lost(error.message));
  worker.once("messageerror", (error) => lost(`its answer could not be read: ${error.message}`));
  worker.once("exit", (code) => lost(`it ended with code ${code}`));
  return {
    send: (call) => worker.postMessage(call),
    hold: (held) => (held ? worker.ref() : worker.unref()),
    close: () => void worker.terminate(),
  };
}

function startProcess(where: string, { message, lost }: WorkerListeners): WorkerLink {
  if ("bun" in process.versions || "deno" in process.versions) {
    throw new SteepestError(`${where}: workers must be "threads" here, got "processes": only Node has them`);
  }
  const child: ChildProcess = spawn(process.execPath, [...loaders(process.execArgv), "-e", PROGRAM], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    serialization: "advanced",
  });
  child.on("message", (value) => message(value as ModuleMessage));
  child.once("error", (error) => lost(error.message));
  child.once("exit", (code, signal) =>
    lost(signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`),
  );
  return {
    // One that is gone says so by its exit.
    send: (call) => void child.send(call, () => {}),
    hold: () => {},
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
