import { describe, expect, test } from "vitest";
import { plainSteps } from "../../bench/javascript/optimizers.js";
import { parseOptions, UsageError, usage } from "../../bench/options.js";
import { PEERS } from "../../bench/peerList.js";
import { MARKERS } from "../../bench/readme.js";
import { layerCases } from "../../bench/workloads/layerCases.js";

const own = [
  ...["steepest-strict-1", "steepest-fast-1", "steepest-wide-1"],
  ...["steepest-strict-2", "steepest-fast-2", "steepest-wide-2"],
  "javascript",
];
const OTHER_STEPS = [
  ...["momentum-clip", "momentum-clip-idle", "adam-clip", "adam-clip-idle"],
  ...["adam-denormal", "rmsprop-denormal", "lion-denormal"],
];
const namesOf = (text: string) => parseOptions(["--workloads", text]).workloads.map(({ name }) => name);

describe("parseOptions", () => {
  test("without arguments: everything that is built", () => {
    const { workloads, ...others } = parseOptions([]);
    expect(workloads.map(({ name }) => name)).toEqual([
      "xor",
      "xor-call",
      "mnist-32-sgd",
      "mnist-32-adam",
      "mnist-128-sgd",
      "mnist-128-adam",
      "mlp-1024",
      "cnn",
      "lstm",
      "gru",
      "lstm-long",
      "transformer",
      "sample",
      "predict-one",
      "predict-int8",
      "gemm-64",
      "gemm-128",
      "gemm-256",
      "gemm-512",
      "gemm-1024",
      "conv-vgg",
      ...Object.keys(layerCases).map((name) => `layers-${name}`),
      ...[...Object.keys(plainSteps), ...OTHER_STEPS].map((name) => `optimizer-${name}`),
      "metrics-mnist",
      "stream-mnist",
      "tripwire-mnist",
      "activation-relu",
      "activation-sigmoid",
      "activation-tanh",
      "activation-softplus",
      "activation-silu",
      "activation-elu",
      "activation-gelu",
      "page-tasks-isolated",
      "page-tasks-copied",
      "ceiling",
    ]);
    expect(others).toEqual({
      json: undefined,
      readme: undefined,
      save: undefined,
      from: undefined,
      node: undefined,
      against: undefined,
      implementations: own,
      installPeers: false,
      quick: false,
      help: false,
    });
  });

  test("reads every option", () => {
    const args =
      "--quick --json out.json --save all.json --node /opt/node --readme README.md,docs/x.md --workloads gemm-64,xor --implementations javascript,steepest-fast-2 --install-peers --help";
    const { workloads, ...others } = parseOptions(args.split(" "));
    expect(workloads.map(({ name }) => name)).toEqual(["xor", "gemm-64"]);
    expect(others).toEqual({
      json: "out.json",
      readme: { files: ["README.md", "docs/x.md"], workloads },
      save: "all.json",
      from: undefined,
      node: "/opt/node",
      against: undefined,
      implementations: ["steepest-fast-2", "javascript"],
      installPeers: true,
      quick: true,
      help: true,
    });
  });

  test("a name is itself; the beginning of several is all of them", () => {
    expect(namesOf("xor")).toEqual(["xor"]);
    expect(namesOf("mnist-32, predict-one")).toEqual(["mnist-32-sgd", "mnist-32-adam", "predict-one"]);
    expect(namesOf("gemm")).toEqual(["gemm-64", "gemm-128", "gemm-256", "gemm-512", "gemm-1024"]);
    expect(namesOf("layers")).toHaveLength(Object.keys(layerCases).length);
  });

  test("the README shows no activations, layers, metrics, optimizers and page tasks, which are not measured then, unless they are named", () => {
    const shown = (...args: string[]) => parseOptions(["--readme", "x", ...args]).readme?.workloads ?? [];
    const { workloads } = parseOptions([]);
    expect(shown()).toEqual(
      workloads.filter(({ name }) => !/^(activation|layers|metrics|optimizer|page-tasks|stream|tripwire)-/.test(name)),
    );
    expect(shown()).toHaveLength(workloads.length - 7 - 20 - 3 - 2 - Object.keys(layerCases).length);
    expect(parseOptions(["--readme", "x"]).workloads).toEqual(shown());
    expect(shown("--workloads", "xor,activation-relu").map(({ name }) => name)).toEqual(["xor", "activation-relu"]);
  });

  test("peers take part when they are named, or all with --peers", () => {
    const implementationsOf = (...args: string[]) => parseOptions(args).implementations;
    expect(implementationsOf("--peers")).toEqual([...own, ...PEERS]);
    expect(implementationsOf("--implementations", "jax-js,javascript")).toEqual(["javascript", "jax-js"]);
    expect(implementationsOf("--peers", "--implementations", "javascript")).toEqual(["javascript", ...PEERS]);
  });

  test("against another revision, what steepest does takes part, or what is named", () => {
    const { against, implementations } = parseOptions(["--against", "HEAD~2"]);
    expect(against).toBe("HEAD~2");
    expect(implementations).toEqual(own.filter((name) => name !== "javascript"));
    const named = ["--against", "main", "--implementations", "steepest-wide-1,javascript"];
    expect(parseOptions(named).implementations).toEqual(["steepest-wide-1", "javascript"]);
  });

  test("reads what earlier runs have saved, for all that is written", () => {
    const { from, json, readme } = parseOptions(["--from", "a.json, b.json", "--readme", "x.md", "--json", "y.json"]);
    expect([from, json, readme?.files]).toEqual([["a.json", "b.json"], "y.json", ["x.md"]]);
  });

  test.each([
    [["--from", "a.json", "--save", "b.json"], /--from measures nothing: leave out --save/],
    [["--from", "a.json", "--peers"], /--from measures nothing: leave out --peers/],
    [["--from", "a.json", "--workloads", "xor"], /--from measures nothing: leave out --workloads/],
    [["--from", "a.json,"], /--from must be names with commas between, got "a.json,"/],
    [
      ["--against", "HEAD", "--readme", "x.md"],
      /--against: the figures of two revisions are not for --readme and --save/,
    ],
    [
      ["--against", "HEAD", "--save", "x.json"],
      /--against: the figures of two revisions are not for --readme and --save/,
    ],
    [["--against="], /--against needs a revision, as git names it/],
    [["--node="], /--node needs the path of a Node/],
    [["--save="], /--save needs a file name/],
    [["--fast"], /Unknown option '--fast'/],
    [["xor"], /Unexpected argument 'xor'/],
    [["--json"], /'--json <value>' argument missing/],
    [["--json="], /--json needs a file name/],
    [["--readme="], /--readme needs a file name/],
    [["--quick=yes"], /'--quick' does not take an argument/],
    [
      ["--workloads", "xor,gem"],
      /there is no "gem": there are xor, .*activation-gelu, page-tasks-isolated, page-tasks-copied, ceiling/,
    ],
    [["--workloads", "xor,"], /must be names with commas between, got "xor,"/],
    [["--implementations", "tensorflow"], /there is no "tensorflow": there are steepest-strict-1, /],
    [["--implementations", ""], /must be names with commas between, got ""/],
  ])("refuses %j", (args, message) => {
    expect(() => parseOptions(args)).toThrow(UsageError);
    expect(() => parseOptions(args)).toThrow(message);
  });
});

test("the usage lists the workloads", () => {
  expect(usage()).toMatch(/^ {2}gemm-64 +matrix product \[64, 64\] · \[64, 64\]$/m);
});

test("the usage says where --readme writes", () => {
  for (const marker of MARKERS) expect(usage()).toContain(marker);
});
