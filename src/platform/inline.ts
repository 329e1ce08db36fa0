// The entry "steepest/inline": everything in JavaScript, the kernels' bytes too; also for the synchronous form. One
// thread. For places where nothing else works: a service worker, an extension page, a bundler that loses files.
import fast from "../../dist/fast.wasm";
import strict from "../../dist/strict.wasm";
import { type Build, provideKernels } from "../engine/module.js";

const bytesOf = (build: Build): Uint8Array<ArrayBuffer> => (build === "fast" ? fast : strict);

provideKernels({
  load: async (build) => bytesOf(build),
  loadSync: bytesOf,
  wide: "steepest/inline has no kernels for it",
});

export * from "../index.js";
