// Draw a digit: a network learns MNIST in the page, and says at any moment what it takes a drawing for.
import { createChart, createSeries } from "../ui/chart.js";
import { onTheme, paint } from "../ui/colors.js";
import { button, createPlayButton, numbers, select } from "../ui/controls.js";
import { breathe, byId, contextOf, h, nextFrame } from "../ui/dom.js";
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
import { type Digits, loadDigits, TEST, TRAINING } from "./data.js";
import type { DigitTrainer } from "./network.js";
import { createPad, PAD } from "./pad.js";
import { SIDE, toDigit } from "./picture.js";
import { DENSE_UNITS, type DigitSettings, RATES, SEEN, schema, WINDOW, WINDOWS } from "./settings.js";

/** How long a turn of training should take: short enough for a guess while a digit is drawn. */
const TURN_MS = 60;
/** Steps between two scores over the test images. */
const SCORED = 100;

startPage();
const link = linkSettings(schema, () => {
  showSettings();
  renew();
});
let digits: { train: Digits; test: Digits } | undefined;
let trainer: DigitTrainer | undefined;
let samples: { train: ReturnType<DigitTrainer["load"]>; test: ReturnType<DigitTrainer["load"]> } | undefined;
let drawn: Uint8Array | undefined;
/** Counts them, so that a guess says for which it is. */
let drawing = 0;
let perTurn = 1;
let scoredAt = 0;
const losses = createSeries(1);
const rights = createSeries(1, 300);
const scale = 1 / 255;

const session = createSession({
  turn: train,
  changed(playing) {
    playButton.show(playing);
  },
  failed: sayError,
});

/** With the library: the page stands, and can be drawn on, before that is here. */
const network = import("./network.js");

function renew(): void {
  void session.then(async () => {
    digits ??= await loadDigits("data/digits.bin");
    trainer?.dispose();
    trainer = undefined;
    const { openTrainer } = await network;
    await breathe();
    const settings = link.current;
    const threads = Math.min(settings.threads, mostThreads);
    const opened = await openTrainer({ ...settings, threads }, () => link.current.rate);
    const { train: training, test } = digits;
    const load = async ({ x, y }: Digits) => {
      await breathe();
      return opened.load({ x, y: { out: y }, scale });
    };
    samples = { train: await load(training), test: await load(test) };
    await breathe();
    trainer = opened;
    status.show(opened);
    perTurn = 1;
    scoredAt = 0;
    losses.clear();
    rights.clear();
    byId("loss").textContent = "–";
    buildWindows();
    await breathe();
    await score();
    await breathe();
    await guess();
    drawCurves();
  });
}

async function train(): Promise<void> {
  if (trainer === undefined || samples === undefined) return;
  const begin = performance.now();
  const found = await trainer.trainSteps(samples.train, { steps: perTurn, batchSize: link.current.batch });
  const taken = performance.now() - begin;
  status.time(taken, perTurn);
  perTurn = Math.max(1, Math.min(200, Math.round((perTurn * TURN_MS) / Math.max(1, taken)), 2 * perTurn));
  const loss = found.reduce((sum, value) => sum + value, 0) / found.length;
  losses.add(trainer.steps, loss);
  byId("loss").textContent = loss.toFixed(4);
  if (trainer.steps - scoredAt >= SCORED) await score();
  await guess();
  drawCurves();
}

async function score(): Promise<void> {
  if (trainer === undefined || samples === undefined) return;
  scoredAt = trainer.steps;
  const { "out.accuracy": accuracy } = (await trainer.evaluate(samples.test)) as Record<string, number>;
  rights.add(trainer.steps, 100 * (accuracy as number));
  byId("accuracy").textContent = `${(100 * (accuracy as number)).toFixed(1)} %`;
}

function drawCurves(): void {
  byId("images").textContent = (trainer === undefined ? 0 : trainer.steps * link.current.batch).toLocaleString("en");
  lossChart.draw(losses.columns);
  rightChart.draw(rights.columns);
}

// ——— The guess ———

const bars = Array.from({ length: 10 }, (_, digit) => {
  const bar = h("span", { class: "bar" });
  const share = h("span", { class: "share" }, "–");
  const row = h("li", {}, h("span", { class: "digit" }, String(digit)), h("span", { class: "track" }, bar), share);
  return { row, bar, share };
});
byId("guesses").append(...bars.map(({ row }) => row));

/** Asks the network about the drawing, and shows its windows. */
async function guess(): Promise<void> {
  if (trainer === undefined) return;
  const [asked, given] = [drawing, drawn];
  const answer = await trainer.predict(given ?? new Uint8Array(SIDE * SIDE), { scale });
  const best = answer.out.indexOf(Math.max(...answer.out));
  for (const [digit, { row, bar, share }] of bars.entries()) {
    const value = given === undefined ? 0 : (answer.out[digit] as number);
    bar.style.width = `${100 * value}%`;
    share.textContent = given === undefined ? "–" : `${Math.round(100 * value)} %`;
    row.classList.toggle("best", given !== undefined && digit === best);
  }
  byId("guess").textContent = given === undefined ? "–" : String(best);
  byId("guess").dataset.drawing = String(asked);
  drawWindows(answer.first);
}

let reading = false;
let waiting = false;
/** Strokes come faster than frames: the drawing is read once for each of those. */
const pad = createPad(async () => {
  if (reading) return;
  reading = true;
  await nextFrame();
  reading = false;
  drawn = toDigit(pad.read(), PAD);
  drawing++;
  showSmall();
  if (waiting) return;
  waiting = true;
  await session.then(async () => {
    waiting = false;
    await guess();
  });
});

function showSmall(): void {
  const small = new ImageData(SIDE, SIDE);
  paint(small, drawn ?? new Uint8Array(SIDE * SIDE), { scale });
  contextOf(byId<HTMLCanvasElement>("small")).putImageData(small, 0, 0);
}

byId("drawing").prepend(pad.element);

let shown = 0;
byId("drawing-actions").append(
  button("Clear", () => {
    byId("truth").textContent = "";
    pad.clear();
  }),
  button(
    "Test image",
    () => {
      if (digits === undefined) return;
      const { x, y } = digits.test;
      pad.put(x.subarray(shown * SIDE * SIDE, (shown + 1) * SIDE * SIDE), SIDE);
      byId("truth").textContent = `Somebody wrote a ${y[shown]}.`;
      shown = (shown + 1) % TEST;
    },
    { title: "An image that the network was not trained with" },
  ),
);

// ——— The windows of the first layer ———

let windows: { weights: HTMLCanvasElement; seen: HTMLCanvasElement | undefined }[] = [];

function buildWindows(): void {
  const convolution = link.current.network === "convolution";
  windows = Array.from({ length: convolution ? WINDOWS : DENSE_UNITS }, () => {
    const side = convolution ? WINDOW : SIDE;
    const weights = h("canvas", { width: side, height: side });
    return { weights, seen: convolution ? h("canvas", { width: SEEN, height: SEEN }) : undefined };
  });
  byId("windows").replaceChildren(...windows.map(({ weights, seen }) => h("div", { class: "window" }, weights, seen)));
  byId("windows-text").textContent = convolution
    ? "Each window of 5 × 5 weights goes over the drawing; under it is what it finds there."
    : "What each of the 32 units of the first layer weighs at each pixel.";
}

const largest = (values: ArrayLike<number>): number => {
  let most = 1e-6;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i] as number));
  return most;
};

function drawWindows(first: Float32Array): void {
  const weight = trainer?.parameters().get("first.weight");
  if (weight === undefined) return;
  const stride = windows.length;
  const most = largest(weight.data);
  const seenMost = largest(first);
  for (const [offset, { weights, seen }] of windows.entries()) {
    const image = new ImageData(weights.width, weights.height);
    paint(image, weight.data, { offset, stride, scale: 1 / most });
    contextOf(weights).putImageData(image, 0, 0);
    if (seen === undefined) continue;
    const map = new ImageData(SEEN, SEEN);
    paint(map, first, { offset, stride, scale: 1 / seenMost });
    contextOf(seen).putImageData(map, 0, 0);
  }
}

// ——— The page ———

const status = createStatus();
const lossChart = createChart({ label: "Loss by step", lines: [{ label: "training", color: "--c0" }], log: true });
const rightChart = createChart({ label: "Right of 100, by step", lines: [{ label: "test images", color: "--c1" }] });
byId("curves").append(lossChart.element, rightChart.element);

const playButton = createPlayButton("Train", session);
byId("actions").append(
  playButton.element,
  button("Reset", () => {
    session.pause();
    renew();
  }),
  linkButton(),
);

function change(part: Partial<DigitSettings>, anew = true): void {
  link.change(part);
  showSettings();
  if (anew) renew();
}

const controls = {
  network: select(
    "Network",
    [
      ["convolution", "Convolutions"],
      ["dense", "Dense layers"],
    ],
    (network) => change({ network }),
  ),
  optimizer: select(
    "Optimizer",
    [
      ["adam", "Adam"],
      ["sgd", "SGD"],
      ["momentum", "SGD, momentum"],
      ["rmsprop", "RMSprop"],
      ["lion", "Lion"],
    ],
    (optimizer) => change({ optimizer }),
  ),
  rate: select("Learning rate", numbers(RATES), (rate) => change({ rate }, false)),
  batch: select("Batch size", numbers([8, 16, 32, 64, 128]), (batch) => change({ batch }, false)),
  dropout: select("Dropout", numbers([0, 0.1, 0.25, 0.5]), (dropout) => change({ dropout })),
  threads: select("Threads", threadOptions, (threads) => change({ threads }), {
    disabled: mostThreads === 1,
    title: threadHint,
  }),
};
byId("choices").append(...Object.values(controls).map(({ element }) => element));
byId("size").textContent = TRAINING.toLocaleString("en");

function showSettings(): void {
  for (const [name, control] of Object.entries(controls)) {
    (control as { show(value: unknown): void }).show(link.current[name as keyof typeof controls]);
  }
}

onTheme(showSmall);
onTheme(() => void session.then(guess));
showSettings();
renew();
