// A second, independent reader agrees on what is valid. Damaged files of each format were given to NumPy, PyTorch, h5py and the
// reference implementation of safetensors (readers.py, recorded by record.ts): what they refuse is refused here, what both read has
// the same names, shapes and values. Differences that are meant are listed, each with its reason.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { SteepestError } from "../../../src/engine/errors.js";
import { type DamagedFile, FILES, hashOf, isDigest } from "./files.js";

interface Recorded {
  readonly said: readonly string[];
  readonly files: Readonly<Record<string, { hash: string; sound: string; verdicts: readonly number[] }>>;
}

const recorded: Recorded = JSON.parse(readFileSync(new URL("../../golden/references.json", import.meta.url), "utf8"));

interface Rule {
  /** Of which files. */
  readonly of: RegExp;
  /** The error of whoever refuses the file. */
  readonly error: RegExp;
  readonly reason: string;
  /** Whether what is read must be what the sound file has. */
  readonly asSound?: true;
}

const STRICTER: readonly Rule[] = [
  {
    of: /^NumPy array/,
    error: /takes \d+ bytes, got \d+/,
    reason:
      "NumPy does not look at what follows the values; a file that has more was written over, or is of another shape",
  },
  {
    of: /^NumPy archive|^PyTorch|^Keras, version 3/,
    error: /must be a zip archive, got (?!.* with another checksum)/,
    reason:
      "Python's zipfile and PyTorch read on if counts, sizes or names of a directory disagree, or if something is around the archive: which bytes are meant is then a guess",
  },
  {
    of: /^NumPy archive, deflated|^PyTorch, \.pt/,
    error: /with another checksum/,
    reason: "PyTorch leaves out checksums, and NumPy those of an entry that it does not read to its end",
  },
  {
    of: /^Keras, model\.weights\.h5/,
    error: /must be an HDF5 file, got other bytes/,
    reason: "h5wasm has HDF5 2.0, which refuses damaged descriptions of types that 1.10 of h5py takes",
  },
];

const LENIENT: readonly Rule[] = [
  {
    of: /^PyTorch, pickle/,
    error: /_rebuild_tensor_v2\(\) takes 6 positional arguments but 7 were given/,
    reason: "PyTorch 2 writes a seventh argument, which PyTorch 1.13 does not know",
  },
  {
    of: /^Keras, (version 2|model\.weights)/,
    error: /actual len exceeds EOA|unable to offset into local heap data block/,
    reason: "HDF5 2.0 does not come by some damaged entries of indices that 1.10 comes by: what is asked for is whole",
    asSound: true,
  },
];

const used = new Set<Rule>();

/** What is different, in words; nothing if it is not, or is meant. */
async function differenceOf(file: DamagedFile, index: number): Promise<string | undefined> {
  const { sound, verdicts } = recorded.files[file.name];
  const theirs = recorded.said[verdicts[index]];
  const [ours, error] = await file.digest(file.damaged(index)).then(
    (digest) => [digest, ""] as const,
    (thrown: unknown) =>
      [undefined, thrown instanceof SteepestError ? thrown.message : `no error of the library: ${thrown}`] as const,
  );
  if (ours === theirs || (ours === undefined && !isDigest(theirs))) return undefined;
  if (ours !== undefined && isDigest(theirs)) return `mutation ${index}: ${theirs} is read by the other, ${ours} here`;
  const said = ours === undefined ? error : theirs;
  const rule = (ours === undefined ? STRICTER : LENIENT).find(
    (one) => one.of.test(file.name) && one.error.test(said) && (one.asSound !== true || ours === sound),
  );
  if (rule === undefined) return `mutation ${index}: refused ${ours === undefined ? "here" : "by the other"}: ${said}`;
  used.add(rule);
  return undefined;
}

describe("damaged files are refused, and read, as an independent reader does:", () => {
  test.each(FILES.map((file) => [file.name, file] as const))("%s", { timeout: 60_000 }, async (name, file) => {
    const { hash, sound, verdicts } = recorded.files[name];
    // Other files than those that were recorded: run record.ts.
    expect(hashOf(file)).toBe(hash);
    expect(await file.digest(file.sound)).toBe(sound);
    // Both are there: what is refused, and what is read.
    const read = verdicts.filter((one) => isDigest(recorded.said[one])).length;
    expect([read > 0, read < verdicts.length]).toEqual([true, true]);
    const differences: string[] = [];
    for (let index = 0; index < file.count; index++) {
      const difference = await differenceOf(file, index);
      if (difference !== undefined) differences.push(difference);
    }
    expect(differences).toEqual([]);
  });

  test("every rule of what is different is needed", () => {
    expect([...STRICTER, ...LENIENT].filter((rule) => !used.has(rule)).map(({ reason }) => reason)).toEqual([]);
  });
});
