// An AbortSignal of Node's types, or of a page's, is one of the package's.
import type { Trainer } from "steepest";

export async function run(trainer: Trainer): Promise<void> {
  const controller = new AbortController();
  const data = { x: new Float32Array(40), y: new Uint8Array(10) };
  for await (const { loss } of trainer.fit(data, { signal: controller.signal })) if (loss < 1) controller.abort();
}
