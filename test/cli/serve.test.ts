// steepest serve: what many clients at once get is what the library answers, and nothing is lost when it ends.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { adam, compile, crossEntropy, dense, relu, sequential, type Trainer } from "steepest";
import { type TableData, type TableRow, table } from "steepest/data";
import { saveModel } from "steepest/io";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { program, run, temporaryFolder } from "./processes.js";

const cwd = temporaryFolder();
const ROWS = 400;
const rowAt = (i: number): TableRow => ({
  size: (i * 37) % 101,
  kind: ["oak", "ash", "elm"][i % 3],
  old: i % 7 === 0 ? null : i % 2,
});
let data: TableData;
let trainer: Trainer;
let expected: string[];

beforeAll(async () => {
  const rows = Array.from({ length: ROWS }, (_, i) => ({ ...rowAt(i), tall: ((i * 37) % 101) + 9 * (i % 3) > 60 }));
  data = table(rows, { target: "tall", seed: 1 });
  const model = sequential({ input: data.inputShape }, dense(16), relu(), dense(2));
  trainer = await compile(model, { loss: crossEntropy(), optimizer: adam({ learningRate: 0.01 }), seed: 1 });
  await trainer.fit(data.training, { epochs: 5 });
  await saveModel(trainer, join(cwd, "model.safetensors"), { preprocessing: { table: data.transform } });
  const plain = await compile(sequential({ input: [3] }, dense(2)), { seed: 4 });
  await saveModel(plain, join(cwd, "plain.safetensors"));
  plain.dispose();
  const outputs = await trainer.predict(data.transform.transform(Array.from({ length: ROWS }, (_, i) => rowAt(i))));
  const labels = data.transform.decode(outputs);
  expected = labels.map((label, i) => JSON.stringify([label, ...outputs.subarray(2 * i, 2 * i + 2)]));
});
afterAll(() => trainer.dispose());

const started: ChildProcess[] = [];
afterAll(() => {
  for (const child of started) child.kill("SIGKILL");
});

async function serve(model: string, ...options: string[]) {
  const child = spawn(process.execPath, [program, "serve", model, "--port", "0", "--json", ...options], { cwd });
  started.push(child);
  if (model === "-") child.stdin.end(readFileSync(join(cwd, "plain.safetensors")));
  const lines: string[] = [];
  const output = createInterface({ input: child.stdout });
  output.on("line", (line) => lines.push(line));
  await once(output, "line");
  const { listening } = JSON.parse(lines[0]);
  const closed = once(child, "close");
  return {
    url: listening as string,
    child,
    /** What it says at the end, and its exit code. */
    async end(signal: NodeJS.Signals = "SIGTERM") {
      child.kill(signal);
      const [code] = await closed;
      return { code, result: JSON.parse(lines.at(-1) ?? "") };
    },
  };
}

const post = (url: string, body: unknown): Promise<Response> =>
  fetch(`${url}/predict`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  });

interface Given {
  readonly predictions: readonly { readonly prediction: unknown; readonly probabilities: Record<string, number> }[];
}

const shown = ({ predictions }: Given): string[] =>
  predictions.map(({ prediction, probabilities }) =>
    JSON.stringify([prediction, ...Object.values(probabilities).map(Math.fround)]),
  );

describe.skipIf(process.platform === "win32")("steepest serve", () => {
  test("200 clients at once: every answer comes, and is that of the library to the bit, in fewer batches than requests", async () => {
    const server = await serve("model.safetensors");
    const wrong: string[] = [];
    let answers = 0;
    const client = async (number: number): Promise<void> => {
      for (let turn = 0; turn < 3; turn++) {
        const indices = Array.from(
          { length: 1 + ((number + turn) % 4) },
          (_, at) => (number * 13 + turn * 57 + at * 101) % ROWS,
        );
        const response = await post(server.url, { rows: indices.map(rowAt) });
        const got = shown((await response.json()) as Given);
        answers += got.length;
        const right = indices.map((at) => expected[at]);
        if (response.status !== 200 || got.join() !== right.join()) wrong.push(`${indices}: ${got}`);
      }
    };
    await Promise.all(Array.from({ length: 200 }, (_, number) => client(number)));
    expect(wrong).toEqual([]);
    const health = await fetch(`${server.url}/health`);
    expect([health.status, await health.json()]).toEqual([
      200,
      { status: "ok", requests: 601, rows: answers, refused: 0, waiting: 0 },
    ]);
    const { code, result } = await server.end();
    expect(code).toBe(0);
    expect(result).toMatchObject({ requests: 601, rows: answers, refused: 0 });
    expect(result.batches).toBeLessThan(600);
  });

  // Minutes of what the test above does for a moment: figures are in docs/commandLine.md.
  test.runIf(process.env.STEEPEST_EXHAUSTIVE && process.platform === "linux")(
    "200 clients for long: memory stays where it was after the first part",
    { timeout: 3_600_000 },
    async () => {
      const REQUESTS = 200_000;
      const server = await serve("model.safetensors");
      const residentMb = () =>
        Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.child.pid}/status`, "utf8"))?.[1]) / 1024;
      const [sizes, wrong]: [number[], string[]] = [[], []];
      let sent = 0;
      const client = async (): Promise<void> => {
        while (sent < REQUESTS) {
          const at = sent++ % ROWS;
          if (sent % (REQUESTS / 20) === 0) sizes.push(residentMb());
          const got = shown((await (await post(server.url, { rows: [rowAt(at)] })).json()) as Given);
          if (got.join() !== expected[at]) wrong.push(`${at}: ${got}`);
        }
      };
      await Promise.all(Array.from({ length: 200 }, client));
      console.log(`resident MB after each twentieth of ${REQUESTS} requests: ${sizes.map(Math.round).join(" ")}`);
      expect(wrong).toEqual([]);
      // A heap goes up and down: the most of the second half is that of the first, and a few pages.
      expect(sizes).toHaveLength(20);
      expect(Math.max(...sizes.slice(10))).toBeLessThan(Math.max(...sizes.slice(0, 10)) + 16);
      expect((await server.end()).code).toBe(0);
    },
  );

  test("what was asked before the end is answered; a new connection is refused", async () => {
    const server = await serve("model.safetensors");
    const { hostname, port } = new URL(server.url);
    const body = JSON.stringify({ rows: [rowAt(5)] });
    const socket = connect(Number(port), hostname);
    await once(socket, "connect");
    socket.write(`POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 9)}`);
    // The server has read the request's head when it counts it.
    await expect
      .poll(async () => ((await (await fetch(`${server.url}/health`)).json()) as { requests: number }).requests)
      .toBeGreaterThan(1);
    const ending = server.end("SIGINT");
    await expect
      .poll(() =>
        fetch(`${server.url}/health`).then(
          () => "open",
          () => "closed",
        ),
      )
      .toBe("closed");
    socket.write(body.slice(9));
    let answer = "";
    for await (const piece of socket) answer += piece;
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).toMatch(/connection: close/i);
    expect(shown(JSON.parse(answer.slice(answer.indexOf("{"))))).toEqual([expected[5]]);
    expect((await ending).code).toBe(0);
  });

  test("what cannot be answered is refused with its reason, and goes on", async () => {
    const server = await serve("model.safetensors", "--max-body", "2000", "--queue", "8");
    const refused = async (response: Response): Promise<[number, string]> => [
      response.status,
      ((await response.json()) as { error: string }).error,
    ];
    const row = rowAt(1);
    const { url } = server;
    const send = (body: string, type = "application/json") =>
      fetch(`${url}/predict`, { method: "POST", body, headers: { "content-type": type } });
    expect(await refused(await send("{"))).toEqual([400, expect.stringMatching(/^the body must be JSON, got /)]);
    expect(await refused(await send("7"))).toEqual([400, expect.stringMatching(/"rows": \[ … \] .* got 7$/)]);
    expect(await refused(await post(url, { rows: [] }))).toEqual([400, expect.stringMatching(/a row or more/)]);
    expect(await refused(await post(url, { rows: [row, 7] }))).toEqual([
      400,
      expect.stringMatching(/row 2 must be an object/),
    ]);
    expect(await refused(await post(url, [{ size: 1, kind: "oak" }]))).toEqual([
      400,
      expect.stringMatching(/got none named old/),
    ]);
    expect(await refused(await post(url, [{ ...row, size: "big" }]))).toEqual([
      400,
      expect.stringMatching(/column "size".* got "big" in row 1/),
    ]);
    expect(await refused(await send("size,kind", "text/csv"))).toEqual([415, "the body must be JSON, got text/csv"]);
    expect(await refused(await send(JSON.stringify({ rows: [{ ...row, more: "x".repeat(3000) }] })))).toEqual([
      413,
      "the body must have at most 2000 bytes, got more",
    ]);
    const get = await fetch(`${url}/predict`);
    expect([get.headers.get("allow"), ...(await refused(get))]).toEqual([
      "POST",
      405,
      "the method must be POST, got GET",
    ]);
    // No client of today's sends this: the target is no URL.
    const raw = connect(Number(new URL(url).port), "127.0.0.1");
    raw.end("GET // HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    let text = "";
    for await (const piece of raw) text += piece;
    expect(text).toMatch(/^HTTP\/1\.1 400 [\s\S]*the request must be for a path, got \\"\/\/\\"/);
    expect(await refused(await fetch(`${url}/predictions`))).toEqual([404, expect.stringMatching(/got \/predictions/)]);
    // A queue that is empty takes a request of any size; many at once are too many.
    const all = await Promise.all(Array.from({ length: 40 }, () => post(url, Array(6).fill({ ...row }))));
    const statuses = new Set(all.map(({ status }) => status));
    expect([...statuses].filter((status) => status !== 200 && status !== 503)).toEqual([]);
    for (const one of all) if (one.status === 503) expect(one.headers.get("retry-after")).toBe("1");
    expect(shown((await (await post(url, [row])).json()) as Given)).toEqual([expected[1]]);
    expect((await server.end()).code).toBe(0);
  });

  test.each(["plain.safetensors", "-"])("a model without a table takes lists of numbers (%s)", async (model) => {
    const server = await serve(model);
    const response = await post(server.url, {
      rows: [
        [1, 2, 3],
        [0, 0, 0],
      ],
    });
    const { predictions } = (await response.json()) as { predictions: { prediction: number[] }[] };
    expect(predictions.map(({ prediction }) => prediction.length)).toEqual([2, 2]);
    expect(predictions[1].prediction).toEqual([0, 0]);
    const short = await post(server.url, { rows: [[1, 2]] });
    expect([short.status, await short.json()]).toEqual([
      400,
      { error: expect.stringMatching(/for each of the 3 values/) },
    ]);
    expect((await server.end()).code).toBe(0);
  });

  test("a port that is taken is an error", async () => {
    const server = await serve("plain.safetensors");
    const { port } = new URL(server.url);
    const { code, stderr } = await run(["serve", "plain.safetensors", "--port", port], { cwd });
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/must be free to listen at, got 127\.0\.0\.1:\d+ \(EADDRINUSE\)/),
    ]);
    expect((await server.end()).code).toBe(0);
  });
});
