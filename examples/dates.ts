// Translation in small: dates as people write them ("the third of march, 1987") to ISO 8601 (1987-03-03). An encoder reads the letters in
// both directions, a decoder writes one letter after another, and attention (Bahdanau et al. 2015; here the dot product of Luong et al.
// 2015) says which letters of the source each one looks at.
import { fileURLToPath } from "node:url";
import {
  adam,
  clipByGlobalNorm,
  compileSync,
  crossEntropy,
  dense,
  embedding,
  flatten,
  functional,
  gru,
} from "steepest";
import { add, concatenate, expandDims, matmul, scale, shift, softmax } from "steepest/graph";
import { beamSearch, characterTokenizer, padSequences } from "steepest/text";
import { createRandom } from "./common/random.js";
import { quick, report } from "./common/report.js";

const MONTHS = "january february march april may june july august september october november december".split(" ");
const ONES =
  "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth".split(
    " ",
  );
const UNITS = 64;
/** Letters of the longest source, and of every target. */
const [SOURCE, TARGET] = [40, 10];

/** The day of a month in words: "twenty-third". */
export function ordinal(day: number): string {
  if (day < 20) return ONES[day - 1];
  if (day === 20 || day === 30) return day === 20 ? "twentieth" : "thirtieth";
  return `${day < 30 ? "twenty" : "thirty"}-${ONES[(day % 10) - 1]}`;
}

function suffixed(day: number): string {
  const suffix = day > 10 && day < 14 ? "th" : (["th", "st", "nd", "rd"][day % 10] ?? "th");
  return `${day}${suffix}`;
}

/** A date from 1800 to 2099, as somebody may write it, and as ISO 8601 writes it. */
export function createDate(random: () => number): { source: string; target: string } {
  const below = (count: number) => Math.floor(random() * count);
  const date = new Date(Date.UTC(1800 + below(300), below(12), 1 + below(31)));
  const [day, month, year] = [date.getUTCDate(), MONTHS[date.getUTCMonth()], date.getUTCFullYear()];
  const named = [month, month.slice(0, 3)][below(2)];
  const days = [String(day), suffixed(day), ordinal(day)][below(3)];
  const forms = [
    `${days} ${named} ${year}`,
    `${named} ${days}, ${year}`,
    `the ${days === String(day) ? suffixed(day) : days} of ${month}, ${year}`,
    `${year}, ${named} ${days}`,
  ];
  return { source: forms[below(forms.length)], target: date.toISOString().slice(0, 10) };
}

/** So many dates that differ in how they are written, none of them in `without`. */
export function createDates(count: number, seed: number, without: ReadonlySet<string> = new Set()) {
  const random = createRandom(seed);
  const dates = new Map<string, string>();
  while (dates.size < count) {
    const { source, target } = createDate(random);
    if (!without.has(source)) dates.set(source, target);
  }
  return { sources: [...dates.keys()], targets: [...dates.values()] };
}

const LETTERS = `0123456789 ,-${"abcdefghijklmnopqrstuvwxyz"}`;
export const tokenizer = characterTokenizer(LETTERS, { special: ["<pad>", "<start>"] });

/** What the model takes: letters of the source, how many there are, and the target's letters but the last, behind a start. */
export function encode(sources: readonly string[], written: readonly (readonly number[])[]) {
  const padded = padSequences(
    sources.map((source) => tokenizer.encode(source)),
    { length: SOURCE },
  );
  const begun = written.map((ids) => [tokenizer.special["<start>"], ...ids].slice(0, TARGET));
  return {
    source: padded.ids,
    mask: padded.mask,
    lengths: padded.lengths,
    written: padSequences(begun, { length: TARGET }).ids,
  };
}

/** Logits of each letter of the target, and the weights with which it looks at the letters of the source. */
export function createModel() {
  const input = { source: [SOURCE], mask: [SOURCE], lengths: [], written: [TARGET] } as const;
  const dtype = { source: "uint32", lengths: "uint32", written: "uint32" } as const;
  return functional({ input, dtype }, ({ source, mask, lengths, written }, { apply }) => {
    const read = apply(source, embedding(tokenizer.size, 24, { name: "letters", paddingIndex: 0 }));
    const { output: memory, hidden } = apply(
      { x: read, lengths },
      gru(UNITS / 2, { name: "encoder", bidirectional: "concatenate", returnSequences: true, returnState: true }),
    );
    const first = apply(hidden, flatten(), dense(UNITS, { name: "bridge" }));
    const begun = apply(written, embedding(tokenizer.size, 24, { name: "begun" }));
    const states = apply({ x: begun, hidden: first }, gru(UNITS, { name: "decoder", returnSequences: true }));
    const queries = apply(states, dense(UNITS, { name: "query" }));
    const scores = scale(matmul(queries, memory, { transposeB: true }), UNITS ** -0.5);
    // Padding is not looked at: e^-1e9 is 0.
    const allowed = expandDims(scale(shift(mask, -1), 1e9), 1);
    const attention = softmax(add(scores, allowed));
    const context = matmul(attention, memory);
    return { letters: apply(concatenate([states, context], 2), dense(tokenizer.size, { name: "letter" })), attention };
  });
}

type Translator = ReturnType<typeof createTranslator>;

function createTranslator(seed: number) {
  return compileSync(createModel(), {
    loss: { letters: crossEntropy() },
    optimizer: clipByGlobalNorm(1, adam({ learningRate: 0.003 })),
    seed,
  });
}

/** Letters of each target, as ids. */
const lettersOf = (targets: readonly string[]) => targets.map((target) => [...tokenizer.encode(target)]);

/** Trains with the right letters as what was written before (teacher forcing). */
export function learn(
  count: number,
  epochs: number,
  seed: number,
): { translator: Translator; known: ReadonlySet<string> } {
  const { sources, targets } = createDates(count, seed);
  const letters = lettersOf(targets);
  const translator = createTranslator(seed);
  const data = { x: encode(sources, letters), y: { letters: Uint32Array.from(letters.flat()) } };
  for (const { epoch, loss } of translator.fitSync(data, { epochs, batchSize: 64 })) {
    console.log(`  epoch ${epoch}: loss a letter ${loss.toFixed(4)}`);
  }
  return { translator, known: new Set(sources) };
}

/** Writes each target letter by letter, the likeliest each time. */
export function translate(translator: Translator, sources: readonly string[]) {
  const written: number[][] = sources.map(() => []);
  let attention: Float32Array = new Float32Array(0);
  for (let letter = 0; letter < TARGET; letter++) {
    const predicted = translator.predictSync(encode(sources, written));
    attention = predicted.attention;
    written.forEach((ids, sample) => {
      const first = (sample * TARGET + letter) * tokenizer.size;
      const row = predicted.letters.subarray(first, first + tokenizer.size);
      ids.push(row.indexOf(Math.max(...row)));
    });
  }
  return { targets: written.map((ids) => tokenizer.decode(ids)), attention };
}

/** The likeliest translations of one source by beam search. */
export async function translations(translator: Translator, source: string, width: number) {
  // All targets have ten letters, so no letter ends one: the padding never comes.
  const beams = await beamSearch(
    (prefixes) => {
      const { letters: probabilities } = translator.predictSync(
        encode(
          prefixes.map(() => source),
          prefixes,
        ),
      );
      const letter = prefixes[0].length;
      return prefixes.flatMap((_, beam) => {
        const first = (beam * TARGET + letter) * tokenizer.size;
        return Array.from(probabilities.subarray(first, first + tokenizer.size), Math.log);
      });
    },
    { end: tokenizer.special["<pad>"], maxLength: TARGET, width },
  );
  return beams.map(({ ids, logProbability }) => ({
    target: tokenizer.decode(ids),
    probability: Math.exp(logProbability),
  }));
}

const SHADES = " ░▒▓█";

/** Which letters of the source each letter of the target looks at, darker for more. */
export function drawAttention(source: string, target: string, weights: Float32Array): string {
  const rows = [...target].map((letter, row) => {
    const line = [...source].map((_, column) => {
      const weight = Math.min(weights[row * SOURCE + column], 0.999);
      return SHADES[Math.floor(weight * SHADES.length)];
    });
    return `  ${letter} │${line.join("")}│`;
  });
  return [`     ${source}`, ...rows].join("\n");
}

async function main(): Promise<void> {
  const [count, epochs] = quick ? [4000, 10] : [20_000, 10];
  const { translator, known } = learn(count, epochs, 1);
  const { sources, targets } = createDates(1000, 99, known);
  const { targets: found, attention } = translate(translator, sources);
  const right = found.filter((target, i) => target === targets[i]).length;
  console.log(`\n${right / 10} % of 1,000 dates that it has not seen are right; four of them:\n`);
  for (let i = 0; i < 4; i++) {
    const weights = attention.subarray(i * TARGET * SOURCE, (i + 1) * TARGET * SOURCE);
    console.log(`${drawAttention(sources[i], found[i], weights)}\n`);
  }
  console.log(`By beam search, "${sources[0]}" is:`);
  for (const { target, probability } of await translations(translator, sources[0], 3)) {
    console.log(`  ${target} with a probability of ${probability.toFixed(4)}`);
  }
  translator.dispose();
  report("dates", right / 10);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
