// The suite that every runtime runs: plain JavaScript without dependencies, given the package's modules.
import { createChecks, expect, explain } from "./checks.js";
import { checkErrors } from "./errors.js";
import { checkAllGradients } from "./gradients.js";
import { checkImages } from "./images.js";
import { checkKernels } from "./kernels.js";
import { checkLost } from "./lost.js";
import { checkMaps } from "./maps.js";
import { createDigest } from "./numbers.js";
import { checkResuming } from "./saving.js";
import { checkScores } from "./scores.js";
import { checkSlices } from "./slices.js";
import { checkStandalone } from "./standalone.js";
import { checkStores } from "./stores.js";
import { checkSynchronous, runTrainings } from "./trainings.js";
import { checkRefusal, listen } from "./wide.js";

/**
 * Runs everything in one engine.
 *
 * @param modules `steepest`, and where there are some `graph`, `io`, `search`, `metrics`, `data` and `images`; `files`, the
 *   standalone files.
 * @param options `build`, `threads` and `background` for the engine; `refused`, a part of the reason why the runtime must
 *   not run that build; `given`, the threads that it must then have
 *   (default: those asked for); `brief`, whether the rows of operations, their gradients and the resuming of each training
 *   are left out; `inBackground`, whether it must then run there; `synchronous`, whether the runtime can
 *   load the kernels so; `file`, a path that may be written; `workers`, a list that has all workers as they are started, if
 *   the host sees them; `wasmOf` and `compiles`: see standalone.js.
 * @returns `{ build, threads, background, passed, failures, skips, digests, digest }`: messages, the digest of each
 *   training and of the kernels' results, and one of all trainings. Where the runtime lacks the build: `{ lacks }`.
 */
export async function runSuite(modules, options) {
  const checks = createChecks();
  try {
    return await runChecks(modules, options, checks);
  } catch (error) {
    // What failed before may be why.
    throw new Error([...checks.failures, explain(error)].join("\n"), { cause: error });
  }
}

/** What was said of each build that does not run: it is said once, to the first that asks. */
const reasons = new Map();

async function runChecks(modules, options, checks) {
  const { build, threads, background, given = threads, inBackground = background === true, brief = false } = options;
  const { steepest, graph } = modules;
  if (options.refused !== undefined) return checkRefusal(steepest, options, checks);
  const engineOptions = { build, threads, ...(background === undefined ? {} : { background }) };
  const [engine, said] = await listen(() => steepest.createEngine(engineOptions));
  if (engine.build !== build) {
    engine.dispose();
    if (said.length > 0) reasons.set(build, said[0]);
    return { lacks: reasons.get(build) ?? `build "${build}" runs as "${engine.build}"` };
  }
  const kit = {
    engine,
    build,
    brief,
    synchronous: options.synchronous,
    file: options.file,
    workers: options.workers,
    mayWait: !engine.background || background === true,
  };
  const asAsked = (when) =>
    checks.check(`engine ${when}`, () => {
      expect(engine.threads === given, `has ${engine.threads} threads instead of ${given}`);
      expect(engine.background === inBackground, `background is ${engine.background} instead of ${inBackground}`);
    });
  await asAsked("at the start");
  await checkStandalone(modules.files, options, checks);
  if (graph === undefined) checks.skip("kernels", "without steepest/graph");
  const kernels = graph === undefined ? {} : await checkKernels(graph, kit, checks);
  // Differences are slow, and say the same for two, three and eight threads.
  if ([1, 4].includes(threads) && build !== "wide" && !brief) await checkAllGradients(modules, kit, checks);
  const trainings = await runTrainings(modules, kit, checks);
  await checkSynchronous(modules, kit, trainings, checks);
  const resume = await checkResuming(modules, kit, checks);
  await checkStores(modules, kit, checks);
  await checkScores(modules, checks);
  await checkMaps(modules, kit, checks);
  await checkImages(modules, checks);
  await checkSlices(modules, kit, checks);
  await checkErrors(modules, kit, checks);
  if (kit.workers !== undefined && engine.shared && threads === 4 && build === "strict")
    await checkLost(modules, kit, checks);
  // A thread that died would have left one thread behind.
  await asAsked("at the end");
  const used = { threads: engine.threads, background: engine.background };
  engine.dispose();
  return {
    build,
    ...used,
    passed: checks.count(),
    failures: checks.failures,
    skips: checks.skips,
    digests: {
      ...trainings,
      ...(resume === undefined ? {} : { resume }),
      ...kernels,
    },
    digest: digestOf(trainings),
  };
}

function digestOf(texts) {
  const all = createDigest();
  for (const [name, text] of Object.entries(texts)) all.add(new TextEncoder().encode(`${name} ${text}\n`));
  return all.text();
}
