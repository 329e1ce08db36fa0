// The command line of the benchmark.
import { parseArgs } from "node:util";
import { isPeer, PEERS } from "./peerList.js";
import { type Competitor, IMPLEMENTATIONS, type Workload } from "./workload.js";
import { workloads } from "./workloads.js";

/** A mistake in how the benchmark was called: prints the usage, exit code 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

export interface Options {
  /** Where the records go as JSON. */
  readonly json: string | undefined;
  /** Where the figures go as Markdown, and those of which workloads. */
  readonly readme: { readonly file: string; readonly workloads: readonly Workload[] } | undefined;
  readonly workloads: readonly Workload[];
  readonly implementations: readonly Competitor[];
  /** Installs the packages of the peers and does nothing else. */
  readonly installPeers: boolean;
  readonly quick: boolean;
  readonly help: boolean;
}

/** Throws UsageError for unknown options and names. */
export function parseOptions(args: readonly string[]): Options {
  const {
    json,
    readme,
    workloads: names,
    implementations,
    peers = false,
    quick = false,
    help = false,
    ...others
  } = parse(args);
  if (json === "") throw new UsageError("--json needs a file name");
  if (readme === "") throw new UsageError("--readme needs a file name");
  const selected = names === undefined ? workloads.map(({ name }) => name) : listOf("workloads", names).flatMap(expand);
  const chosen = workloads.filter(({ name }) => selected.includes(name));
  // The activations and layers are many, and of little interest beside the rest.
  const shown = names === undefined ? chosen.filter(({ name }) => !/^(activation|layers)-/.test(name)) : chosen;
  return {
    json,
    readme: readme === undefined ? undefined : { file: readme, workloads: shown },
    workloads: chosen,
    implementations: selectImplementations(implementations, peers),
    installPeers: others["install-peers"] ?? false,
    quick,
    help,
  };
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        json: { type: "string" },
        readme: { type: "string" },
        workloads: { type: "string" },
        implementations: { type: "string" },
        peers: { type: "boolean" },
        "install-peers": { type: "boolean" },
        quick: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError((error as Error).message.split(". To specify")[0]);
  }
}

function listOf(option: string, text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.includes("")) throw new UsageError(`--${option} must be names with commas between, got "${text}"`);
  return names;
}

/** A workload's name is itself; the beginning of several (`gemm`, `mnist-32`) is all of them. */
function expand(name: string): string[] {
  const known = workloads.map((workload) => workload.name);
  if (known.includes(name)) return [name];
  const members = known.filter((other) => other.startsWith(`${name}-`));
  if (members.length > 0) return members;
  throw new UsageError(`--workloads: there is no "${name}": there are ${known.join(", ")}`);
}

/** Ours and plain JavaScript, or those that are named; with `--peers` all peers too. */
function selectImplementations(text: string | undefined, peers: boolean): readonly Competitor[] {
  const known: readonly Competitor[] = [...IMPLEMENTATIONS, ...PEERS];
  const names = text === undefined ? IMPLEMENTATIONS : listOf("implementations", text);
  const unknown = names.find((name) => !known.some((other) => other === name));
  if (unknown !== undefined) {
    throw new UsageError(`--implementations: there is no "${unknown}": there are ${known.join(", ")}`);
  }
  return known.filter((name) => names.some((other) => other === name) || (peers && isPeer(name)));
}

export function usage(): string {
  const row = (name: string, text: string) => `  ${name.padEnd(22)} ${text}`;
  return [
    "usage: npm run bench -- [options]",
    "",
    "Checks the results of each implementation, then times them in turns. Exit code 0: done; 1: a check failed;",
    "2: called wrongly.",
    "",
    row("--workloads a,b", "only these, or all that begin so: gemm (default all)"),
    row("--implementations a,b", `of ${IMPLEMENTATIONS.join(", ")}`),
    row("", "(default these; the number is that of the threads) and of"),
    row("", `${PEERS.slice(0, 5).join(", ")},`),
    row("", PEERS.slice(5).join(", ")),
    row("--peers", "all of these other libraries too, each in a process of its own"),
    row("--install-peers", "install them into bench/peers (700 MB), and do nothing else; PyTorch is the system's"),
    row("--quick", "fewer and shorter rounds: rough figures"),
    row("--json FILE", "write records {workload, implementation, metric, value, unit}: medians"),
    row("--readme FILE", "write the medians into this Markdown file, between its lines <!-- bench:begin --> and"),
    row("", "<!-- bench:end -->; activations and layers only where --workloads names them"),
    row("--help", "this text"),
    "",
    "workloads:",
    ...workloads.map(({ name, description }) => row(name, description)),
  ].join("\n");
}
