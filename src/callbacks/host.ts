// What only some runtimes have: files for logs. Its entry provides it (src/platform/nodeCallbacks.ts).

/** Where the lines of a log go. */
export interface LogTarget {
  /** Adds text. The fit waits for a promise. */
  write(text: string): unknown;
  /** When the fit has ended. */
  close?(): unknown;
  /** Whether there are lines already: then no heading is written. Default false. */
  readonly begun?: boolean;
}

export interface CallbackHost {
  /** Opens the file at a path, to add to it. Throws SteepestError if it is no path, rejects if it cannot be opened. */
  openLog(where: string, path: unknown): () => Promise<LogTarget>;
}

let host: CallbackHost | undefined;

export function provideCallbackHost(provided: CallbackHost): void {
  host = provided;
}

export function callbackHost(): CallbackHost | undefined {
  return host;
}
