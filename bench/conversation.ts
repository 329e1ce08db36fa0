// Talking with a process of its own, in lines of JSON: one answer a question, or { error }, or { leftOut }. Arrays are
// { float32 } or { uint32 }: base64, little-endian.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { LeftOut } from "./workload.js";

/** How to start the program. */
export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly folder?: string;
}

export interface Answer {
  readonly version?: string;
  readonly libraries?: string;
  readonly results?: readonly (number | null)[];
  readonly alike?: boolean;
  readonly note?: string;
  readonly elapsedMs?: number;
  readonly leftOut?: string;
  readonly error?: string;
  /** What the source lacks for the question. */
  readonly lacks?: string;
}

export interface Conversation {
  /** The next line of the process. */
  listen(): Promise<Answer>;
  ask(question: object): Promise<Answer>;
  close(): void;
}

/** Typed arrays as text: JSON.stringify would make objects of them. */
export function encode(message: object): string {
  return JSON.stringify(message, (_, value) => {
    if (value instanceof Float32Array) return { float32: base64(value) };
    if (value instanceof Uint32Array) return { uint32: base64(value) };
    return value;
  });
}

function base64({ buffer, byteOffset, byteLength }: Float32Array | Uint32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64");
}

/** A step that takes longer than any should. */
const PATIENCE_MS = 180_000;
const STDERR_KEPT = 2000;

/** Starts the program; where it ends too early, the answer that is waited for is an error with what it wrote. */
export function converse(who: string, { command, args, environment, folder }: Command): Conversation {
  const child = spawn(command, args, { stdio: "pipe", env: { ...process.env, ...environment }, cwd: folder });
  const complaints = collectErrors(child);
  const heard: Answer[] = [];
  let waiting: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;
  let ended: Error | undefined;
  const end = (reason: string): void => {
    ended ??= new Error(`${reason}${complaints()}`);
    waiting?.reject(ended);
    waiting = undefined;
  };
  child.on("error", ({ message }) => end(message));
  child.on("close", (code, signal) => end(`${who} ended with ${signal ?? `exit code ${code}`}`));
  // Writing to a process that has ended: "close" tells.
  child.stdin?.on("error", () => {});
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
    const answer = parseAnswer(who, line);
    if (waiting === undefined) heard.push(answer);
    else waiting.resolve(answer);
    waiting = undefined;
  });
  const listen = async (): Promise<Answer> => {
    const answer = heard.shift() ?? (await nextAnswer());
    if (answer.leftOut !== undefined) throw new LeftOut(answer.leftOut);
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  };
  const nextAnswer = async (): Promise<Answer> => {
    if (ended !== undefined) throw ended;
    const timer = setTimeout(() => end(`${who} did not answer for ${PATIENCE_MS / 1000} s`), PATIENCE_MS);
    try {
      return await new Promise<Answer>((resolve, reject) => {
        waiting = { resolve, reject };
      });
    } finally {
      clearTimeout(timer);
    }
  };
  return {
    listen,
    ask(question) {
      child.stdin?.write(`${encode(question)}\n`);
      return listen();
    },
    close() {
      child.kill("SIGKILL");
    },
  };
}

function parseAnswer(who: string, line: string): Answer {
  try {
    return JSON.parse(line);
  } catch {
    return { error: `${who}: a line must be JSON, got ${line.slice(0, 200)}` };
  }
}

/** The end of what the process wrote to its error output: the reason of a crash is there. */
function collectErrors(child: ChildProcess): () => string {
  let text = "";
  child.stderr?.on("data", (chunk) => {
    text = `${text}${chunk}`.slice(-STDERR_KEPT);
  });
  return () => (text.trim() === "" ? "" : `: ${text.trim()}`);
}
