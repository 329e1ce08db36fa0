// Pictures for the terminal: digits in shades of grey, points in the plane, a curve.
import plot from "simple-ascii-chart";
import { PIXELS, SIDE } from "./digits.js";

const SHADES = " ░▒▓█";

/** One image as lines; a character covers two pixels, one above the other. */
function shade(pixels: Float32Array): string[] {
  return Array.from({ length: SIDE / 2 }, (_, line) =>
    Array.from({ length: SIDE }, (_, column) => {
      const above = pixels[2 * line * SIDE + column];
      const below = pixels[(2 * line + 1) * SIDE + column];
      const grey = Math.min(Math.max((above + below) / 2, 0), 0.999);
      return SHADES[Math.floor(grey * SHADES.length)];
    }).join(""),
  );
}

/** Images of 28×28 beside each other, at most four in a row, with a caption below each if there are any. */
export function drawDigits(images: Float32Array, captions: readonly string[] = []): string {
  const count = images.length / PIXELS;
  const rows: string[] = [];
  for (let first = 0; first < count; first += 4) {
    const row = Array.from({ length: Math.min(4, count - first) }, (_, i) => {
      const from = (first + i) * PIXELS;
      return [...shade(images.subarray(from, from + PIXELS)), (captions[first + i] ?? "").padEnd(SIDE)];
    });
    rows.push(...row[0].map((_, line) => `  ${row.map((image) => image[line]).join("  ")}`.trimEnd()));
  }
  return rows.join("\n");
}

/**
 * Points of the plane, x and y one after another, within ±extent. A series is drawn with the first character of its name,
 * later ones over earlier ones.
 */
export function drawPoints(series: Readonly<Record<string, ArrayLike<number>>>, extent: number): string {
  const [width, height] = [64, 28];
  const canvas = Array.from({ length: height }, () => new Array<string>(width).fill(" "));
  for (const [name, points] of Object.entries(series)) {
    for (let i = 0; i < points.length; i += 2) {
      const column = Math.floor(((points[i] / extent + 1) / 2) * width);
      const line = Math.floor(((1 - points[i + 1] / extent) / 2) * height);
      if (canvas[line]?.[column] !== undefined) canvas[line][column] = name[0];
    }
  }
  const border = "─".repeat(width);
  const lines = canvas.map((line) => `  │${line.join("")}│`);
  return [`  ┌${border}┐`, ...lines, `  └${border}┘`, `   ${Object.keys(series).join("   ")}`].join("\n");
}

/** A curve over its index, counted from 1. */
export function drawCurve(title: string, values: readonly number[]): string {
  const points = values.map((value, i): [number, number] => [i + 1, value]);
  const customXAxisTicks = [0, 1, 2, 3, 4].map((i) => 1 + Math.round((i / 4) * (values.length - 1)));
  const formatter = (value: number) => Number(value.toFixed(2));
  const picture = plot(points, { width: 70, height: 12, title, customXAxisTicks, formatter });
  return picture.replace(/^\n/, "").replace(/ +$/gm, "");
}

const MARKS = ["·", "o", "x", "+"];

/** Several curves over one index, counted from 1, each with a mark of its own; NaN is no point. */
export function drawCurves(title: string, curves: Readonly<Record<string, readonly number[]>>): string {
  const series = Object.values(curves).map((values) =>
    values.map((value, i): [number, number] => [i + 1, value]).filter(([, value]) => Number.isFinite(value)),
  );
  const markOf = (x: number, y: number) =>
    MARKS[series.findIndex((one) => one.some((point) => point[0] === x && point[1] === y))];
  const longest = Math.max(...Object.values(curves).map(({ length }) => length));
  const picture = plot(series, {
    width: 72,
    height: 16,
    title,
    formatter: (value) => Number(value.toFixed(2)),
    customXAxisTicks: [0, 1, 2, 3].map((i) => 1 + Math.round((i / 3) * (longest - 1))),
    lineFormatter: ({ x, y, plotX, plotY }) => ({ x: plotX, y: plotY, symbol: markOf(x, y) }),
  });
  const names = Object.keys(curves).map((name, i) => `${MARKS[i]} ${name}`);
  return `${picture.replace(/^\n/, "").replace(/ +$/gm, "")}\n   ${names.join("   ")}`;
}
