// What is noted of each run: the lines of the table, and the records of --json.
import { fail } from "./compare.mjs";

export function recordOf(runtime, version, run, result, { requireAll = false } = {}) {
  const { passed = 0, failures = [], skips = [], digests = {}, digest, lacks, broken, repeated } = result;
  const { build, threads, background = false } = { ...run, ...result };
  const record = {
    runtime,
    version,
    build,
    threads,
    background,
    passed,
    failed: failures.length,
    skipped: skips.length + (lacks === undefined ? 0 : 1),
    reason: [...skips, ...(lacks === undefined ? [] : [lacks])].join("; ") || undefined,
    digest,
    digests,
    failures: [...failures],
    ...(repeated === undefined ? {} : { repeated }),
  };
  // Only where V8 can be made to join operations is `wide` to run: see runs.mjs.
  // The trial measures, and a busy machine may make it say that wide is not faster: that is no fault.
  if (build === "wide" && lacks !== undefined && requireAll && !lacks.includes("not faster"))
    fail(record, `must run with --require-all: ${lacks}`);
  if (broken !== undefined) fail(record, broken.split("\n").slice(0, 8).join("\n"));
  return record;
}

/** A runtime of which nothing ran, because it is not there: skipped, or failed where it has to be. */
export function recordMissing(runtime, reason, { requireAll }) {
  if (requireAll) return recordBroken(runtime, `must be there with --require-all: ${reason}`);
  return { ...recordOf(runtime, undefined, NOTHING, { lacks: reason }), background: undefined };
}

/** A runtime of which nothing ran, because something went wrong. */
export function recordBroken(runtime, message) {
  return { ...recordOf(runtime, undefined, NOTHING, { broken: message }), background: undefined };
}

const NOTHING = { build: undefined, threads: undefined };
