// What only some runtimes have: files, modules, connections. The entry provides it (src/platform/nodeCluster.ts).
import type { Contract } from "./contract.js";
import type { RunStore } from "./executor.js";
import type { Scheduler } from "./scheduler.js";

/** A connection to where workers are. */
export interface ClusterLink {
  readonly store: RunStore;
  readonly scheduler: Scheduler;
  /** Opens the connection if it rests. */
  wake(): Promise<void>;
  /** Closes the connection until it is woken: nothing keeps the process from ending. */
  rest(): Promise<void>;
}

export interface LinkRequest {
  readonly connection: unknown;
  readonly name: string;
  readonly contract: Contract;
}

/** A job's file, loaded. */
export interface LoadedJob {
  /** What it exports as its default. */
  readonly job: unknown;
  readonly contract: Contract;
}

export interface ClusterHost {
  /** Throws SteepestError if the address is none, or leads to no module. */
  load(where: string, address: unknown): Promise<LoadedJob>;
  connect(where: string, request: LinkRequest): Promise<ClusterLink>;
}

let host: ClusterHost | undefined;

export function provideClusterHost(provided: ClusterHost): void {
  host = provided;
}

export function clusterHost(): ClusterHost | undefined {
  return host;
}
