// Elements that the function of a module makes in worker threads: in their order, and so many at a time.
import { DataError, SteepestError, showValue } from "../engine/errors.js";
import { integer, type OptionRule, type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { type MapAnswer, type MapWorker, mapHost } from "./host.js";

/** A function that is called in worker threads. */
export interface MapModule {
  /** The module: `new URL("./augment.js", import.meta.url)`; under Node, Deno and Bun also a path. It is loaded once a worker. */
  module: URL | string;
  /** The name of its export. Default "default". */
  name?: string;
  /** How many threads. What comes out does not depend on it. Default 2. */
  workers?: number;
}

/** The place of an element: for random numbers that are the same whoever makes it. */
export interface MapPlace {
  /** The number of the pass, from 1. */
  readonly pass: number;
  /** Of the element within the pass, from 0. */
  readonly index: number;
}

/** What is known of the workers before a pass. */
export interface MapPlan {
  readonly module: string;
  readonly name: string;
  readonly workers: number;
  start(): MapWorker;
}

const exportName: OptionRule<string> = (where, name, value = "default") => {
  if (typeof value === "string" && value !== "") return value;
  throw new DataError(`${where}: ${name} must be the name of an export, got ${showValue(value)}`);
};

const MODULE = {
  module: unchecked<URL | string>(),
  name: exportName,
  workers: integer(2, { min: 1, max: 64 }),
} satisfies OptionsOf<MapModule>;

export function checkMapModule(where: string, given: MapModule): MapPlan {
  const { module, name, workers } = readOptions(where, given, MODULE);
  const host = mapHost();
  if (host === undefined) {
    throw new SteepestError(
      `${where}: a module needs worker threads, which this runtime does not have, got ${showValue(given)}: hand in the function itself`,
    );
  }
  return { module: host.moduleOf(where, module), name, workers, start: () => host.start(where) };
}

/** The workers of a pass. */
export interface MapPool {
  /** What the function makes of an element. It is copied before this returns. */
  run(element: unknown, place: MapPlace): Promise<unknown>;
  close(): void;
}

// Two at each: while one is made, the next is there.
export const WAITING = 2;

/** Nothing is started before there is an element for it. */
export function createPool(where: string, plan: MapPlan): MapPool {
  const { module, name, workers: count, start } = plan;
  const workers: MapWorker[] = [];
  let closed = false;
  const close = (): void => {
    closed = true;
    for (const worker of workers.splice(0)) worker.close();
  };
  return {
    close,
    async run(element, place) {
      const at = `${where}: pass ${place.pass}, element ${place.index + 1}`;
      if (closed) throw new DataError(`${at}: must be read before its pass ends`);
      const number = place.index % count;
      workers[number] ??= start();
      let answer: MapAnswer;
      try {
        answer = await workers[number].run({ module, name, trial: false, input: { element, place } });
      } catch (reason) {
        throw unanswered(at, plan, element, reason);
      }
      const { value, error, moduleError } = answer;
      if (error === undefined && moduleError === undefined) return value;
      const shown = showName(plan);
      throw new DataError(
        moduleError === undefined
          ? `${at}: ${shown} must give an element that can be posted, got ${clipped(error)}: correct it; map(change) with the function itself shows where it throws`
          : `${at}: ${shown} must be a function, got ${clipped(moduleError)}: check the module's address and its exports`,
      );
    },
  };
}

function unanswered(at: string, plan: MapPlan, element: unknown, reason: unknown): DataError {
  if (typeof reason === "string") {
    return new DataError(
      `${at}: ${showName(plan)} must answer, got none, as ${reason}: it must neither exit nor run out of memory`,
    );
  }
  return new DataError(
    `${at}: the element must be something that can be posted to a worker, got ${showValue(element)} (${(reason as Error).message}): map it to arrays and plain objects before`,
    { cause: reason },
  );
}

function showName({ module, name }: MapPlan): string {
  return `the export ${showValue(name)} of ${JSON.stringify(module.slice(-200))}`;
}

function clipped(text = ""): string {
  return JSON.stringify(text.slice(0, 500));
}
