// The command line of the benchmark.
import { parseArgs } from "node:util";
import { isPeer, PEERS, type PeerName } from "./peerList.js";
import { IMPLEMENTATIONS, type Implementation, variantOf, type Workload } from "./workload.js";
import { workloads } from "./workloads.js";

/** A mistake in how the benchmark was called: prints the usage, exit code 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

export interface Options {
  /** Where the records go as JSON. */
  readonly json: string | undefined;
  /** Where the figures go as Markdown, and those of which workloads. */
  readonly readme: { readonly files: readonly string[]; readonly workloads: readonly Workload[] } | undefined;
  /** Where all that was measured goes, to be read by `from`. */
  readonly save: string | undefined;
  /** What earlier runs have saved: nothing is measured. */
  readonly from: readonly string[] | undefined;
  /** Another Node that runs all of it. */
  readonly node: string | undefined;
  /** Another revision that runs beside this one. */
  readonly against: string | undefined;
  readonly workloads: readonly Workload[];
  readonly implementations: readonly (Implementation | PeerName)[];
  /** Installs the packages of the peers and does nothing else. */
  readonly installPeers: boolean;
  readonly quick: boolean;
  readonly help: boolean;
}

/** Throws UsageError for unknown options and names, and for options that have no meaning together. */
export function parseOptions(args: readonly string[]): Options {
  const values = parse(args);
  const { workloads: names, implementations, peers = false, quick = false, help = false } = values;
  checkTogether(values);
  const selected = names === undefined ? workloads.map(({ name }) => name) : listOf("workloads", names).flatMap(expand);
  const chosen = workloads.filter(({ name }) => selected.includes(name));
  // The activations, layers and optimizers are many, and of little interest beside the rest; pages are not compared with anybody.
  const shown =
    names === undefined
      ? chosen.filter(({ name }) => !/^(activation|layers|metrics|optimizer|page-tasks|stream|tripwire)-/.test(name))
      : chosen;
  const files = values.readme === undefined ? undefined : listOf("readme", values.readme);
  return {
    json: values.json,
    readme: files === undefined ? undefined : { files, workloads: shown },
    save: values.save,
    from: values.from === undefined ? undefined : listOf("from", values.from),
    node: values.node,
    against: values.against,
    workloads: files === undefined ? chosen : shown,
    implementations: selectImplementations(implementations ?? defaultsFor(values), peers),
    installPeers: values["install-peers"] ?? false,
    quick,
    help,
  };
}

/** Against another revision, what is the same in both is of no interest. */
function defaultsFor({ against }: ReturnType<typeof parse>): string | undefined {
  return against === undefined ? undefined : IMPLEMENTATIONS.filter((name) => variantOf(name) !== undefined).join(",");
}

const MEASURING = ["save", "node", "against", "workloads", "implementations", "peers", "quick"] as const;

function checkTogether(values: ReturnType<typeof parse>): void {
  for (const option of ["json", "readme", "save", "from", "node", "against"] as const) {
    if (values[option] === "") throw new UsageError(`--${option} needs ${NEEDS[option] ?? "a file name"}`);
  }
  const useless = MEASURING.find((option) => values[option] !== undefined);
  if (values.from !== undefined && useless !== undefined) {
    throw new UsageError(`--from measures nothing: leave out --${useless}`);
  }
  if (values.against !== undefined && (values.readme ?? values.save) !== undefined) {
    throw new UsageError("--against: the figures of two revisions are not for --readme and --save: use --json");
  }
}

const NEEDS: Readonly<Record<string, string>> = { node: "the path of a Node", against: "a revision, as git names it" };

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        json: { type: "string" },
        readme: { type: "string" },
        save: { type: "string" },
        from: { type: "string" },
        node: { type: "string" },
        against: { type: "string" },
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
function selectImplementations(text: string | undefined, peers: boolean): readonly (Implementation | PeerName)[] {
  const known: readonly (Implementation | PeerName)[] = [...IMPLEMENTATIONS, ...PEERS];
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
    row("--node PATH", "on another Node, peers too"),
    row("--against REV", "build another revision beside this one (kept for the next time), and interleave the two:"),
    row("", "as steepest-strict-1@COMMIT, and how many times as fast this one is"),
    row("--json FILE", "write records {workload, implementation, metric, value, unit}: medians"),
    row("--readme A,B", "write the medians into these Markdown files, between their lines <!-- bench:begin --> and"),
    row(
      "",
      "<!-- bench:end -->; those of activation, layers, metrics, optimizer, page-tasks, stream and tripwire only if --workloads names them. A line",
    ),
    row("", "<!-- bench:begin columns: …; rows: … --> names the implementations and workloads to show; if there is a"),
    row(
      "",
      "line <!-- history:begin FILE -->, FILE keeps them beside those of other days, and a table shows the latest",
    ),
    row("--save FILE", "write all that was measured, for --from"),
    row("--from A,B", "measure nothing: read what --save wrote, a workload from the last that has it"),
    row("--help", "this text"),
    "",
    "workloads:",
    ...workloads.map(({ name, description }) => row(name, description)),
  ].join("\n");
}
