// A page's own worker.
import * as modules from "/modules.js";
import { explain } from "/suite/checks.js";
import { runSuite } from "/suite/suite.js";

self.onmessage = async ({ data }) => {
  try {
    self.postMessage(await runSuite(modules, data));
  } catch (error) {
    self.postMessage({ broken: explain(error) });
  }
};
