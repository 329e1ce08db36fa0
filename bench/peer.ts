// A peer as a contestant: its program runs in a process of its own.
//
//   peer → { version, libraries? }                      once, when it is ready
//   ours → { command: "prepare", task }                 peer → { results, alike, note? } or { leftOut }
//   ours → { command: "reset" }                         peer → {}
//   ours → { command: "run", steps }                    peer → { elapsedMs }
import { converse } from "./conversation.js";
import type { PeerCommand } from "./peerList.js";
import type { PeerWork, RemoteContestant } from "./workload.js";

export interface PeerContestant extends RemoteContestant {
  readonly version: string;
  /** With what it calculates, where that is a matter of the machine. */
  readonly libraries: string | undefined;
  /** In what its work differs from everybody else's. */
  readonly note: string | undefined;
}

/** Starts the peer, lets it do the first steps and checks them. Throws LeftOut, or what went wrong. */
export async function startPeer(command: PeerCommand, { task, check }: PeerWork): Promise<PeerContestant> {
  const peer = converse("the peer", command);
  try {
    const { version = "", libraries } = await peer.listen();
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
      libraries,
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
