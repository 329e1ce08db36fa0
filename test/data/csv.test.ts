// Rows from CSV, JSON lines and Parquet: what comes out of them, whatever they come from and however they are cut.
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parse } from "csv-parse/sync";
import * as hyparquet from "hyparquet";
import { parquetWriteBuffer } from "hyparquet-writer";
import { type CsvOptions, csvRows, jsonLineRows, parquetRows, type TableRows, type TableSource } from "steepest/data";
import { afterAll, describe, expect, test } from "vitest";
import { dataHost, provideDataHost } from "../../src/data/host.js";
import { randomNumbers } from "../../src/engine/randomNumbers.js";

const folder = mkdtempSync(join(tmpdir(), "steepest-csv-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function blocksOf(rows: TableRows) {
  let names: readonly string[] = [];
  const values: (readonly unknown[])[] = [];
  const numbers: number[] = [];
  for await (const block of rows.blocks()) {
    names = block.names;
    values.push(...block.rows);
    numbers.push(...block.numbers);
  }
  return { names, rows: values, numbers };
}

const read = (source: TableSource, options?: CsvOptions) => blocksOf(csvRows(source, options));
const bytes = (text: string) => new TextEncoder().encode(text);

describe("csvRows", () => {
  test.each<[what: string, text: string, names: string[], rows: string[][], lines: number[], options?: CsvOptions]>([
    [
      "plain",
      "a,b\n1,2\n3,4\n",
      ["a", "b"],
      [
        ["1", "2"],
        ["3", "4"],
      ],
      [2, 3],
    ],
    ["without a last line break", "a,b\n1,2", ["a", "b"], [["1", "2"]], [2]],
    [
      "CRLF",
      "a,b\r\n1,2\r\n3,4\r\n",
      ["a", "b"],
      [
        ["1", "2"],
        ["3", "4"],
      ],
      [2, 3],
    ],
    [
      "CR alone",
      "a,b\r1,2\r3,4",
      ["a", "b"],
      [
        ["1", "2"],
        ["3", "4"],
      ],
      [2, 3],
    ],
    [
      "line breaks of all kinds",
      "a,b\r\n1,2\n3,4\r5,6",
      ["a", "b"],
      [
        ["1", "2"],
        ["3", "4"],
        ["5", "6"],
      ],
      [2, 3, 4],
    ],
    ["a byte order mark", "\ufeffa,b\n1,2\n", ["a", "b"], [["1", "2"]], [2]],
    ["a quoted name after the mark", '\ufeff"a",b\n1,2\n', ["a", "b"], [["1", "2"]], [2]],
    ["quotes", 'a,b\n"1,5","say ""hi"""\n', ["a", "b"], [["1,5", 'say "hi"']], [2]],
    [
      "line breaks in quotes",
      'a,b\n"x\r\ny",2\n3,"\n"\n5,6\n',
      ["a", "b"],
      [
        ["x\ny", "2"],
        ["3", "\n"],
        ["5", "6"],
      ],
      [2, 4, 6],
    ],
    [
      "blank lines",
      "\n\na,b\n\n1,2\n  \n3,4\n\n",
      ["a", "b"],
      [
        ["1", "2"],
        ["3", "4"],
      ],
      [5, 7],
    ],
    [
      "blanks around",
      'a , "b"\n 1,\t2 \n" 3 ", "4"\n',
      ["a", "b"],
      [
        ["1", "2"],
        [" 3 ", "4"],
      ],
      [2, 3],
    ],
    ["empty values", 'a,b,c\n,"",\n', ["a", "b", "c"], [["", "", ""]], [2]],
    ["semicolons found", "a;b\n1,5;2\n", ["a", "b"], [["1,5", "2"]], [2]],
    ["tabs found", "a\tb, c\td\n1\t\t\n", ["a", "b, c", "d"], [["1", "", ""]], [2]],
    ["bars found, outside of quotes", '"a,,,"|b\n1|2\n', ["a,,,", "b"], [["1", "2"]], [2]],
    ["a delimiter that is said", "a:b,c\n1:2\n", ["a", "b,c"], [["1", "2"]], [2], { delimiter: ":" }],
    ["one column", "a\n1\n\n2\n", ["a"], [["1"], ["2"]], [2, 4]],
    [
      "names that are nobody's",
      "__proto__,constructor,\n1,2,3\n",
      ["__proto__", "constructor", "column 3"],
      [["1", "2", "3"]],
      [2],
    ],
    [
      "no header",
      "1,2\n3,4\n",
      ["column 1", "column 2"],
      [
        ["1", "2"],
        ["3", "4"],
      ],
      [1, 2],
      { header: false },
    ],
    ["names without a header", "1,2\n", ["x", "y"], [["1", "2"]], [1], { header: false, names: ["x", "y"] }],
    ["names for a header's", "a,a\n1,2\n", ["x", "y"], [["1", "2"]], [2], { names: ["x", "y"] }],
    ["quotes that are letters", 'a,b\n5",6"\n', ["a", "b"], [['5"', '6"']], [2], { quote: false }],
    ["another quote", "a,b\n'1,5',2\n", ["a", "b"], [["1,5", "2"]], [2], { quote: "'" }],
    ["short and long rows, filled", "a,b\n1\n1,2,,\n", ["a", "b"], [["1"], ["1", "2"]], [2, 3], { ragged: "fill" }],
    ["a header alone", "a,b\n", [], [], []],
  ])("%s", async (_, text, names, rows, numbers, options) => {
    expect(await read(text.includes("\n") ? text : [text], options)).toEqual({ names, rows, numbers });
    // Cut anywhere, in bytes.
    const cuts = Array.from(bytes(text), (byte) => Uint8Array.of(byte));
    expect(await read(cuts, options)).toEqual({ names, rows, numbers });
  });

  test.each<[what: string, text: string, message: RegExp, options?: CsvOptions]>([
    ["a short row", 'a,b\n1,2\n"\n",1\n3\n', /must have 2 values, got 1 in line 5, \["3"\]: ragged: "fill"/],
    ["a long row", "a,b\n1,2,3\n", /must have 2 values, got 3 in line 2/],
    ["a long row with a value", "a,b\n1,2,3\n", /must have 2 values, got 3 in line 2/, { ragged: "fill" }],
    ["names that come twice", "\na,b,a\n1,2,3\n", /got "a" twice in line 2 \(a, b, a\): give others as names/],
    [
      "a quote in a value",
      'a,b\n1,2\n1,5" pipe\n',
      /the quote doubled, got INVALID_OPENING_QUOTE at line 3: mend the line, or set quote: false/,
    ],
    ["letters behind a quote", 'a,b\n"1"x,2\n', /got CSV_INVALID_CLOSING_QUOTE at line 2/],
    ["a quote that is not closed", 'a,b\n1,2\n"3,4\n5,6\n', /must be closed, got CSV_QUOTE_NOT_CLOSED at line 3/],
    ["too few names", "a,b\n1,2\n", /names must be one for each of the 2 columns, got 1/, { names: ["a"] }],
  ])("%s is refused", async (_, text, message, options) => {
    await expect(read(text, options)).rejects.toThrow(message);
    // Lines count from the beginning of the file, in whatever piece they are.
    await expect(
      read(
        Array.from(bytes(text), (byte) => Uint8Array.of(byte)),
        options,
      ),
    ).rejects.toThrow(message);
  });

  test("a quote that is never closed does not take all memory", async () => {
    let pieces = 0;
    const endless = (function* () {
      yield 'a,b\n1,"';
      for (;;) {
        pieces++;
        yield "x".repeat(2 ** 20);
      }
    })();
    await expect(read(endless)).rejects.toThrow("a row must have at most 16777216 characters, got more from line 2");
    expect(pieces).toBeLessThan(20);
  });

  test("random tables come back as they were written, cut at random", async () => {
    const random = randomNumbers(15);
    const letters = ["a", "b", ",", ";", '"', "\n", "\r", "é", "日", "7", "\t"];
    const value = () => Array.from({ length: random.below(5) }, () => letters[random.below(letters.length)]).join("");
    for (let round = 0; round < 60; round++) {
      const columns = 2 + random.below(3);
      const rows = Array.from({ length: 1 + random.below(8) }, () => Array.from({ length: columns }, value));
      const names = Array.from({ length: columns }, (_, at) => `n${at}`);
      const end = ["\n", "\r\n", "\r"][random.below(3)];
      const quoted = [names, ...rows].map((row) => row.map((one) => `"${one.replaceAll('"', '""')}"`).join(","));
      const all = bytes(quoted.join(end));
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < all.length; ) {
        const to = at + 1 + random.below(9);
        pieces.push(all.subarray(at, to));
        at = to;
      }
      // A line break within a value is a line feed, whatever it was.
      const wanted = rows.map((row) => row.map((one) => one.replace(/\r\n?/g, "\n")));
      expect((await read(pieces, { delimiter: "," })).rows).toEqual(wanted);
    }
  });

  test("encodings", async () => {
    const latin = Uint8Array.from("n,m\né,ü\n", (letter) => letter.charCodeAt(0));
    expect((await read(latin, { encoding: "latin1" })).rows).toEqual([["é", "ü"]]);
    await expect(read(latin)).rejects.toThrow(
      'must be text in utf-8, got others: name its encoding, as encoding: "windows-1252"',
    );
    const utf16 = new Uint8Array(Uint16Array.from("\ufeffn,m\né,日\n", (letter) => letter.charCodeAt(0)).buffer);
    expect((await read(utf16)).rows).toEqual([["é", "日"]]);
    expect((await read([utf16.subarray(0, 5), utf16.subarray(5)])).rows).toEqual([["é", "日"]]);
    const shared = new Uint8Array(new SharedArrayBuffer(8));
    shared.set(bytes("n,m\n1,2\n"));
    expect((await read(shared)).rows).toEqual([["1", "2"]]);
    expect(() => csvRows("a\n1", { encoding: "utf-9" })).toThrow(
      'encoding must be a label that TextDecoder knows, as "utf-8" or "latin1", got "utf-9"',
    );
  });

  test("the same rows from text, bytes, files, blobs, responses, streams and functions, and again", async () => {
    const text = "a,b\n1,ä\n3,4\n";
    const path = join(folder, "table.csv");
    writeFileSync(path, text);
    const wanted = {
      names: ["a", "b"],
      rows: [
        ["1", "ä"],
        ["3", "4"],
      ],
      numbers: [2, 3],
    };
    const lasting: TableSource[] = [text, bytes(text), bytes(text).buffer, path, pathToFileURL(path), new Blob([text])];
    lasting.push(
      [text.slice(0, 5), bytes(text.slice(5))],
      () => new Blob([text]).stream(),
      async () => new Response(text),
    );
    for (const source of lasting) {
      const rows = csvRows(source);
      expect(await blocksOf(rows)).toEqual(wanted);
      expect(await blocksOf(rows)).toEqual(wanted);
    }
    for (const source of [
      new Response(text),
      new Blob([text]).stream(),
      createReadStream(path),
      createReadStream(path, "utf8"),
    ]) {
      expect(await read(source)).toEqual(wanted);
    }
    const rows: unknown[] = [];
    for await (const row of csvRows(text)) rows.push({ ...row });
    expect(rows).toEqual([
      { a: "1", b: "ä" },
      { a: "3", b: "4" },
    ]);
  });

  test("what is left early is closed", async () => {
    let canceled = false;
    const stream = new ReadableStream<string>({
      pull: (controller) => controller.enqueue("a,b\n1,2\n"),
      cancel: () => {
        canceled = true;
      },
    });
    const rows = csvRows(stream);
    for await (const { a } of rows) {
      expect(a).toBe("1");
      break;
    }
    expect(canceled).toBe(true);
  });

  test("sources that are none", async () => {
    const wrong = (source: unknown) => () => csvRows(source as string);
    expect(wrong(undefined)).toThrow("csvRows: the source must be something to read from, got undefined");
    expect(wrong(Promise.resolve("a"))).toThrow("got a Promise: await it");
    expect(wrong(new Float32Array(3))).toThrow("got a Float32Array of 3");
    await expect(read(join(folder, "none.csv"))).rejects.toThrow(
      /the file must be one that can be read, got ".*none.csv" \(ENOENT\)/,
    );
    await expect(read(folder)).rejects.toThrow("(EISDIR): check its path");
    await expect(read(new Response("no", { status: 404 }))).rejects.toThrow("must be a success, got status 404");
    await expect(read([7 as unknown as string])).rejects.toThrow("each piece must be text or a Uint8Array, got 7");
    const stream = new Blob(["a\n1\n"]).stream();
    await read(stream);
    const locked = new Blob(["a\n1\n"]).stream();
    locked.getReader();
    await expect(read(locked)).rejects.toThrow("a stream can be read once");
    await expect(read(() => undefined as unknown as string)).rejects.toThrow("something to read from, got undefined");
  });

  test("options that are wrong", () => {
    const wrong = (options: object) => () => csvRows("a\n1", options);
    expect(wrong({ delimiter: "ab" })).toThrow('delimiter must be one character that is no line break, got "ab"');
    expect(wrong({ delimiter: '"' })).toThrow("quote and delimiter must differ");
    expect(wrong({ names: ["a", "a"] })).toThrow("names must be an array of different texts");
    expect(wrong({ sep: ";" })).toThrow('unknown option "sep"');
  });

  test("a file is read as its rows are asked for", async () => {
    let pulled = 0;
    const rows = csvRows(
      (function* () {
        yield "a,b\n";
        for (; pulled < 1e9; pulled++) yield `${pulled},x\n`;
      })(),
    );
    let seen = 0;
    for await (const { a } of rows) {
      expect(a).toBe(`${seen}`);
      seen++;
      expect(pulled - seen).toBeLessThan(3);
      if (seen === 500) break;
    }
  });
});

describe("jsonLineRows", () => {
  test("objects that have and lack names", async () => {
    const text = '\ufeff{"a": 1, "b": "x"}\r\n\r\n{"b": null, "__proto__": true, "constructor": 2}\n{"a": [1]}';
    const wanted = {
      names: ["a", "b", "__proto__", "constructor"],
      rows: [
        [1, "x", undefined, undefined],
        [undefined, null, true, 2],
        [[1], undefined, undefined, undefined],
      ],
      numbers: [1, 3, 4],
    };
    expect(await blocksOf(jsonLineRows(text))).toEqual(wanted);
    // In pieces, a row has the names so far.
    const pieces = await blocksOf(jsonLineRows(Array.from(bytes(text), (byte) => Uint8Array.of(byte))));
    expect(pieces.names).toEqual(wanted.names);
    expect(pieces.rows).toEqual([[1, "x"], wanted.rows[1], wanted.rows[2]]);
    expect(pieces.numbers).toEqual(wanted.numbers);
  });

  test.each([
    ['{"a": 1}\n{"a": }\n', 'line 2 must be an object of JSON, got "{\\"a\\": }": mend the line'],
    ['{"a": 1}\n\n7\n', "line 3 must be an object with a value for each column, got 7"],
    ["[\n", "of a file that is one array, hand table() what JSON.parse gives"],
  ])("%j is refused", async (text, message) => {
    await expect(blocksOf(jsonLineRows(text))).rejects.toThrow(message);
  });
});

describe("parquetRows", () => {
  const day = new Date("2024-02-29T12:00:00Z");
  const file = parquetWriteBuffer({
    columnData: [
      { name: "a", data: Array.from({ length: 10 }, (_, i) => i / 4), type: "DOUBLE" },
      { name: "__proto__", data: Array.from({ length: 10 }, (_, i) => (i % 3 === 0 ? null : `t${i}`)), type: "STRING" },
      { name: "big", data: Array.from({ length: 10 }, (_, i) => BigInt(i)), type: "INT64" },
      { name: "day", data: Array.from({ length: 10 }, () => day), type: "TIMESTAMP" },
    ],
    rowGroupSize: 4,
  });

  test("the same from bytes, a file, a Blob and a stream, a group of rows at a time", async () => {
    const path = join(folder, "table.parquet");
    writeFileSync(path, new Uint8Array(file));
    for (const source of [file, new Uint8Array(file), path, new Blob([file]), new Blob([file]).stream()]) {
      const { names, rows, numbers } = await blocksOf(parquetRows(source));
      expect(names).toEqual(["a", "__proto__", "big", "day"]);
      expect(rows).toHaveLength(10);
      expect(rows[5]).toEqual([1.25, "t5", 5n, day]);
      expect(rows[9][1]).toBeNull();
      expect(numbers).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }
    let blocks = 0;
    for await (const block of parquetRows(file).blocks()) {
      expect(block.rows.length).toBeLessThanOrEqual(4);
      blocks++;
    }
    expect(blocks).toBe(3);
  });

  test("what is no Parquet file is refused", async () => {
    await expect(blocksOf(parquetRows(bytes("a,b\n1,2\n3,4\n")))).rejects.toThrow(
      "parquetRows: the source must be a Parquet file, got one that hyparquet refuses",
    );
    const whole = new Uint8Array(file);
    await expect(blocksOf(parquetRows(whole.subarray(0, whole.length - 9)))).rejects.toThrow("must be a Parquet file");
    await expect(blocksOf(parquetRows(["text\n"]))).rejects.toThrow("the source must have bytes, got text");
  });
});

test("packages that are not there are named, and may be handed in", async () => {
  const host = dataHost();
  if (host === undefined) throw new Error("the entry provides one");
  try {
    provideDataHost(undefined as never);
    await expect(read("a,b\n1,2\n")).rejects.toThrow(
      'import { parse } from "csv-parse/browser/esm/sync", and add { parser: parse }',
    );
    await expect(blocksOf(parquetRows(new Uint8Array(9)))).rejects.toThrow("and add { hyparquet }");
    await expect(read("table.csv", { parser: parse })).rejects.toThrow(
      'there are no files here, got the path "table.csv": fetch it, and hand in the Response',
    );
    expect((await read("a,b\n1,2\n", { parser: parse })).rows).toEqual([["1", "2"]]);
    await expect(blocksOf(parquetRows(new Uint8Array(9), { hyparquet }))).rejects.toThrow("must be a Parquet file");
    await expect(read("a,b\n1,2\n", { parser: () => 7 })).rejects.toThrow(
      "parser must be the synchronous parse of csv-parse",
    );
  } finally {
    provideDataHost(host);
  }
});
