// The built program in a process of its own.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect } from "vitest";

export const program = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd: string;
  /** What comes in on stdin. Default nothing. */
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** Of Node itself. */
  readonly node?: readonly string[];
}

export function run(args: readonly string[], { cwd, input, env, node = [] }: RunOptions): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { cwd, env: { ...process.env, ...env }, maxBuffer: 2 ** 28 };
    const child = execFile(process.execPath, [...node, program, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

export interface EndedBytes extends Omit<Ended, "stdout"> {
  readonly stdout: Buffer;
}

/** The same with the bytes on stdout. */
export function bytesOf(args: readonly string[], { cwd, input }: RunOptions): Promise<EndedBytes> {
  return new Promise((resolve) => {
    const options = { cwd, encoding: "buffer", maxBuffer: 2 ** 28 } as const;
    const child = execFile(process.execPath, [program, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr: stderr.toString() });
    });
    child.stdin?.end(input);
  });
}

/** The bytes on stdout of a run that went well. */
export async function outputOf(args: readonly string[], options: RunOptions): Promise<Uint8Array> {
  const { code, stdout, stderr } = await bytesOf(args, options);
  expect(code, stderr).toBe(0);
  return new Uint8Array(stdout);
}

/** The object in the last line of stdout of a run that went well. */
export async function resultOf(args: readonly string[], options: RunOptions): Promise<Record<string, never>> {
  const { code, stdout, stderr } = await run([...args, "--json"], options);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
}

/** A folder that is gone when the file's tests have ended. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "steepest-cli-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
