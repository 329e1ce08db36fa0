// Curves over steps, by uPlot.
import uPlot from "uplot";
import { onTheme, styleColor } from "./colors.js";
import { h, nextFrame } from "./dom.js";

/** Curves move slowly: they are drawn at most so often, as that is the dearest thing on a page. */
const PAUSE_MS = 150;

export interface Line {
  readonly label: string;
  /** A custom property of the style sheet. */
  readonly color: string;
  readonly dash?: readonly number[];
}

export interface Chart {
  readonly element: HTMLElement;
  /** The first column is x. */
  draw(columns: readonly (readonly (number | null)[])[]): void;
}

export interface ChartOptions {
  readonly label: string;
  readonly lines: readonly Line[];
  readonly height?: number;
  readonly log?: boolean;
}

/** Of the lines of a logarithmic scale, those at powers of ten. */
const decades = (_: uPlot, splits: number[]): (number | null)[] =>
  splits.map((value) => (Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9 ? value : null));

/** Draws again when the page's width or theme changes. */
export function createChart({ label, lines, height = 150, log = false }: ChartOptions): Chart {
  const place = h("div", { class: "plot", role: "img", "aria-label": label });
  const legend = h(
    "div",
    { class: "legend" },
    ...lines.map(({ label: text, color, dash }) =>
      h("span", { style: `--line: var(${color})`, class: dash ? "dashed" : undefined }, text),
    ),
  );
  let columns: readonly (readonly (number | null)[])[] = [[], ...lines.map(() => [])];
  let plot: uPlot | undefined;
  let waiting = false;

  const make = (): void => {
    plot?.destroy();
    const axis = { stroke: styleColor("--soft-ink"), font: "11px system-ui, sans-serif", ticks: { show: false } };
    const grid = { stroke: styleColor("--line"), width: 1 };
    plot = new uPlot(
      {
        width: Math.max(120, place.clientWidth),
        height,
        legend: { show: false },
        cursor: { show: false },
        padding: [8, 14, 0, 0],
        scales: { x: { time: false }, y: log ? { distr: 3 } : {} },
        axes: [
          { ...axis, grid: { show: false }, size: 24, space: 60 },
          { ...axis, grid: log ? { ...grid, filter: decades } : grid, size: 46, space: 34 },
        ],
        series: [
          {},
          ...lines.map(({ label: text, color, dash }) => ({
            label: text,
            stroke: styleColor(color),
            width: 1.75,
            points: { show: false },
            ...(dash === undefined ? {} : { dash: [...dash] }),
          })),
        ],
      },
      columns as unknown as uPlot.AlignedData,
      place,
    );
  };
  let sized = false;
  // In a frame of its own: what is drawn may change the size that is being reported.
  new ResizeObserver(async () => {
    if (sized) return;
    sized = true;
    await nextFrame();
    sized = false;
    if (plot === undefined || plot.width !== Math.max(120, place.clientWidth)) make();
  }).observe(place);
  onTheme(make);
  return {
    element: h("figure", { class: "chart" }, h("figcaption", {}, h("span", {}, label), legend), place),
    draw(given) {
      columns = given;
      if (waiting) return;
      waiting = true;
      setTimeout(() => {
        waiting = false;
        plot?.setData(columns as unknown as uPlot.AlignedData);
      }, PAUSE_MS);
    },
  };
}

/** Keeps at most `most` points of a curve: when there are more, every second one is left out from then on. */
export function createSeries(count: number, most = 600) {
  let columns: number[][] = [];
  let every = 1;
  let seen = 0;
  const clear = (): void => {
    columns = Array.from({ length: count + 1 }, () => []);
    every = 1;
    seen = 0;
  };
  clear();
  return {
    clear,
    add(x: number, ...values: number[]): void {
      if (seen++ % every !== 0) return;
      for (const [index, value] of [x, ...values].entries()) (columns[index] as number[]).push(value);
      if ((columns[0] as number[]).length < most) return;
      columns = columns.map((column) => column.filter((_, index) => index % 2 === 0));
      every *= 2;
    },
    get columns(): readonly (readonly number[])[] {
      return columns;
    },
  };
}
