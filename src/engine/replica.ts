// The back end that runs calls in a worker with a copy of the memory, for pages that cannot share memory. Before a call,
// the worker gets whatever the call needs and is newer here; after it, the regions that are to be read come back.
// Synchronous calls run on the calling thread, over the memory that is here.
import type { Backend, Background, Copies } from "./backend.js";
import { backendOf, type Core, openedOf } from "./core.js";
import { SteepestError } from "./errors.js";
import type { Pointer } from "./instructions.js";
import type { CompiledKernels } from "./interpreter.js";
import { createRanges, type Ranges, type Region } from "./ranges.js";
import { type ReplicaLink, startReplicaLink } from "./replicaLink.js";
import { intoRounds } from "./rounds.js";
import { ThreadError } from "./threads.js";
import { type Touched, touchedBy } from "./touched.js";

/** `ThreadError.failedAt` of a call whose results are lost: an address behind all instructions. */
const TORN = 2 ** 32;

/** The bytes that are newer here or there, in the worker's copy. Bytes that are the same in both are in neither set. */
interface Versions {
  readonly newerHere: Ranges;
  readonly newerThere: Ranges;
}

/** Starts the worker. Rejects with ThreadError, which says why it did not start. */
export async function startReplica(core: Core, module: CompiledKernels): Promise<Backend> {
  const link = await startReplicaLink(module);
  const versions = { newerHere: createRanges(), newerThere: createRanges() };
  const inline = backendOf(core);
  const background = backgroundRun(core, link, versions);
  const copies = createCopies(core, link, versions);
  return {
    threads: 1,
    get background() {
      // If the worker ended between two calls, the next one rejects: otherwise a long training would hold the calling thread unasked.
      return link.isReported() ? undefined : background;
    },
    copies,
    get successor() {
      // What was newer there is lost, and must be refused until it has been written anew.
      return link.isReported() && versions.newerThere.isEmpty() ? inline : undefined;
    },
    run(program, end, steps, threads) {
      const touched = touchedIn(core, program, end);
      checkCurrent(touched, link, versions);
      inline.run(program, end, steps, threads);
      for (const { address, bytes } of touched.writes) copies.markDirty(address, bytes);
    },
    stop: link.stop,
  };
}

function touchedIn(core: Core, program: Pointer, end: Pointer): Touched {
  return touchedBy(openedOf(core).heap.words, core.allocator.blocks(), program, end);
}

function overlaps({ writes, reads }: Touched, { newerThere }: Versions): boolean {
  return [...writes, ...reads].some(newerThere.overlaps);
}

const lostResults = (link: ReplicaLink): ThreadError => link.report(", and what it had computed is lost with it", TORN);

/** Refuses a call on the calling thread that uses what is newer there. */
function checkCurrent(touched: Touched, link: ReplicaLink, versions: Versions): void {
  if (!overlaps(touched, versions)) return;
  if (link.failure() !== undefined) throw lostResults(link);
  throw new SteepestError(
    "engine: the background, which has a copy of the memory, has newer values of what this call works on: do it in onProgress, between epochs, or when the other call has come to its end",
  );
}

function createCopies(core: Core, link: ReplicaLink, { newerHere, newerThere }: Versions): Copies {
  return {
    markDirty(address, bytes) {
      newerHere.add({ address, bytes });
      newerThere.remove({ address, bytes });
    },
    freed(region) {
      newerHere.remove(region);
      newerThere.remove(region);
    },
    isCurrent: (regions) => !regions.some(newerThere.overlaps),
    async fetch(regions) {
      const { memory } = openedOf(core);
      for (const reads of intoRounds(regions.flatMap(newerThere.within))) {
        try {
          await link.round(memory, { reads });
        } catch (error) {
          throw link.failure() === undefined ? error : lostResults(link);
        }
        reads.forEach(newerThere.remove);
      }
    },
  };
}

function backgroundRun(core: Core, link: ReplicaLink, versions: Versions): Background {
  const { newerHere, newerThere } = versions;
  let interrupted = false;
  /** The rounds that bring the worker's copy of these regions up to date. */
  const roundsOfNewer = (regions: readonly Region[]): Region[][] => {
    const newer = regions.flatMap(newerHere.within);
    newer.forEach(newerHere.remove);
    return intoRounds(newer);
  };
  return {
    async run(program, end, steps, _, reads) {
      interrupted = false;
      const { memory } = openedOf(core);
      const { control, scratch } = core;
      const touched = touchedIn(core, program, end);
      const blocks = [
        ...touched.writes,
        ...touched.reads,
        ...touched.transient,
        { address: program, bytes: end - program },
      ];
      // Whether losing the worker loses results: those of earlier calls that are only there, or those of this call.
      let torn = overlaps(touched, versions);
      try {
        const writing = roundsOfNewer(blocks);
        const [read, ...reading] = intoRounds(reads);
        const last = writing.length - 1;
        for (const writes of writing.slice(0, last)) await link.round(memory, { writes });
        // The worker has not been told of an interrupt that came before the call: its first step is the last, then.
        const call = { program, end, steps: interrupted ? 1 : steps, control, scratch };
        const done = await link.round(memory, { writes: writing[last], call, reads: read });
        torn = true;
        touched.writes.forEach(newerThere.add);
        read.forEach(newerThere.remove);
        for (const reads of reading) {
          await link.round(memory, { reads });
          reads.forEach(newerThere.remove);
        }
        return done;
      } catch (error) {
        if (torn && error instanceof ThreadError) throw new ThreadError(error.message, 0, TORN);
        throw error;
      }
    },
    interrupt() {
      interrupted = true;
      link.interrupt();
    },
  };
}
