// A report as one HTML file, which needs nothing else: the runs as data, uPlot, and the page's own script.
import { ModelError, showValue } from "../engine/errors.js";
import { isArrayOf } from "../engine/kind.js";
import { type OptionsOf, readOptions } from "../engine/options.js";
import { PAGE_FUNCTIONS } from "./page.js";
import type { Run } from "./record.js";

/** The files of uPlot (https://github.com/leeoniya/uPlot), as text: `dist/uPlot.iife.min.js` and `dist/uPlot.min.css`. */
export interface PlotLibrary {
  readonly script: string;
  readonly style: string;
}

export interface ReportOptions {
  /** Default "Training". */
  title?: string;
}

const OPTIONS = {
  title(where, name, value = "Training") {
    if (typeof value === "string") return value;
    throw new ModelError(`${where}: ${name} must be a text, got ${showValue(value)}`);
  },
} satisfies OptionsOf<ReportOptions>;

const STYLE = `
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1f2328; --grid: #d9dee3; --soft: #f3f5f7; --accent: #0a6ebd;
  --c0: #0a6ebd; --c1: #c2410c; --c2: #15803d; --c3: #7e22ce; --c4: #b91c1c; --c5: #0f766e; --c6: #a16207; --c7: #be185d; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e3e7ea; --grid: #363c42; --soft: #1e2226; --accent: #67b3f0;
  --c0: #67b3f0; --c1: #fb923c; --c2: #4ade80; --c3: #c4a1ff; --c4: #f87171; --c5: #5eead4; --c6: #facc15; --c7: #f9a8d4; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; } h3 { font-size: 1rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); gap: 1rem; } .plots figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; } .u-legend { color: var(--ink); }
.wide { overflow-x: auto; } table { border-collapse: collapse; } caption { text-align: left; white-space: nowrap; } th, td { padding: 0.2rem 0.6rem; text-align: left; border-bottom: 1px solid var(--grid); white-space: nowrap; }
.confusion td { text-align: right; background: color-mix(in srgb, var(--c1) calc(var(--share) * 70%), transparent); }
.confusion td.right { background: color-mix(in srgb, var(--c2) calc(var(--share) * 55%), transparent); }
.tiles { display: flex; flex-wrap: wrap; gap: 0.75rem; } .small { margin: 0; width: 150px; background: var(--soft); padding: 0.5rem; border-radius: 6px; overflow-wrap: anywhere; }
.small canvas { width: 84px; image-rendering: pixelated; display: block; }
.bars { display: flex; align-items: flex-end; height: 64px; gap: 1px; } .bars span { flex: 1; background: var(--accent); }
.flame { overflow: hidden; margin-bottom: 0.25rem; } .flame .row { display: flex; } .flame .part { min-width: 0; flex: none; }
.flame button { display: block; box-sizing: border-box; width: 100%; height: 1.6rem; padding: 0 0.25rem; border: 0 solid var(--paper); border-width: 0 1px 1px 0; overflow: hidden;
  font: inherit; font-size: 0.8rem; text-align: left; white-space: nowrap; text-overflow: ellipsis; cursor: pointer; color: var(--ink); background: color-mix(in srgb, var(--color) 38%, var(--paper)); }
.flame button:hover, .flame button:focus-visible { background: color-mix(in srgb, var(--color) 60%, var(--paper)); outline: none; } .number { text-align: right; font-variant-numeric: tabular-nums; }
pre { overflow-x: auto; background: var(--soft); padding: 0.75rem; } .warning { border-left: 4px solid var(--c1); padding-left: 0.75rem; }
`;

/**
 * A report of runs: losses and metrics with a slider that smooths, learning rates, norms of gradients and updates by parameter,
 * histograms of weights, the evaluation and the profile if there are any, warnings, and how each run was made. Several runs are compared. It is
 * one page that asks no other host for anything, in light and dark.
 *
 * @param library The files of uPlot as text; `writeReport` finds them itself.
 * @returns The text of an HTML file.
 */
export function renderReport(runs: readonly Run[], library: PlotLibrary, options: ReportOptions = {}): string {
  const where = "renderReport";
  const { title } = readOptions(where, options, OPTIONS);
  if (!isArrayOf(runs, isRun) || runs.length === 0) {
    throw new ModelError(`${where}: runs must be a list of what parseRun() gives, got ${showValue(runs)}`);
  }
  const { script, style } = library ?? {};
  if (typeof script !== "string" || typeof style !== "string") {
    throw new ModelError(`${where}: library must be the files of uPlot, { script, style }, got ${showValue(library)}`);
  }
  const plain = runs.map(({ name, records }) => ({ name, records }));
  const [first] = PAGE_FUNCTIONS;
  // Compilers that keep names call __name() in functions.
  const program = `"use strict";const __name = (it) => it;\n${PAGE_FUNCTIONS.map(String).join("\n")}\n${first.name}(JSON.parse(document.getElementById("runs").textContent));`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>${escapeText(title)}</title>
<style>${inStyle(style)}${STYLE}</style>
</head>
<body>
<main><h1>${escapeText(title)}</h1></main>
<script type="application/json" id="runs">${JSON.stringify(plain).replace(/</g, "\\u003c")}</script>
<script>${inScript(script)}</script>
<script>${inScript(program)}</script>
</body>
</html>
`;
}

function isRun(run: unknown): run is Run {
  const { name, records } = (run ?? {}) as Partial<Run>;
  return typeof name === "string" && Array.isArray(records);
}

function escapeText(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/** Nothing in it ends the script, or begins a comment of HTML. In strings, which is where such text is, the meaning is the same. */
function inScript(text: string): string {
  return text.replace(/<(?=\/script|!--|script)/gi, "\\u003c");
}

function inStyle(text: string): string {
  return text.replace(/<\/style/gi, "<\\/style");
}
