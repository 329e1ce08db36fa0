// Runs trials: by a function in this thread, or by workers that have loaded a module.
import { SteepestError, showValue } from "../engine/errors.js";
import type { SearchHost, TrialWorker, WorkerKind } from "./host.js";
import type { Outcome, Runner, Task, TrialInput } from "./trial.js";

const LONGEST_ERROR = 500;

/** How a trial ended that returned this. */
function scored(score: unknown, reports: readonly number[]): Outcome {
  // Without the sign of zero, which JSON does not keep.
  if (typeof score === "number" && Number.isFinite(score)) return { score: score + 0, error: undefined, reports };
  return failed(`the score must be a finite number, got ${showValue(score)}`, reports);
}

function failed(error: string, reports: readonly number[]): Outcome {
  return { score: undefined, error: error.slice(0, LONGEST_ERROR), reports };
}

/** What a thrown value says. */
function messageOf(error: unknown): string {
  const { name, message } = (error ?? {}) as Partial<Error>;
  return typeof message === "string" ? `${name ?? "Error"}: ${message}` : showValue(error);
}

/** A list of reports, and what adds to it. Only finite numbers, as JSON has no others. */
function reporter(onReport: (score: number) => void): { reports: number[]; report: (score: number) => void } {
  const reports: number[] = [];
  const report = (score: number): void => {
    if (typeof score !== "number" || !Number.isFinite(score)) return;
    // Without the sign of zero, as above: what is shown is what is recorded.
    const own = score + 0;
    reports.push(own);
    onReport(own);
  };
  return { reports, report };
}

/** In this thread. */
export function functionRunner(run: (input: TrialInput<never>) => unknown): Runner {
  const controller = new AbortController();
  return {
    async run(task, onReport) {
      const { reports, report } = reporter(onReport);
      const { parameters, number, configuration, seed, budget } = task;
      // A copy, as a function may change what it is given.
      const own = JSON.parse(JSON.stringify(parameters)) as never;
      const { signal } = controller;
      try {
        return scored(await run({ parameters: own, number, configuration, seed, budget, signal, report }), reports);
      } catch (cause) {
        return { ...failed(messageOf(cause), reports), cause };
      }
    },
    close: () => controller.abort(),
  };
}

interface WorkerOptions {
  readonly where: string;
  readonly module: string;
  readonly kind: WorkerKind;
  /** How often a trial is repeated whose worker was lost. */
  readonly retries: number;
}

/** In as many workers as trials run at once. */
export function workerRunner(host: SearchHost, { where, module, kind, retries }: WorkerOptions): Runner {
  const all = new Set<TrialWorker>();
  const idle: TrialWorker[] = [];
  const start = (): TrialWorker => {
    const worker = host.start(where, module, kind);
    all.add(worker);
    return worker;
  };
  const attempt = async (task: Task<unknown>, onReport: (score: number) => void): Promise<Outcome> => {
    const { reports, report } = reporter(onReport);
    const worker = idle.pop() ?? start();
    try {
      const { score, error, moduleError } = await worker.run(task, report);
      if (moduleError !== undefined) {
        throw new SteepestError(
          `${where}: the module must have the function as its default export, got ${JSON.stringify(moduleError.slice(0, 200))} of ${JSON.stringify(module.slice(-200))}`,
        );
      }
      idle.push(worker);
      return error === undefined ? scored(score, reports) : failed(error, reports);
    } catch (error) {
      all.delete(worker);
      worker.close();
      throw error;
    }
  };
  return {
    async run(task, onReport) {
      for (let left = retries; ; left--) {
        try {
          return await attempt(task, onReport);
        } catch (error) {
          if (typeof error !== "string") throw error;
          if (left === 0) return failed(error, []);
        }
      }
    },
    close() {
      for (const worker of all) worker.close();
    },
  };
}
