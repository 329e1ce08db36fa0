// Points in a plane: a small network learns them while every unit of it is watched.
import { createChart, createSeries } from "../ui/chart.js";
import { colorOf, onTheme, paint, styleColor } from "../ui/colors.js";
import { button, cards, createPlayButton, numbers, select, slider } from "../ui/controls.js";
import { breathe, byId, contextOf, fit, h } from "../ui/dom.js";
import {
  createStatus,
  linkButton,
  linkSettings,
  mostThreads,
  say,
  sayError,
  startPage,
  threadHint,
  threadOptions,
} from "../ui/page.js";
import { createSession } from "../ui/session.js";
import {
  DATA_SETS,
  type DataSet,
  drawPoints,
  EXTENT,
  FEATURE_NAMES,
  featuresOf,
  gridPoints,
  isRegression,
  type Point,
  splitPoints,
} from "./data.js";
import { createDiagram, SIDE, type Unit, type Weights } from "./diagram.js";
import type { PointTrainer } from "./network.js";
import { ACTIVATIONS, hiddenName, OPTIMIZERS, type PointSettings, RATES, STRENGTHS, schema } from "./settings.js";

const POINTS = 400;
const grid = gridPoints(SIDE);

const DATA_LABELS: Record<DataSet, string> = {
  circle: "Circle",
  xor: "XOR",
  gauss: "Gauss",
  spiral: "Spiral",
  plane: "Plane",
  hills: "Hills",
};
const OPTIMIZER_LABELS: Record<PointSettings["optimizer"], string> = {
  sgd: "SGD",
  momentum: "SGD, momentum",
  rmsprop: "RMSprop",
  adagrad: "Adagrad",
  adam: "Adam",
  adamw: "AdamW",
  lion: "Lion",
  rprop: "Rprop",
};
const ACTIVATION_LABELS: Record<PointSettings["activation"], string> = {
  tanh: "tanh",
  relu: "ReLU",
  sigmoid: "Sigmoid",
  gelu: "GELU",
  silu: "SiLU",
  linear: "Linear",
};

startPage();
const link = linkSettings(schema, (settings) => {
  showSettings(settings);
  renew();
});

// What is trained, and with what.
let trainer: PointTrainer | undefined;
let points: { train: Point[]; test: Point[] } = { train: [], test: [] };
/** The points in the trainer's memory: loaded once, for all steps and scores. */
let samples: Record<Part, ReturnType<PointTrainer["load"]>> | undefined;
let gridInputs: Float32Array = new Float32Array();
let epochs = 0;
let looking: Unit | undefined;
let seen: Record<string, Float32Array> = {};
let weights: Weights[] = [];
const series = createSeries(2);
const scores: { train: Scores; test: Scores } = { train: {}, test: {} };

type Part = "train" | "test";

interface Scores {
  readonly loss?: number;
  readonly accuracy?: number | undefined;
}

const regression = () => isRegression(link.current.data);

const session = createSession({
  turn: () => train(link.current.speed),
  changed(playing) {
    playButton.show(playing);
  },
  failed: sayError,
});

/** With the library: the page stands, and can be used, before that is here. */
const network = import("./network.js");

/** New data and a new network, by the settings as they are. */
function renew(): void {
  void session.then(async () => {
    const settings = link.current;
    trainer?.dispose();
    trainer = undefined;
    const drawn = drawPoints({ set: settings.data, noise: settings.noise, count: POINTS, seed: settings.seed });
    points = splitPoints(drawn, settings.train);
    gridInputs = featuresOf(grid, settings.features);
    epochs = 0;
    looking = undefined;
    seen = {};
    weights = [];
    series.clear();
    diagram.build(settings);
    await breathe();
    diagram.drawFeatures(featuresOf(grid, FEATURE_NAMES));
    const { openTrainer } = await network;
    const threads = Math.min(settings.threads, mostThreads);
    const opened = await openTrainer({ ...settings, threads }, () => link.current.rate);
    const load = (part: Part) =>
      opened.load({
        x: featuresOf(points[part], settings.features),
        y: { out: Float32Array.from(points[part], ({ label }) => label) },
      });
    samples = { train: load("train"), test: load("test") };
    trainer = opened;
    status.show(trainer);
    await breathe();
    await look();
  });
}

/** Trains so many passes over the data, then shows what came of them. */
async function train(passes: number, given?: number): Promise<void> {
  if (trainer === undefined || samples === undefined) return;
  const batchSize = Math.min(link.current.batch, points.train.length);
  const perEpoch = Math.ceil(points.train.length / batchSize);
  const count = given ?? perEpoch * passes;
  const begin = performance.now();
  await trainer.trainSteps(samples.train, { steps: count, batchSize });
  status.time(performance.now() - begin, count);
  // Tenths add up to whole epochs.
  epochs = Math.round((epochs + count / perEpoch) * 1e6) / 1e6;
  await look();
}

/** Scores the network, and draws all that it sees. */
async function look(): Promise<void> {
  if (trainer === undefined || samples === undefined) return;
  const current = trainer;
  for (const part of ["train", "test"] as const) {
    const { "out.loss": loss, "out.accuracy": accuracy } = (await current.evaluate(samples[part])) as Record<
      string,
      number
    >;
    scores[part] = { loss: loss as number, accuracy };
  }
  series.add(epochs, scores.train.loss as number, scores.test.loss as number);
  seen = (await current.predict(gridInputs)) as Record<string, Float32Array>;
  weights = weightsOf(current, link.current.layers);
  draw();
}

/** Copies of the weights of all layers: read while nothing runs, for whenever they are drawn. */
function weightsOf(from: PointTrainer, layers: readonly number[]): Weights[] {
  const parameters = from.parameters();
  return [...layers.map((_, layer) => hiddenName(layer)), "out"].flatMap((name) => {
    const found = parameters.get(`${name}.weight`);
    if (found === undefined) return [];
    return [{ from: found.shape[0] as number, to: found.shape[1] as number, data: found.data }];
  });
}

const scaleOf = (values: Float32Array): number => {
  let most = 1;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return 1 / most;
};

function draw(): void {
  if (trainer === undefined) return;
  const { layers } = link.current;
  for (const [layer] of layers.entries()) {
    const values = seen[hiddenName(layer)];
    if (values !== undefined) diagram.drawLayer(layer, values, scaleOf(values));
  }
  diagram.drawWeights(weights);
  drawOutput();
  showScores();
  chart.draw(series.columns);
}

/** How strong the colors of the plane are, so that points stand out. */
const PALE = 0.62;
const outputMap = h("canvas", { width: SIDE, height: SIDE });
const outputImage = new ImageData(SIDE, SIDE);

/** The output over the plane, or what one unit sees, and the points on it. */
function drawOutput(): void {
  const { context, width, height } = fit(plane);
  const unit = looking;
  const hidden = unit === undefined ? undefined : seen[hiddenName(unit.layer)];
  if (unit !== undefined && hidden !== undefined) {
    const stride = link.current.layers[unit.layer] as number;
    paint(outputImage, hidden, { offset: unit.unit, stride, scale: PALE * scaleOf(hidden) });
  } else if (seen.out !== undefined) {
    paint(outputImage, seen.out, regression() ? { scale: PALE } : { scale: 2 * PALE, shift: -PALE });
  }
  contextOf(outputMap).putImageData(outputImage, 0, 0);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(outputMap, 0, 0, width, height);
  drawDots(context, width, points.test, true);
  drawDots(context, width, points.train, false);
}

function drawDots(context: CanvasRenderingContext2D, size: number, dots: readonly Point[], hollow: boolean): void {
  const place = (value: number) => ((value + EXTENT) / (2 * EXTENT)) * size;
  const classes = !regression();
  const paper = styleColor("--paper");
  const radius = Math.max(2.2, size / 130);
  for (const { x, y, label } of dots) {
    context.beginPath();
    context.arc(place(x), place(-y), radius, 0, 2 * Math.PI);
    const color = colorOf(classes ? 2 * label - 1 : label);
    context.fillStyle = hollow ? paper : color;
    context.strokeStyle = hollow ? color : paper;
    context.lineWidth = hollow ? 1.5 : 1;
    context.fill();
    context.stroke();
  }
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function showScores(): void {
  epochText.textContent = Math.floor(epochs).toLocaleString("en");
  byId("train-loss").textContent = scores.train.loss?.toFixed(4) ?? "–";
  byId("test-loss").textContent = scores.test.loss?.toFixed(4) ?? "–";
  const { accuracy } = scores.test;
  byId("test-accuracy").textContent = regression() || accuracy === undefined ? "–" : percent(accuracy);
}

// ——— The page ———

const status = createStatus();
const epochText = byId("epoch");
const plane = byId<HTMLCanvasElement>("plane");

const diagram = createDiagram({
  featuresChanged: (features) => change({ features }),
  layersChanged: (layers) => change({ layers }),
  looked(unit) {
    looking = unit;
    byId("output-title").textContent = unit === undefined ? "Output" : `Layer ${unit.layer + 1}, unit ${unit.unit + 1}`;
    drawOutput();
  },
});
byId("network").append(diagram.element);

const chart = createChart({
  label: "Loss by epoch",
  lines: [
    { label: "training", color: "--c0" },
    { label: "test", color: "--c1" },
  ],
});
byId("curve").append(chart.element);

const playButton = createPlayButton("Play", session);
byId("actions").append(
  playButton.element,
  button(
    "Step",
    () => {
      session.pause();
      void session.then(() => train(1, 1));
    },
    { title: "One batch" },
  ),
  button(
    "Reset",
    () => {
      session.pause();
      renew();
    },
    { title: "New weights from the same seed" },
  ),
  linkButton(),
);

/** Changes settings; those of the network and the data begin anew. */
function change(part: Partial<PointSettings>, anew = true): void {
  link.change(part);
  showSettings(link.current);
  if (anew) renew();
}

function thumbnail(set: DataSet): HTMLCanvasElement {
  const picture = h("canvas", { class: "thumb", "aria-hidden": "true" });
  const paintIt = () => {
    picture.width = picture.height = 96;
    const context = contextOf(picture);
    for (const { x, y, label } of drawPoints({ set, noise: 0, count: 160, seed: 3 })) {
      context.fillStyle = colorOf(isRegression(set) ? label : 2 * label - 1);
      context.beginPath();
      context.arc(((x + EXTENT) / 12) * 96, ((EXTENT - y) / 12) * 96, 3.4, 0, 2 * Math.PI);
      context.fill();
    }
  };
  void breathe().then(paintIt);
  onTheme(paintIt);
  return picture;
}

const named = <T extends string>(values: readonly T[], labels: Record<T, string>) =>
  values.map((value): [T, string] => [value, labels[value]]);

const controls = {
  data: cards(
    "Data",
    DATA_SETS.map((set) => [set, DATA_LABELS[set], thumbnail(set)] as const),
    (data) => change({ data }),
  ),
  noise: slider("Noise", { min: 0, max: 50, step: 5, format: (value) => `${value} %` }, (noise) => change({ noise })),
  train: slider("Used to train", { min: 10, max: 90, step: 10, format: (value) => `${value} %` }, (share) =>
    change({ train: share }),
  ),
  batch: slider("Batch size", { min: 1, max: 64 }, (batch) => change({ batch }, false)),
  rate: select("Learning rate", numbers(RATES), (rate) => change({ rate }, false)),
  optimizer: select("Optimizer", named(OPTIMIZERS, OPTIMIZER_LABELS), (optimizer) => change({ optimizer })),
  activation: select("Activation", named(ACTIVATIONS, ACTIVATION_LABELS), (activation) => change({ activation })),
  penalty: select(
    "Regularization",
    [
      ["none", "None"],
      ["l1", "L1"],
      ["l2", "L2"],
    ],
    (penalty) => change({ penalty }),
  ),
  strength: select("Its strength", numbers(STRENGTHS), (strength) => change({ strength })),
  speed: select("Epochs a frame", numbers([1, 2, 4, 8, 16, 32]), (speed) => change({ speed }, false)),
  threads: select("Threads", threadOptions, (threads) => change({ threads }), {
    disabled: mostThreads === 1,
    title: threadHint,
  }),
};
byId("data").append(
  controls.data.element,
  controls.noise.element,
  controls.train.element,
  controls.batch.element,
  button("New points", () => change({ seed: (link.current.seed + 1) % 1_000_000 }), {
    title: "Another seed, for the points and the weights",
  }),
);
const { rate, optimizer, activation, penalty, strength, speed, threads } = controls;
byId("choices").append(
  ...[rate, optimizer, activation, penalty, strength, speed, threads].map(({ element }) => element),
);

function showSettings(settings: PointSettings): void {
  for (const [name, control] of Object.entries(controls)) {
    (control as { show(value: unknown): void }).show(settings[name as keyof typeof controls]);
  }
}

onTheme(draw);
onTheme(() => {
  diagram.drawFeatures(featuresOf(grid, FEATURE_NAMES));
});
new ResizeObserver(() => drawOutput()).observe(plane);
showSettings(link.current);
if (link.current.threads > mostThreads) say(`Trained with ${mostThreads} thread here: ${threadHint}.`);
renew();
