// What a web worker runs: first it is given its part, then, if it leads, one request after the other.
import { type RunRequest, serveThread, type ThreadData } from "../engine/threads.js";

// The scope of a dedicated worker, of which the types of pages know nothing.
const scope = globalThis as unknown as {
  onmessage: (event: { data: ThreadData | RunRequest }) => void;
  postMessage(message: unknown): void;
  close(): void;
};

let serve: ((request: RunRequest) => void) | undefined;

scope.onmessage = ({ data }) => {
  if (!("module" in data)) {
    serve?.(data);
    return;
  }
  scope.postMessage("up");
  serve = serveThread(data, (answer) => scope.postMessage(answer));
  // The others come back when the engine has been disposed of.
  if (data.thread > 0) scope.close();
};
