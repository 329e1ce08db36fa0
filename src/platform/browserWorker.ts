// The program of a web worker. The first message says what it is to do; if it stays, each further one is a request.
import type { ReplicaData } from "../engine/rounds.js";
import type { ThreadData } from "../engine/threads.js";
import { serve, staysFor } from "../engine/worker.js";
import { holding, type Watched, watch } from "./watch.js";

/** `life` is the name of the lock that it is to hold. */
type First = (ThreadData | ReplicaData) & { readonly life?: string };

// The scope of a dedicated worker, which TypeScript's types for pages do not declare.
const scope = globalThis as unknown as {
  onmessage: (event: { data: First | { readonly watches: true } }) => void;
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void;
  close(): void;
};

let answerTo: ((request: unknown) => void) | undefined;

scope.onmessage = ({ data }) => {
  if (answerTo !== undefined) return answerTo(data);
  if ("watches" in data) {
    answerTo = (worker) => watch(worker as Watched);
    return scope.postMessage("up");
  }
  holding(data.life, (held) => {
    scope.postMessage(held ? "held" : "up");
    answerTo = serve(data, (answer, transfer) => scope.postMessage(answer, transfer));
    if (!staysFor(data)) scope.close();
  });
};
