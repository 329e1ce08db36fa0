// The entry "steepest/data" in browsers: with functions that map elements in web workers.
import { provideMapHost } from "../data/host.js";
import { SteepestError, showValue } from "../engine/errors.js";
import { ANSWERING, type ModuleMessage, moduleWorker } from "./moduleWorker.js";

export * from "../data/index.js";

const PROGRAM = `${ANSWERING}
onmessage = ({ data }) => take(data);
const take = answering((message) => postMessage(message));
`;

const FORBIDDEN = "its program could not be loaded: a content security policy must allow worker-src blob:";

/** Its function is imported by a program in the bundle: a content security policy must allow it by `worker-src blob:`. */
function startWorker() {
  return moduleWorker(({ message, lost }) => {
    const address = URL.createObjectURL(new Blob([PROGRAM], { type: "text/javascript" }));
    let worker: Worker;
    try {
      worker = new Worker(address, { type: "module", name: "steepest map" });
    } catch (error) {
      // WebKit throws where the policy forbids it, others tell the worker's `onerror`.
      lost(`${FORBIDDEN} (${(error as Error).message})`);
      return { send: () => {}, hold: () => {}, close: () => {} };
    }
    worker.onmessage = ({ data }: MessageEvent<ModuleMessage>) => {
      // It has loaded its program.
      URL.revokeObjectURL(address);
      message(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      lost(event.message ?? FORBIDDEN);
    };
    worker.onmessageerror = () => lost("its answer could not be read");
    return { send: (call) => worker.postMessage(call), hold: () => {}, close: () => worker.terminate() };
  });
}

function moduleOf(where: string, address: unknown): string {
  try {
    return new URL(address as string | URL, globalThis.location?.href).href;
  } catch (cause) {
    throw new SteepestError(
      `${where}: module must be the address of a module, got ${showValue(address)}: write new URL("./augment.js", import.meta.url)`,
      { cause },
    );
  }
}

// Service workers, for example, cannot start workers.
if (typeof Worker !== "undefined") provideMapHost({ moduleOf, start: startWorker });
