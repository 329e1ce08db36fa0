// A peer as a contestant: its program runs in a process of its own, and is talked to in lines of JSON.
//
//   peer → { version }                                  once, when it is ready
//   ours → { command: "prepare", task }                 peer → { results, alike, note? } or { leftOut }
//   ours → { command: "reset" }                         peer → {}
//   ours → { command: "run", steps }                    peer → { elapsedMs }
//
// One answer a question, or { error }. Arrays are { float32 } or { uint32 }: base64, little-endian.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { PeerCommand } from "./peerList.js";
import { LeftOut, type PeerWork, type RemoteContestant } from "./workload.js";

interface Answer {
  readonly version?: string;
  readonly results?: readonly (number | null)[];
  readonly alike?: boolean;
  readonly note?: string;
  readonly elapsedMs?: number;
  readonly leftOut?: string;
  readonly error?: string;
}

interface Conversation {
  /** The next line of the peer. */
  listen(): Promise<Answer>;
  ask(question: object): Promise<Answer>;
  close(): void;
}

export interface PeerContestant extends RemoteContestant {
  readonly version: string;
  /** In what its work differs from everybody else's. */
  readonly note: string | undefined;
}

/** Starts the peer, lets it do the first steps and checks them. Throws LeftOut, or what went wrong. */
export async function startPeer(command: PeerCommand, { task, check }: PeerWork): Promise<PeerContestant> {
  const peer = converse(command);
  try {
    const { version = "" } = await peer.listen();
    const { results, alike = false, note } = await peer.ask({ command: "prepare", task });
    if (results === undefined) throw new Error("the peer gave no results");
    // JSON has no NaN: it comes as null.
    check(
      results.map((value) => value ?? Number.NaN),
      alike,
    );
    return {
      remote: true,
      version,
      note,
      async reset() {
        await peer.ask({ command: "reset" });
      },
      async run(steps) {
        const { elapsedMs } = await peer.ask({ command: "run", steps });
        if (elapsedMs === undefined || !(elapsedMs >= 0)) throw new Error(`the peer's time is ${elapsedMs}`);
        return { elapsedMs };
      },
      dispose: peer.close,
    };
  } catch (error) {
    peer.close();
    throw error;
  }
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

function converse({ command, args, environment }: PeerCommand): Conversation {
  const child = spawn(command, args, { stdio: "pipe", env: { ...process.env, ...environment } });
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
  child.on("close", (code, signal) => end(`the peer ended with ${signal ?? `exit code ${code}`}`));
  // Writing to a process that has ended: "close" tells.
  child.stdin?.on("error", () => {});
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
    const answer = parseAnswer(line);
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
    const timer = setTimeout(() => end(`the peer did not answer for ${PATIENCE_MS / 1000} s`), PATIENCE_MS);
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

function parseAnswer(line: string): Answer {
  try {
    return JSON.parse(line);
  } catch {
    return { error: `the peer's line must be JSON, got ${line.slice(0, 200)}` };
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
