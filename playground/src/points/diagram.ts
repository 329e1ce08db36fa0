// The picture of the network: features, units with what they see, and the weights between them.
import { colorOf, paint } from "../ui/colors.js";
import { contextOf, fit, h } from "../ui/dom.js";
import { FEATURE_NAMES, type Feature } from "./data.js";
import { MOST_LAYERS, MOST_UNITS, type PointSettings } from "./settings.js";

/** Cells along a side of all maps. */
export const SIDE = 48;

export const FEATURE_LABELS: Record<Feature, string> = {
  x: "x",
  y: "y",
  xx: "x²",
  yy: "y²",
  xy: "xy",
  sinx: "sin x",
  siny: "sin y",
};

export interface DiagramEvents {
  featuresChanged(features: readonly Feature[]): void;
  layersChanged(layers: readonly number[]): void;
  /** Which unit is looked at: shown large in place of the output. Undefined: none. */
  looked(unit: Unit | undefined): void;
}

export interface Unit {
  readonly layer: number;
  readonly unit: number;
}

/** Weights into a layer, [from, to] row by row. */
export interface Weights {
  readonly from: number;
  readonly to: number;
  readonly data: ArrayLike<number>;
}

interface Place {
  readonly left: number;
  readonly right: number;
  readonly y: number;
}

const newMap = () => h("canvas", { width: SIDE, height: SIDE, "aria-hidden": "true" });

export function createDiagram(events: DiagramEvents) {
  const links = h("canvas", { class: "links", "aria-hidden": "true" });
  const columns = h("div", { class: "columns" });
  const element = h("div", { class: "network", role: "group", "aria-label": "The network" }, links, columns);
  const image = new ImageData(SIDE, SIDE);
  const featureMaps = new Map<Feature, HTMLCanvasElement>();
  const featureButtons = new Map<Feature, HTMLButtonElement>();
  let units: { map: HTMLCanvasElement; button: HTMLElement }[][] = [];
  let out: HTMLElement = h("div", {});
  let settings: PointSettings | undefined;
  let weights: readonly Weights[] = [];
  /** Where the ends of the links are, column by column: measured once for each layout of the page. */
  let places: Place[][] | undefined;

  function featureButton(name: Feature, on: boolean, all: readonly Feature[]): HTMLElement {
    const map = newMap();
    featureMaps.set(name, map);
    const toggled = on
      ? all.filter((other) => other !== name)
      : FEATURE_NAMES.filter((f) => f === name || all.includes(f));
    const button = h(
      "button",
      {
        type: "button",
        class: "unit feature",
        "aria-pressed": String(on),
        "aria-label": `Feature ${FEATURE_LABELS[name]}`,
        title: on && all.length === 1 ? "At least one feature is needed" : `Feature ${FEATURE_LABELS[name]}`,
        click: () => {
          if (toggled.length > 0) events.featuresChanged(toggled);
        },
      },
      map,
    );
    featureButtons.set(name, button);
    return h("div", { class: "named" }, h("span", { "aria-hidden": "true" }, FEATURE_LABELS[name]), button);
  }

  function unitButton(layer: number, unit: number): { map: HTMLCanvasElement; button: HTMLElement } {
    const map = newMap();
    const look = () => events.looked({ layer, unit });
    const away = () => events.looked(undefined);
    const button = h(
      "button",
      {
        type: "button",
        class: "unit",
        "aria-label": `Layer ${layer + 1}, unit ${unit + 1}: show what it sees`,
        pointerenter: look,
        pointerleave: away,
        focus: look,
        blur: away,
        click: look,
      },
      map,
    );
    return { map, button };
  }

  function stepper(
    label: string,
    count: number,
    most: number,
    least: number,
    set: (count: number) => void,
  ): HTMLElement {
    const press = (by: number, text: string, sign: string) =>
      h(
        "button",
        {
          type: "button",
          class: "step",
          "data-key": text,
          "aria-label": text,
          title: text,
          disabled: count + by > most || count + by < least,
          click: () => set(count + by),
        },
        sign,
      );
    return h("div", { class: "stepper" }, press(-1, `${label}: one less`, "−"), press(1, `${label}: one more`, "+"));
  }

  function build(next: PointSettings): void {
    settings = next;
    weights = [];
    const { layers, features } = next;
    // A press of a button replaces it: the focus goes to the one in its place.
    const key = (document.activeElement as HTMLElement | null)?.getAttribute("data-key");
    const label = columns.contains(document.activeElement) ? document.activeElement?.getAttribute("aria-label") : null;
    const inputs = FEATURE_NAMES.map((name) => featureButton(name, features.includes(name), features));
    units = layers.map((count, layer) => Array.from({ length: count }, (_, unit) => unitButton(layer, unit)));
    out = h("div", { class: "socket", title: "The output, shown at the right" });
    columns.replaceChildren(
      h("div", { class: "column features" }, h("div", { class: "head" }, h("strong", {}, "Features")), ...inputs),
      ...units.map((column, layer) =>
        h(
          "div",
          { class: "column" },
          h(
            "div",
            { class: "head" },
            stepper(`Units of layer ${layer + 1}`, layers[layer] as number, MOST_UNITS, 1, (count) =>
              events.layersChanged(layers.map((old, i) => (i === layer ? count : old))),
            ),
            h("span", {}, `${column.length} ${column.length === 1 ? "unit" : "units"}`),
          ),
          ...column.map(({ button }) => button),
        ),
      ),
      h(
        "div",
        { class: "column end" },
        h(
          "div",
          { class: "head" },
          stepper("Hidden layers", layers.length, MOST_LAYERS, 0, (count) =>
            events.layersChanged(
              count > layers.length ? [...layers, Math.min(4, layers.at(-1) ?? 4)] : layers.slice(0, count),
            ),
          ),
          h("span", {}, `${layers.length} ${layers.length === 1 ? "layer" : "layers"}`),
        ),
        out,
      ),
    );
    if (key || label) {
      const again = [...columns.querySelectorAll("button")].find((button) =>
        key ? button.getAttribute("data-key") === key : button.getAttribute("aria-label") === label,
      );
      again?.focus();
    }
    places = undefined;
    // The weights come with the first scores.
    contextOf(links).clearRect(0, 0, links.width, links.height);
  }

  function paintMap(map: HTMLCanvasElement, values: ArrayLike<number>, offset: number, stride: number, scale: number) {
    paint(image, values, { offset, stride, scale });
    contextOf(map).putImageData(image, 0, 0);
  }

  function measure(features: readonly Feature[]): Place[][] {
    const base = columns.getBoundingClientRect();
    const placeOf = (item: HTMLElement): Place => {
      const box = item.getBoundingClientRect();
      return { left: box.left - base.left, right: box.right - base.left, y: (box.top + box.bottom) / 2 - base.top };
    };
    links.style.width = `${columns.scrollWidth}px`;
    links.style.height = `${columns.scrollHeight}px`;
    return [
      features.map((name) => placeOf(featureButtons.get(name) as HTMLElement)),
      ...units.map((column) => column.map(({ button }) => placeOf(button))),
      [placeOf(out)],
    ];
  }

  function drawLinks(): void {
    if (settings === undefined) return;
    places ??= measure(settings.features);
    const { context, width, height } = fit(links);
    context.clearRect(0, 0, width, height);
    for (const [index, { from, to, data }] of weights.entries()) {
      for (let a = 0; a < from; a++) {
        for (let b = 0; b < to; b++) {
          const start = places[index]?.[a];
          const end = places[index + 1]?.[b];
          const weight = data[a * to + b] as number;
          if (start === undefined || end === undefined) continue;
          const strength = Math.min(1, Math.abs(weight) / 2);
          const bend = (end.left - start.right) / 2;
          context.beginPath();
          context.moveTo(start.right, start.y);
          context.bezierCurveTo(start.right + bend, start.y, end.left - bend, end.y, end.left, end.y);
          context.lineWidth = 0.6 + 4 * strength;
          context.globalAlpha = 0.25 + 0.7 * strength;
          context.strokeStyle = colorOf(weight > 0 ? 0.5 + strength / 2 : -0.5 - strength / 2);
          context.stroke();
        }
      }
    }
    context.globalAlpha = 1;
  }

  new ResizeObserver(() => {
    places = undefined;
    drawLinks();
  }).observe(columns);

  return {
    element,
    build,
    /** [cells, all features], row by row. */
    drawFeatures(values: Float32Array): void {
      for (const [index, name] of FEATURE_NAMES.entries()) {
        paintMap(featureMaps.get(name) as HTMLCanvasElement, values, index, FEATURE_NAMES.length, 0.5);
      }
    },
    /** [cells, units] of a layer. */
    drawLayer(layer: number, values: Float32Array, scale: number): void {
      const column = units[layer] ?? [];
      for (const [unit, { map }] of column.entries()) paintMap(map, values, unit, column.length, scale);
    },
    drawWeights(given: readonly Weights[]): void {
      weights = given;
      drawLinks();
    },
  };
}
