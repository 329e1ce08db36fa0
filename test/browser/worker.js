// A worker of the page's own, which trains by itself.
import * as steepest from "/dist/browser/index.js";
import { train } from "/training.js";

self.onmessage = async ({ data }) => {
  try {
    self.postMessage(await train(steepest, data));
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
};
