// The libraries that steepest is compared with, and how each is started. Their programs are in peers/.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** How to start a peer's program. */
export interface PeerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

interface Peer extends PeerCommand {
  /** The npm package it needs in peers/node_modules; PyTorch is the system's. */
  readonly package?: string;
}

export const peersFolder = fileURLToPath(new URL("./peers/", import.meta.url));

function nodePeer(file: string, name: string, ...args: string[]): Peer {
  return { command: process.execPath, args: [`${peersFolder}${file}`, ...args], package: name };
}

/**
 * OpenMP's and OpenBLAS's idle threads sleep. If they spin, they take the cores from each other (on two cores a step of
 * mnist-32-adam then took 92 ms, not 0.7) and from whoever's turn it is.
 */
const SLEEPING_THREADS = { OMP_WAIT_POLICY: "PASSIVE", OPENBLAS_THREAD_TIMEOUT: "4" };

/** Debian's PyTorch belongs to the system's Python, not to whichever comes first in PATH. */
function pytorch(threads: number): Peer {
  const count = String(threads);
  return {
    command: "/usr/bin/python3",
    args: [`${peersFolder}pytorch.py`, count],
    environment: { OMP_NUM_THREADS: count, OPENBLAS_NUM_THREADS: count, MKL_NUM_THREADS: count, ...SLEEPING_THREADS },
  };
}

const peers = {
  "pytorch-1": pytorch(1),
  "pytorch-2": pytorch(2),
  "tfjs-wasm": nodePeer("tfjs.mjs", "@tensorflow/tfjs-backend-wasm", "wasm"),
  "tfjs-cpu": nodePeer("tfjs.mjs", "@tensorflow/tfjs", "cpu"),
  "jax-js": nodePeer("jax.mjs", "@jax-js/jax"),
  "onnxruntime-node": nodePeer("onnxruntime.mjs", "onnxruntime-node"),
  "brain.js": nodePeer("brain.mjs", "brain.js"),
  convnetjs: nodePeer("convnetjs.mjs", "convnetjs"),
  synaptic: nodePeer("synaptic.mjs", "synaptic"),
} satisfies Record<string, Peer>;

/** The number behind pytorch is that of its threads; all others have one. */
export type PeerName = keyof typeof peers;
export const PEERS = Object.keys(peers) as PeerName[];

export function isPeer(name: string): name is PeerName {
  return Object.hasOwn(peers, name);
}

export const INSTALL_HINT = "not installed: npm run bench -- --install-peers";

/** How to start the peer, or why it cannot be. */
export function commandOf(name: PeerName): PeerCommand | { readonly leftOut: string } {
  const peer: Peer = peers[name];
  if (!existsSync(peer.command)) return { leftOut: `there is no ${peer.command}` };
  if (peer.package !== undefined && versionOf(peer.package) === undefined) return { leftOut: INSTALL_HINT };
  return peer;
}

/** The version of an installed package. */
function versionOf(name: string): string | undefined {
  const file = `${peersFolder}node_modules/${name}/package.json`;
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).version : undefined;
}
