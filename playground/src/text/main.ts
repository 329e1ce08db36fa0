// A model that writes while it learns: characters of Moby Dick, one after another.
import type { Tokenizer } from "steepest/text";
import { createRandom } from "../random.js";
import { createChart, createSeries } from "../ui/chart.js";
import { button, createPlayButton, numbers, select, slider } from "../ui/controls.js";
import { breathe, byId, h, nextFrame } from "../ui/dom.js";
import {
  createStatus,
  linkButton,
  linkSettings,
  mostThreads,
  sayError,
  startPage,
  threadHint,
  threadOptions,
} from "../ui/page.js";
import { createSession } from "../ui/session.js";
import type { TextTrainer, Writer } from "./network.js";
import { RATES, schema, type TextSettings } from "./settings.js";

/** How long a turn of training should take, and the writing in a frame may. */
const TURN_MS = 80;
const WRITE_MS = 5;
/** Characters of a sample, and how many samples stay. */
const LENGTH = 260;
const KEPT = 8;

startPage();
const link = linkSettings(schema, () => {
  showSettings();
  renew();
});
let text: { tokenizer: Tokenizer; ids: Uint32Array; alphabet: ReadonlySet<string> } | undefined;
let trainer: TextTrainer | undefined;
let writer: Writer | undefined;
let random = createRandom(1);
let perTurn = 1;
let mean: number | undefined;
let samples = 0;
const losses = createSeries(1);

const session = createSession({
  turn: train,
  changed(playing) {
    playButton.show(playing);
    if (playing) void write();
  },
  failed: sayError,
});

/** With the library: the page stands before that is here. */
const library = Promise.all([import("./network.js"), import("steepest/text")]);
/** Characters of the book that are made ids in one go: the page may do other things in between. */
const PART = 4000;

async function readBook() {
  const response = await fetch("data/mobyDick.txt");
  if (!response.ok) throw new Error(`the book could not be loaded: ${response.status}`);
  const book = await response.text();
  const parts = Array.from({ length: Math.ceil(book.length / PART) }, (_, i) => book.slice(i * PART, (i + 1) * PART));
  const alphabet = new Set<string>();
  for (const [index, part] of parts.entries()) {
    if (index % 10 === 0) await breathe();
    for (const letter of part) alphabet.add(letter);
  }
  const [, { characterTokenizer }] = await library;
  const tokenizer = characterTokenizer([[...alphabet].join("")]);
  const encoded: Uint32Array[] = [];
  for (const part of parts) {
    await breathe();
    encoded.push(Uint32Array.from(tokenizer.encode(part)));
  }
  const ids = new Uint32Array(encoded.reduce((sum, { length }) => sum + length, 0));
  let next = 0;
  for (const part of encoded) {
    ids.set(part, next);
    next += part.length;
  }
  return { tokenizer, ids, alphabet };
}

function renew(): void {
  void session.then(async () => {
    text ??= await readBook();
    trainer?.dispose();
    writer?.dispose();
    [trainer, writer] = [undefined, undefined];
    const settings = link.current;
    const sizes = { ...settings, size: text.tokenizer.size };
    const options = { seed: settings.seed, threads: Math.min(settings.threads, mostThreads) };
    const [{ openTrainer, openWriter }] = await library;
    await breathe();
    trainer = await openTrainer(sizes, options, () => link.current.rate);
    await breathe();
    writer = await openWriter(sizes);
    await breathe();
    random = createRandom(settings.seed);
    perTurn = 1;
    mean = undefined;
    samples = 0;
    losses.clear();
    byId("samples").replaceChildren();
    byId("loss").textContent = byId("bits").textContent = "–";
    const count = [...trainer.parameters().values()].reduce((sum, { data }) => sum + data.length, 0);
    byId("parameters").textContent = count.toLocaleString("en");
    status.show(trainer);
    showSteps();
  });
}

async function train(): Promise<void> {
  if (trainer === undefined || text === undefined) return;
  const { context, batch } = link.current;
  const [{ drawWindows }] = await library;
  const windows = drawWindows(text.ids, context, perTurn * batch, random);
  const begin = performance.now();
  const found = await trainer.trainSteps(windows, { steps: perTurn, batchSize: batch });
  const taken = performance.now() - begin;
  status.time(taken, perTurn);
  perTurn = Math.max(1, Math.min(50, Math.round((perTurn * TURN_MS) / Math.max(1, taken)), 2 * perTurn));
  for (const loss of found) mean = mean === undefined ? loss : 0.95 * mean + 0.05 * loss;
  losses.add(trainer.steps, mean as number);
  byId("loss").textContent = (mean as number).toFixed(3);
  byId("bits").textContent = ((mean as number) / Math.LN2).toFixed(2);
  showSteps();
}

function showSteps(): void {
  byId("steps").textContent = (trainer?.steps ?? 0).toLocaleString("en");
  chart.draw(losses.columns);
}

// ——— Writing ———

let writing = false;

/** Writes sample after sample, a few characters each frame, while the training goes on; at least one. */
async function write(): Promise<void> {
  if (writing) return;
  writing = true;
  try {
    do await writeSample();
    while (session.playing);
  } catch (error) {
    sayError(error);
  }
  writing = false;
}

async function writeSample(): Promise<void> {
  // What has been asked for is done first; the parameters are read between two turns.
  let start: number[] | undefined;
  await session.then(() => {
    if (trainer === undefined || writer === undefined || text === undefined) return;
    const { prompt, temperature } = link.current;
    const known = [...prompt].filter((letter) => text?.alphabet.has(letter)).join("") || " ";
    start = Array.from(text.tokenizer.encode(known));
    samples++;
    writer.begin(trainer.parameters(), start, temperature, samples);
  });
  const [pen, tokenizer, steps] = [writer, text?.tokenizer, trainer?.steps ?? 0];
  if (start === undefined || pen === undefined || tokenizer === undefined) return;
  const body = h("span", {});
  const given = h("b", {}, tokenizer.decode(start));
  const list = byId("samples");
  list.prepend(
    h("li", {}, h("span", { class: "when" }, `after ${steps.toLocaleString("en")} steps`), h("p", {}, given, body)),
  );
  while (list.childElementCount > KEPT) list.lastElementChild?.remove();
  const ids: number[] = [];
  while (ids.length < LENGTH) {
    const begin = performance.now();
    // Reset and changes of the model bring another writer.
    if (writer !== pen) return;
    do {
      const id = pen.next();
      if (id !== undefined) ids.push(id);
    } while (ids.length < LENGTH && performance.now() - begin < WRITE_MS);
    body.textContent = tokenizer.decode(ids);
    await nextFrame();
  }
}

// ——— The page ———

const status = createStatus();
const chart = createChart({ label: "Loss by step", lines: [{ label: "training", color: "--c0" }], height: 190 });
byId("curve").append(chart.element);

const playButton = createPlayButton("Train", session);
byId("actions").append(
  playButton.element,
  button("Write", () => void write(), { title: "Writes a sample with what is learned so far" }),
  button("Reset", () => {
    session.pause();
    renew();
  }),
  linkButton(),
);

function change(part: Partial<TextSettings>, anew = true): void {
  link.change(part);
  showSettings();
  if (anew) renew();
}

const controls = {
  model: select(
    "Model",
    [
      ["gpt", "Small GPT"],
      ["lstm", "LSTM"],
      ["gru", "GRU"],
    ],
    (model) => change({ model }),
  ),
  width: select("Width", numbers([32, 48, 64, 96, 128]), (width) => change({ width })),
  context: select("Characters it sees", numbers([16, 32, 48, 64, 96]), (context) => change({ context })),
  batch: select("Batch size", numbers([4, 8, 16, 32]), (batch) => change({ batch }, false)),
  rate: select("Learning rate", numbers(RATES), (rate) => change({ rate }, false)),
  threads: select("Threads", threadOptions, (threads) => change({ threads }), {
    disabled: mostThreads === 1,
    title: threadHint,
  }),
  temperature: slider(
    "Temperature",
    { min: 0, max: 1.5, step: 0.1, format: (value) => value.toFixed(1) },
    (temperature) => change({ temperature }, false),
  ),
};
const { temperature, ...choices } = controls;
byId("choices").append(...Object.values(choices).map(({ element }) => element));
const prompt = h("input", {
  id: "prompt",
  type: "text",
  maxlength: 40,
  spellcheck: "false",
  change: () => change({ prompt: prompt.value || schema.prompt.fallback }, false),
});
byId("how").append(
  h("div", { class: "field" }, h("label", { for: "prompt" }, "It goes on from"), prompt),
  temperature.element,
);

function showSettings(): void {
  prompt.value = link.current.prompt;
  for (const [name, control] of Object.entries(controls)) {
    (control as { show(value: unknown): void }).show(link.current[name as keyof typeof controls]);
  }
}

showSettings();
renew();
