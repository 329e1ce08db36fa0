// Has independent readers read damaged files, and keeps what they say: node --import ./bench/typescript.mjs test/mutations/references/record.ts
// Needs /usr/bin/python3 with Debian's python3-numpy, python3-torch and python3-h5py, and the reference implementation of
// safetensors: python3 -m pip install --target FOLDER safetensors==0.8.0; then PYTHONPATH=FOLDER.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { FILES, hashOf, isDigest } from "./files.js";

const child = spawn("/usr/bin/python3", [fileURLToPath(new URL("readers.py", import.meta.url))], {
  stdio: ["pipe", "pipe", "inherit"],
});
const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
const next = async () => JSON.parse((await lines.next()).value as string);

/** What the damage was is not kept: only what kind of refusal it was. */
const kindOfRefusal = (text: string) =>
  text
    .replace(/\d{2,}/g, "N")
    .replace(/(Cannot parse header|not a dictionary|differ|Failed to interpret|descr is not).*/, "$1")
    .slice(0, 120);

const readers = await next();
/** What was said, once each: a refusal, or a digest. Verdicts are numbers of these. */
const said: string[] = [];
const numberOf = (what: string) => (said.includes(what) ? said.indexOf(what) : said.push(what) - 1);
const files: Record<string, { hash: string; sound: string; verdicts: number[] }> = {};

async function ask(kind: string, bytes: Uint8Array): Promise<string> {
  child.stdin.write(`${JSON.stringify({ kind, bytes: Buffer.from(bytes).toString("base64") })}\n`);
  const { read, refused }: { read?: string; refused?: string } = await next();
  return read ?? kindOfRefusal(refused as string);
}

for (const file of FILES) {
  const { name, kind, count, sound, damaged } = file;
  const verdicts: number[] = [];
  for (let index = 0; index < count; index++) verdicts.push(numberOf(await ask(kind, damaged(index))));
  files[name] = { hash: hashOf(file), sound: await ask(kind, sound), verdicts };
  console.log(`${name}: ${verdicts.filter((one) => isDigest(said[one])).length} of ${count} are read`);
}
child.stdin.end();
writeFileSync(
  new URL("../../golden/references.json", import.meta.url),
  `${JSON.stringify({ readers, said, files })}\n`,
);
