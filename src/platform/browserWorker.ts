// What a web worker runs: first it is given its part, then, if it stays, one request after the other.
import type { ReplicaData } from "../engine/rounds.js";
import type { ThreadData } from "../engine/threads.js";
import { serve, staysFor } from "../engine/worker.js";

// The scope of a dedicated worker, of which the types of pages know nothing.
const scope = globalThis as unknown as {
  onmessage: (event: { data: ThreadData | ReplicaData }) => void;
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void;
  close(): void;
};

let answerTo: ((request: unknown) => void) | undefined;

scope.onmessage = ({ data }) => {
  if (answerTo !== undefined) return answerTo(data);
  scope.postMessage("up");
  answerTo = serve(data, (answer, transfer) => scope.postMessage(answer, transfer));
  if (!staysFor(data)) scope.close();
};
