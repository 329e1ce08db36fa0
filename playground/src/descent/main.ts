// The troubles of descent: optimizers race down a landscape, each leaving a trail.
import type { Engine } from "steepest";
import { createChart } from "../ui/chart.js";
import { isDark, onTheme, styleColor } from "../ui/colors.js";
import { button, cards, checks, createPlayButton, numbers, select } from "../ui/controls.js";
import { breathe, byId, contextOf, fit, h, inSlices } from "../ui/dom.js";
import { createStatus, linkButton, linkSettings, say, sayError, startPage } from "../ui/page.js";
import { createSession } from "../ui/session.js";
import { LANDSCAPE_NAMES, LANDSCAPES, type Landscape, type LandscapeName, reliefOf } from "./landscapes.js";
import type { Racer } from "./race.js";
import { RACER_NAMES, RACERS } from "./racers.js";
import { type DescentSettings, RATES, schema } from "./settings.js";

/** Where a race ends. */
const MOST_STEPS = 5000;
const BANDS = 16;
/** Steps of all racers go on for so long before the page may do other things. */
const SLICE_MS = 10;

startPage();
const link = linkSettings(schema, () => {
  showSettings();
  renew();
});
let engine: Engine | undefined;
let racers: Racer[] = [];
let steps = 0;
/** Points of each trail that are on the canvas. */
let drawnPoints: number[] = [];

const land = (): Landscape => LANDSCAPES[link.current.land];
const startOf = (): readonly [number, number] => link.current.start ?? land().start;
const isPlain = (name: string) => name === "sgd" || name === "momentum" || name === "nesterov";

const session = createSession({
  turn: () => race(link.current.speed),
  changed(playing) {
    playButton.show(playing);
  },
  failed: sayError,
});

/** With the library: the page stands, with its landscapes, before that is here. */
const library = import("./race.js");

function renew(): void {
  void session.then(async () => {
    for (const racer of racers) racer.dispose();
    racers = [];
    byId("about").textContent = land().text;
    void drawRelief();
    const { openEngine, openRacer } = await library;
    await breathe();
    engine ??= await openEngine();
    status.show(engine);
    const { rate, adaptive } = link.current;
    for (const name of link.current.racers) {
      const options = { rate: isPlain(name) ? rate : adaptive, start: startOf(), engine };
      await breathe();
      racers.push(await openRacer(name, land(), options));
    }
    steps = 0;
    await breathe();
    board();
    clearTrails();
    await race(0);
  });
}

/** So many steps of each racer, then what is new of their trails. */
async function race(count: number): Promise<void> {
  let [done, taken] = [0, 0];
  for (let step = 0; step < count && steps < MOST_STEPS; ) {
    const begin = performance.now();
    do {
      for (const racer of racers) racer.step();
      steps++;
      step++;
      done += racers.filter(({ lost }) => !lost).length;
    } while (step < count && steps < MOST_STEPS && performance.now() - begin < SLICE_MS);
    taken += performance.now() - begin;
    await breathe();
  }
  if (done > 0) status.time(taken, done);
  byId("steps").textContent = steps.toLocaleString("en");
  drawTrails();
  showHeights();
  if (session.playing && (steps >= MOST_STEPS || racers.every(({ lost }) => lost))) {
    session.pause();
    say(
      steps >= MOST_STEPS
        ? `The race ends after ${MOST_STEPS.toLocaleString("en")} steps.`
        : "All have left the landscape.",
    );
  }
}

// ——— The picture ———

const relief = byId<HTMLCanvasElement>("relief");
const trails = byId<HTMLCanvasElement>("trails");
const heads = byId<HTMLCanvasElement>("heads");
// It takes keys, as the pad for digits does.
heads.setAttribute("role", "application");

/** Colors of a relief: the lowest and the highest band. */
const tones = () =>
  isDark()
    ? ([
        [10, 16, 26],
        [70, 81, 99],
      ] as const)
    : ([
        [160, 192, 236],
        [252, 252, 250],
      ] as const);

/** Heights do not change, their colors do. */
const reliefs = new Map<string, Promise<Float32Array>>();

/** Draws nothing if, meanwhile, `wanted` is no longer. */
async function paintRelief(
  canvas: HTMLCanvasElement,
  name: LandscapeName,
  side: number,
  wanted: () => boolean = () => true,
): Promise<void> {
  const key = `${name} ${side}`;
  const relief = reliefs.get(key) ?? inSlices(reliefOf(LANDSCAPES[name], side));
  reliefs.set(key, relief);
  const shares = await relief;
  if (!wanted()) return;
  const image = new ImageData(side, side);
  const [low, high] = tones();
  for (const [i, share] of shares.entries()) {
    const band = Math.floor(share * BANDS) / BANDS;
    for (let channel = 0; channel < 3; channel++) {
      const [from, to] = [low[channel] as number, high[channel] as number];
      image.data[4 * i + channel] = from + band * (to - from);
    }
    image.data[4 * i + 3] = 255;
  }
  canvas.width = canvas.height = side;
  contextOf(canvas).putImageData(image, 0, 0);
}

function drawRelief(): Promise<void> {
  const name = link.current.land;
  return paintRelief(relief, name, 320, () => link.current.land === name);
}

/** From the landscape's coordinates to the canvas's. */
function placing(width: number, height: number): (x: number, y: number) => [number, number] {
  const { left, right, bottom, top } = land().view;
  return (x, y) => [((x - left) / (right - left)) * width, ((top - y) / (top - bottom)) * height];
}

function clearTrails(): void {
  const { context, width, height } = fit(trails);
  context.clearRect(0, 0, width, height);
  drawnPoints = racers.map(() => 0);
  drawTrails();
}

function drawTrails(): void {
  const { context, width, height } = fit(trails);
  const place = placing(width, height);
  context.lineWidth = 2;
  context.lineJoin = "round";
  for (const [index, { name, trail }] of racers.entries()) {
    const points = trail.length / 2;
    const first = Math.max(0, (drawnPoints[index] as number) - 1);
    if (points - first < 2) continue;
    context.strokeStyle = styleColor(RACERS[name].color);
    context.beginPath();
    for (let point = first; point < points; point++) {
      context.lineTo(...place(trail[2 * point] as number, trail[2 * point + 1] as number));
    }
    context.stroke();
    drawnPoints[index] = points;
  }
  drawHeads();
}

/** Where everyone is, the start, and the lowest places. */
function drawHeads(): void {
  const { context, width, height } = fit(heads);
  const place = placing(width, height);
  context.clearRect(0, 0, width, height);
  context.strokeStyle = context.fillStyle = styleColor("--ink");
  context.lineWidth = 1.75;
  for (const [x, y] of land().minima) {
    const [a, b] = place(x, y);
    context.beginPath();
    for (const [dx, dy] of [
      [-5, 0],
      [5, 0],
      [0, -5],
      [0, 5],
    ] as const) {
      context.moveTo(a, b);
      context.lineTo(a + dx, b + dy);
    }
    context.stroke();
  }
  context.beginPath();
  context.arc(...place(...startOf()), 6, 0, 2 * Math.PI);
  context.stroke();
  context.strokeStyle = styleColor("--paper");
  for (const { name, trail } of racers) {
    if (trail.length === 0) continue;
    context.fillStyle = styleColor(RACERS[name].color);
    context.beginPath();
    context.arc(...place(trail.at(-2) as number, trail.at(-1) as number), 6, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
  }
}

// ——— Heights ———

let rows: HTMLElement[] = [];
let chart = createChart({ label: "Height above the lowest place, by step", lines: [], log: true });

function board(): void {
  rows = racers.map(() => h("td", { class: "number" }, "–"));
  byId("board").replaceChildren(
    ...racers.map(({ name }, index) =>
      h(
        "tr",
        {},
        h(
          "th",
          { scope: "row" },
          h("span", { class: "swatch", style: `background: var(${RACERS[name].color})` }),
          RACERS[name].label,
        ),
        rows[index],
      ),
    ),
  );
  chart = createChart({
    label: "Height above the lowest place, by step",
    lines: racers.map(({ name }) => ({ label: RACERS[name].label, color: RACERS[name].color })),
    log: true,
    height: 190,
  });
  byId("curve").replaceChildren(chart.element);
}

function showHeights(): void {
  const { lowest } = land();
  for (const [index, { lost, heights }] of racers.entries()) {
    const row = rows[index] as HTMLElement;
    const height = heights.at(-1);
    row.textContent = lost
      ? "left the landscape"
      : height === undefined
        ? "–"
        : Math.max(0, height - lowest).toExponential(2);
  }
  // About 300 points of each curve.
  const every = Math.max(1, Math.ceil(steps / 300));
  const at = Array.from({ length: Math.ceil(steps / every) }, (_, i) => i * every);
  chart.draw([
    at,
    ...racers.map(({ heights }) =>
      at.map((step) => {
        const height = heights[step];
        return height === undefined ? null : Math.max(1e-12, height - lowest);
      }),
    ),
  ]);
}

// ——— The page ———

const status = createStatus();
const playButton = createPlayButton("Race", session);
byId("actions").append(
  playButton.element,
  button("Step", () => {
    session.pause();
    void session.then(() => race(1));
  }),
  button("Reset", () => {
    session.pause();
    renew();
  }),
  linkButton(),
);

function change(part: Partial<DescentSettings>, anew = true): void {
  link.change(part);
  showSettings();
  if (anew) renew();
}

function begin(x: number, y: number): void {
  const { left, right, bottom, top } = land().view;
  const round = (value: number, low: number, high: number) =>
    Number(Math.min(high, Math.max(low, value)).toPrecision(4));
  change({ start: [round(x, left, right), round(y, bottom, top)] });
}

heads.addEventListener("pointerdown", ({ offsetX, offsetY }) => {
  const { left, right, bottom, top } = land().view;
  begin(left + (offsetX / heads.clientWidth) * (right - left), top - (offsetY / heads.clientHeight) * (top - bottom));
});
heads.addEventListener("keydown", (event) => {
  const moves: Record<string, readonly [number, number]> = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, 1],
    ArrowDown: [0, -1],
  };
  const move = moves[event.key];
  if (move === undefined) return;
  event.preventDefault();
  const { left, right, bottom, top } = land().view;
  const [x, y] = startOf();
  begin(x + (move[0] * (right - left)) / 40, y + (move[1] * (top - bottom)) / 40);
});

const thumbnails = LANDSCAPE_NAMES.map((name) => {
  const picture = h("canvas", { class: "thumb round", "aria-hidden": "true" });
  const draw = () => void paintRelief(picture, name, 64);
  draw();
  onTheme(draw);
  return [name, LANDSCAPES[name].title, picture] as const;
});
const controls = {
  land: cards("Landscape", thumbnails, (chosen) => change({ land: chosen, start: undefined })),
  racers: checks(
    "Optimizers",
    RACER_NAMES.map((name) => [name, RACERS[name].label] as const),
    (names) => (names.length > 0 ? change({ racers: names }) : showSettings()),
  ),
  rate: select("Rate of SGD, Momentum, Nesterov", numbers(RATES), (rate) => change({ rate })),
  adaptive: select("Rate of the others", numbers(RATES), (adaptive) => change({ adaptive })),
  speed: select("Steps a frame", numbers([1, 2, 5, 10, 20, 50]), (speed) => change({ speed }, false)),
};
byId("lands").append(controls.land.element);
byId("choices").append(controls.rate.element, controls.adaptive.element, controls.speed.element);
byId("racers").append(controls.racers.element);

function showSettings(): void {
  for (const [name, control] of Object.entries(controls)) {
    (control as { show(value: unknown): void }).show(link.current[name as keyof typeof controls]);
  }
}

onTheme(() => void drawRelief());
onTheme(clearTrails);
new ResizeObserver(clearTrails).observe(trails);
showSettings();
renew();
