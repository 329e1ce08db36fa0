// The digits that the build has packed: images, then labels, of the training and then of the test set.
import { SIDE } from "./picture.js";

export interface Digits {
  /** Bytes [images, 28, 28, 1]. */
  readonly x: Uint8Array;
  readonly y: Uint8Array;
}

export const TRAINING = 10_000;
export const TEST = 2_000;
const PIXELS = SIDE * SIDE;

export function unpackDigits(bytes: Uint8Array): { train: Digits; test: Digits } {
  if (bytes.length !== (TRAINING + TEST) * (PIXELS + 1)) {
    throw new Error(`the file of digits must have ${(TRAINING + TEST) * (PIXELS + 1)} bytes, got ${bytes.length}`);
  }
  let at = 0;
  const next = (length: number) => {
    at += length;
    return bytes.subarray(at - length, at);
  };
  return {
    train: { x: next(TRAINING * PIXELS), y: next(TRAINING) },
    test: { x: next(TEST * PIXELS), y: next(TEST) },
  };
}

/** By a worker of its own, dataWorker.ts. */
export async function loadDigits(address: string) {
  const worker = new Worker(new URL("./digitsData.js", import.meta.url));
  try {
    const answer = await new Promise<Uint8Array | string>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<Uint8Array | string>) => resolve(data);
      worker.onerror = () => reject(new Error("the worker that loads the digits did not start"));
      worker.postMessage(new URL(address, document.baseURI).href);
    });
    if (typeof answer === "string") throw new Error(answer);
    return unpackDigits(answer);
  } finally {
    worker.terminate();
  }
}
