// Whether the bits are the same.

/** The builds whose bits are those of digests.json. */
const SAME_BITS = ["strict", "wide"];

/** What is kept in digests.json: the strict build's digests by name. Throws where runs disagree. */
export function digestsToRecord(records) {
  const digests = {};
  for (const { runtime, build, threads, digests: found } of records) {
    if (!SAME_BITS.includes(build)) continue;
    for (const [name, digest] of Object.entries(found)) {
      digests[name] ??= digest;
      if (digests[name] === digest) continue;
      throw new Error(`${runtime} with ${threads} threads has ${digest} for "${name}", others have ${digests[name]}`);
    }
  }
  return digests;
}

/** Adds a failure to each record of the builds `strict` and `wide` whose digests are not those expected. */
export function compareStrict(records, expected) {
  for (const record of records) {
    if (!SAME_BITS.includes(record.build)) continue;
    for (const [name, digest] of Object.entries(record.digests)) {
      if (expected[name] === digest) continue;
      const instead =
        expected[name] === undefined ? "digests.json has none: run with --record" : `instead of ${expected[name]}`;
      fail(record, `digest of "${name}" is ${digest}, ${instead}`);
    }
  }
}

/**
 * The fast build: one runtime must give the same for any number of threads; what differs between runtimes is noted,
 * as nothing is promised there. Returns the notes.
 */
export function compareFast(records) {
  const fast = records.filter(({ build, digest }) => build === "fast" && digest !== undefined);
  const first = new Map();
  for (const record of fast) {
    const before = first.get(record.runtime);
    if (before === undefined) first.set(record.runtime, record);
    else if (differing(before, record).length > 0) {
      const names = differing(before, record).join(", ");
      fail(record, `fast: ${record.threads} threads differ from ${before.threads} in ${names}`);
    }
  }
  const kinds = new Map();
  for (const { runtime, digest } of first.values()) kinds.set(digest, [...(kinds.get(digest) ?? []), runtime]);
  return [...kinds].map(([digest, runtimes]) => `fast ${digest}: ${runtimes.join(", ")}`);
}

function differing(a, b) {
  // Small rows are run with one thread alone.
  const both = Object.keys(a.digests).filter((name) => b.digests[name] !== undefined);
  return both.filter((name) => a.digests[name] !== b.digests[name]);
}

export function fail(record, message) {
  record.failed += 1;
  record.failures.push(message);
}
