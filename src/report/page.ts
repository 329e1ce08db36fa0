// What a report does in the page. These functions are not called here: their text becomes the page's script (see html.ts), so they use
// nothing but each other, the page and uPlot.
import type {
  ClassCurves,
  EvaluationRecord,
  FlameRecord,
  Histogram,
  LayersRecord,
  ProfileRecord,
  RunRecord,
  WorstSample,
} from "./record.js";

/** A curve of a plot. */
interface Line {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number | null])[];
  readonly dashed?: boolean;
  /** Which of the colours. */
  readonly color: number;
}

interface PlotOptions {
  readonly title: string;
  readonly x: string;
  readonly logarithmic?: boolean;
  /** Both axes from 0 to 1. */
  readonly unit?: boolean;
}

interface PageRun {
  readonly name: string;
  readonly records: readonly RunRecord[];
}

type Plotter = new (options: object, data: unknown[], to: HTMLElement) => { destroy(): void };
declare const uPlot: Plotter;

function recordsOf(run: PageRun, type: string): never[] {
  return run.records.filter((record) => record.type === type) as never[];
}

function colorOf(index: number): string {
  const names = ["--c0", "--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7"];
  return getComputedStyle(document.documentElement)
    .getPropertyValue(names[index % names.length])
    .trim();
}

function element(parent: Element, tag: string, text = "", className = ""): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className !== "") made.className = className;
  parent.appendChild(made);
  return made;
}

function section(title: string): HTMLElement {
  const made = element(document.querySelector("main") as Element, "section");
  element(made, "h2", title);
  return made;
}

/** All lines over the union of their x, which is what uPlot takes. */
function columnsOf(lines: readonly Line[]): unknown[] {
  const all = new Set<number>();
  for (const { points } of lines) for (const [x] of points) all.add(x);
  const xs = Array.from(all).sort((a, b) => a - b);
  const places = new Map(xs.map((x, index) => [x, index]));
  const columns = lines.map(({ points }) => {
    const column = new Array<number | null | undefined>(xs.length).fill(undefined);
    for (const [x, y] of points) column[places.get(x) as number] = y;
    return column;
  });
  return [xs, ...columns];
}

function plot(parent: HTMLElement, lines: readonly Line[], { title, x, logarithmic, unit }: PlotOptions): () => void {
  const figure = element(parent, "figure");
  element(figure, "figcaption", title);
  const to = element(figure, "div");
  const style = getComputedStyle(document.documentElement);
  const [ink, grid] = ["--ink", "--grid"].map((name) => style.getPropertyValue(name).trim());
  const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
  const scale = unit === true ? { range: [0, 1] } : logarithmic === true ? { distr: 3 } : {};
  const options = {
    width: Math.max(240, figure.clientWidth),
    height: 280,
    scales: { x: unit === true ? { time: false, range: [0, 1] } : { time: false }, y: scale },
    axes: [
      { ...axis, label: x },
      { ...axis, size: 64 },
    ],
    series: [
      { label: x },
      ...lines.map(({ label, color, dashed }) => ({
        label,
        stroke: colorOf(color),
        width: 2,
        spanGaps: true,
        points: { show: false },
        ...(dashed === true ? { dash: [6, 4] } : {}),
      })),
    ],
  };
  const made = new uPlot(options, columnsOf(lines), to);
  return () => {
    made.destroy();
    figure.remove();
  };
}

/** An exponential mean, corrected for its start; what is missing stays so. */
function smoothed(points: Line["points"], strength: number): Line["points"] {
  if (strength === 0) return points;
  let mean = 0;
  let weight = 0;
  return points.map(([x, y]) => {
    if (y === null) return [x, y] as const;
    mean = strength * mean + (1 - strength) * y;
    weight = strength * weight + (1 - strength);
    return [x, mean / weight] as const;
  });
}

function stepLosses(run: PageRun): (readonly [number, number | null])[] {
  const steps: { step: number; losses: (number | null)[] }[] = recordsOf(run, "steps");
  return steps.flatMap(({ step, losses }) => losses.map((loss, i) => [step - losses.length + i + 1, loss] as const));
}

/** A line a run for each score that its epochs have, that of the validation dashed. */
function scoreLines(runs: readonly PageRun[], score: string): Line[] {
  return runs.flatMap((run, color) => {
    const epochs: { step: number; validation?: Record<string, number> }[] = recordsOf(run, "epoch");
    const pointsOf = (read: (epoch: never) => unknown): Line["points"] =>
      epochs.flatMap((epoch) => {
        const value = read(epoch as never);
        return typeof value === "number" || value === null ? [[epoch.step, value] as const] : [];
      });
    const own = pointsOf((epoch) => epoch[score]);
    const validation = pointsOf(({ validation }: { validation?: Record<string, number> }) => validation?.[score]);
    return [
      { label: run.name, points: own, color },
      { label: `${run.name}, validation`, points: validation, color, dashed: true },
    ].filter(({ points }) => points.length > 0);
  });
}

function scoresOf(runs: readonly PageRun[]): string[] {
  const known = ["type", "epoch", "step", "samples", "durationMs", "samplesPerSecond", "validation", "time"];
  const names = new Set<string>();
  for (const run of runs) {
    const epochs: Record<string, unknown>[] = recordsOf(run, "epoch");
    for (const epoch of epochs) {
      for (const [name, value] of Object.entries(epoch)) {
        if (!known.includes(name) && (typeof value === "number" || value === null)) names.add(name);
      }
    }
  }
  return Array.from(names);
}

/** Losses and metrics, with a slider that smooths and a switch of the scale. */
function showCurves(runs: readonly PageRun[]): () => void {
  const part = section("Losses and metrics");
  const controls = element(part, "p", "", "controls");
  const label = element(controls, "label", "smoothing ");
  const slider = element(label, "input") as HTMLInputElement;
  Object.assign(slider, { type: "range", min: "0", max: "0.99", step: "0.01", value: "0.6", id: "smoothing" });
  const switched = element(controls, "label", " logarithmic ");
  const box = element(switched, "input") as HTMLInputElement;
  Object.assign(box, { type: "checkbox", id: "logarithmic" });
  const plots = element(part, "div", "", "plots");
  let remove: (() => void)[] = [];
  const draw = (): void => {
    for (const one of remove) one();
    const logarithmic = box.checked;
    const losses = runs
      .map((run, color) => ({ label: run.name, points: smoothed(stepLosses(run), Number(slider.value)), color }))
      .filter(({ points }) => points.length > 0);
    remove = losses.length === 0 ? [] : [plot(plots, losses, { title: "loss of each step", x: "step", logarithmic })];
    for (const score of scoresOf(runs)) {
      const isLoss = score === "loss" || score.endsWith(".loss");
      remove.push(
        plot(plots, scoreLines(runs, score), { title: score, x: "step", logarithmic: logarithmic && isLoss }),
      );
    }
  };
  slider.addEventListener("input", draw);
  box.addEventListener("input", draw);
  draw();
  return draw;
}

function showRates(runs: readonly PageRun[]): () => void {
  const lines = runs.flatMap((run, color) => {
    const steps: { step: number; learningRate: number | Record<string, number> }[] = recordsOf(run, "steps");
    const groups = new Map<string, (readonly [number, number])[]>();
    for (const { step, learningRate } of steps) {
      const rates = typeof learningRate === "number" ? { "": learningRate } : (learningRate ?? {});
      for (const [group, rate] of Object.entries(rates))
        groups.set(group, [...(groups.get(group) ?? []), [step, rate]]);
    }
    return Array.from(groups, ([group, points]) => ({
      label: group === "" ? run.name : `${run.name}, ${group}`,
      points,
      color,
    }));
  });
  if (lines.length === 0) return () => {};
  const part = element(section("Learning rate"), "div", "", "plots");
  return redrawn(() => plot(part, lines, { title: "learning rate", x: "step" }));
}

/** Draws, and gives what draws again. */
function redrawn(draw: () => () => void): () => void {
  let remove = draw();
  return () => {
    remove();
    remove = draw();
  };
}

/** Norms of gradients and updates by parameter, and histograms, of each run that has them. */
function showLayers(runs: readonly PageRun[]): () => void {
  const again: (() => void)[] = [];
  for (const run of runs) {
    const records: LayersRecord[] = recordsOf(run, "layers");
    if (records.length === 0) continue;
    const part = section(runs.length > 1 ? `Layers of ${run.name}` : "Layers");
    const plots = element(part, "div", "", "plots");
    for (const kind of ["gradients", "updates"] as const) {
      const paths = Array.from(new Set(records.flatMap((record) => Object.keys(record[kind] ?? {}))));
      if (paths.length === 0) continue;
      const lines = paths.map((path, color) => ({
        label: path,
        color,
        points: records.map((record) => [record.step, record[kind]?.[path] ?? null] as const),
      }));
      again.push(redrawn(() => plot(plots, lines, { title: `norms of ${kind}`, x: "step", logarithmic: true })));
    }
    const last = records.filter(({ weights }) => weights !== undefined).at(-1);
    if (last === undefined) continue;
    element(part, "h3", `Weights at step ${last.step}`);
    const tiles = element(part, "div", "", "tiles");
    for (const [path, histogram] of Object.entries(last.weights ?? {})) showHistogram(tiles, path, histogram);
  }
  return () => {
    for (const one of again) one();
  };
}

function showHistogram(parent: HTMLElement, path: string, { min, max, counts }: Histogram): void {
  const figure = element(parent, "figure", "", "small");
  element(figure, "figcaption", path);
  const bars = element(figure, "div", "", "bars");
  bars.setAttribute("role", "img");
  bars.setAttribute("aria-label", `histogram of ${path}, from ${min.toPrecision(3)} to ${max.toPrecision(3)}`);
  const most = Math.max(1, ...counts);
  for (const count of counts) element(bars, "span").style.height = `${(100 * count) / most}%`;
  element(figure, "small", `${min.toPrecision(3)} … ${max.toPrecision(3)}`);
}

function showEvaluation(run: PageRun, title: string): () => void {
  const found = recordsOf(run, "evaluation").at(-1) as EvaluationRecord | undefined;
  if (found === undefined) return () => {};
  const part = section(title);
  showConfusion(part, found);
  const plots = element(part, "div", "", "plots");
  const curves = (read: (one: ClassCurves) => Line["points"], area: (one: ClassCurves) => number): Line[] =>
    found.curves.map((one, color) => ({ label: `${one.label} (${area(one).toFixed(3)})`, points: read(one), color }));
  const roc = redrawn(() =>
    plot(
      plots,
      curves(
        (one) => rising(one.roc),
        (one) => one.rocAuc,
      ),
      { title: "ROC: true by false positive rate", x: "false positive rate", unit: true },
    ),
  );
  const ranked = redrawn(() =>
    plot(
      plots,
      curves(
        (one) => rising(one.precisionRecall),
        (one) => one.averagePrecision,
      ),
      { title: "precision by recall", x: "recall", unit: true },
    ),
  );
  if (found.worst.length > 0) {
    element(part, "h3", "Surest and wrong");
    const tiles = element(part, "div", "", "tiles");
    for (const sample of found.worst) showSample(tiles, sample);
  }
  return () => {
    roc();
    ranked();
  };
}

/** In the order of x; of several points with one x the last. */
function rising(points: readonly (readonly [number, number])[]): Line["points"] {
  return points.slice().sort((a, b) => a[0] - b[0]);
}

function showConfusion(part: HTMLElement, { labels, confusion }: EvaluationRecord): void {
  const wrapper = element(part, "div", "", "wide");
  const table = element(wrapper, "table", "", "confusion");
  element(table, "caption", "Confusion: rows are what is true, columns what was answered");
  const head = element(table, "tr");
  element(head, "th", "");
  for (const label of labels) element(head, "th", label).setAttribute("scope", "col");
  confusion.forEach((row, index) => {
    const line = element(table, "tr");
    element(line, "th", labels[index]).setAttribute("scope", "row");
    const total = row.reduce((sum, count) => sum + count, 0) || 1;
    row.forEach((count, column) => {
      const cell = element(line, "td", String(count), column === index ? "right" : "");
      cell.style.setProperty("--share", String(count / total));
    });
  });
}

function showSample(tiles: HTMLElement, { index, label, predicted, probability, image }: WorstSample): void {
  const figure = element(tiles, "figure", "", "small");
  if (image !== undefined) {
    const { width, height, channels, data } = image;
    const canvas = element(figure, "canvas") as HTMLCanvasElement;
    Object.assign(canvas, { width, height });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `sample ${index}`);
    const context = canvas.getContext("2d") as CanvasRenderingContext2D;
    const pixels = context.createImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      const at = (channel: number): number => data[i * channels + Math.min(channel, channels - 1)];
      pixels.data.set([at(0), at(1), at(2), channels === 4 ? at(3) : 255], 4 * i);
    }
    context.putImageData(pixels, 0, 0);
  }
  element(figure, "figcaption", `${label}, taken for ${predicted}`);
  element(figure, "small", `sample ${index}, probability ${probability.toPrecision(2)}`);
}

/** The step of a run: its layers and instructions as wide as their time, and the slowest ones in a table. */
function showProfile(run: PageRun, title: string): void {
  const found = recordsOf(run, "profile").at(-1) as ProfileRecord | undefined;
  if (found === undefined) return;
  const part = section(title);
  const { batchSize, build, threads, stepMs, sumMs, limits, instructions, flame } = found;
  const made = `${build}, ${threads === 1 ? "one thread" : `${threads} threads`}`;
  const whole = `A step of ${batchSize} samples (${made}) takes ${stepMs.toPrecision(3)} ms`;
  const each = `its ${instructions.length} instructions by themselves ${sumMs.toPrecision(3)} ms`;
  const most = `${limits.gigaflops.toPrecision(3)} GFLOP/s in a product, ${limits.gigabytes.toPrecision(3)} GB/s in a copy`;
  element(part, "p", `${whole}, ${each}. The machine's limits: ${most}.`);
  const chart = element(part, "div", "", "flame");
  const draw = (node: FlameRecord): void => {
    chart.replaceChildren();
    showFlame(chart, node, node.ms || 1, (chosen) => draw(chosen === node ? flame : chosen));
  };
  draw(flame);
  element(part, "small", "A click makes a part as wide as the chart; another one on it shows the whole step again.");
  const table = element(element(part, "div", "", "wide"), "table", "", "numbers");
  const slowest = instructions
    .slice()
    .sort((a, b) => b.ms - a.ms)
    .slice(0, 20);
  element(
    table,
    "caption",
    slowest.length < instructions.length ? `The ${slowest.length} slowest` : "The slowest first",
  );
  const head = element(table, "tr");
  const names = ["layer", "operation", "kernel", "outputs", "times", "ms", "share", "KB", "MFLOP", "of limit"];
  for (const name of names) element(head, "th", name).setAttribute("scope", "col");
  for (const one of slowest) {
    const { layer, operation, kernel, outputs, times, ms, share, bytes, flops, ofLimit } = one;
    const line = element(table, "tr");
    const limit = typeof ofLimit === "number" ? `${(100 * ofLimit).toFixed(0)} %` : "";
    const shapes = outputs.map((shape) => `[${shape.join(", ")}]`).join(" ");
    for (const text of [layer, operation, kernel, shapes]) element(line, "td", text);
    const numbers = [String(times), ms.toFixed(4), `${(100 * share).toFixed(1)} %`];
    for (const text of [...numbers, (bytes / 1024).toFixed(1), (flops / 1e6).toFixed(2), limit])
      element(line, "td", text, "number");
  }
}

/** A part of the chart: what it is called, and under it its parts, in the order in which they run first. */
function showFlame(parent: HTMLElement, node: FlameRecord, wholeMs: number, choose: (node: FlameRecord) => void): void {
  const box = element(parent, "div", "", "part");
  box.style.width = `${(100 * node.ms) / wholeMs}%`;
  const bar = element(box, "button", node.name) as HTMLButtonElement;
  bar.type = "button";
  bar.title = `${node.name}: ${node.ms.toPrecision(3)} ms`;
  // One of the colours by name, so that a kind of instruction has the same one everywhere.
  let hash = 0;
  for (const letter of node.name) hash = (31 * hash + letter.charCodeAt(0)) % 8191;
  bar.style.setProperty("--color", `var(--c${node.children.length > 0 ? 0 : 1 + (hash % 7)})`);
  bar.addEventListener("click", () => choose(node));
  if (node.children.length === 0) return;
  const row = element(box, "div", "", "row");
  for (const child of node.children) showFlame(row, child, node.ms || 1, choose);
}

/** A line a run: how it was made, and what came of it. */
function showRuns(runs: readonly PageRun[]): void {
  const part = section("Runs");
  const table = element(element(part, "div", "", "wide"), "table");
  const head = element(table, "tr");
  const names = [
    "run",
    "began",
    "optimizer",
    "batch size",
    "seed",
    "build",
    "threads",
    "steepest",
    "runtime",
    "epochs",
    "last loss",
    "last validation loss",
    "ended",
    "digest",
  ];
  for (const name of names) element(head, "th", name).setAttribute("scope", "col");
  runs.forEach((run, index) => {
    const begin = (recordsOf(run, "begin")[0] ?? {}) as Record<string, unknown>;
    const end = (recordsOf(run, "end").at(-1) ?? {}) as Record<string, unknown>;
    const epoch = (recordsOf(run, "epoch").at(-1) ?? {}) as {
      epoch?: number;
      loss?: number;
      validation?: { loss?: number };
    };
    const line = element(table, "tr");
    const shown = (value: unknown): string =>
      typeof value === "number" ? String(Number(value.toPrecision(5))) : String(value ?? "–");
    const cells = [
      run.name,
      begin.time,
      begin.optimizer,
      begin.batchSize,
      begin.seed,
      begin.build,
      begin.threads,
      begin.version,
      begin.runtime,
      epoch.epoch,
      epoch.loss,
      epoch.validation?.loss,
      end.reason,
      end.digest,
    ];
    cells.forEach((value, column) => {
      const cell = element(line, "td", shown(value));
      if (column === 0) cell.style.color = colorOf(index);
    });
    const warnings: { code: string; message: string; step?: number }[] = recordsOf(run, "warning");
    for (const { code, message, step } of warnings) {
      element(part, "p", `${run.name}${step === undefined ? "" : `, step ${step}`}: ${message} (${code})`, "warning");
    }
    if (typeof begin.summary !== "string") return;
    const details = element(part, "details");
    element(details, "summary", `Model of ${run.name}`);
    element(details, "pre", begin.summary);
  });
}

function showReport(runs: readonly PageRun[]): void {
  showRuns(runs);
  const again = [showCurves(runs), showRates(runs), showLayers(runs)];
  for (const run of runs) again.push(showEvaluation(run, runs.length > 1 ? `Evaluation of ${run.name}` : "Evaluation"));
  for (const run of runs) showProfile(run, runs.length > 1 ? `Profile of ${run.name}` : "Profile");
  const redraw = (): void => {
    for (const one of again) one();
  };
  // Plots are drawn in the colours of the page, which change with its scheme, and to its width.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  window.addEventListener("resize", redraw);
  document.title = document.title || "Steepest";
  document.documentElement.dataset.ready = "true";
}

/** All of the script, the one that begins first. */
export const PAGE_FUNCTIONS: readonly ((...given: never[]) => unknown)[] = [
  showReport,
  showRuns,
  showCurves,
  showRates,
  showLayers,
  showHistogram,
  showEvaluation,
  showConfusion,
  showSample,
  showProfile,
  showFlame,
  rising,
  redrawn,
  scoresOf,
  scoreLines,
  stepLosses,
  smoothed,
  plot,
  columnsOf,
  section,
  element,
  colorOf,
  recordsOf,
];
