// The controls of a page: each has a label, works with the keyboard, and tells what was chosen.
import { h } from "./dom.js";
import type { Session } from "./session.js";

let ids = 0;
const newId = (name: string): string => `${name.replace(/\W+/g, "-").toLowerCase()}-${++ids}`;

export interface Control<T> {
  readonly element: HTMLElement;
  show(value: T): void;
}

/** A list to choose one of. */
export function select<T extends string | number>(
  label: string,
  options: readonly (readonly [value: T, label: string])[],
  changed: (value: T) => void,
  { disabled = false, title }: { disabled?: boolean; title?: string } = {},
): Control<T> {
  const id = newId(label);
  const list = h(
    "select",
    {
      id,
      disabled,
      title,
      change: () => changed((options[list.selectedIndex] as readonly [T, string])[0]),
    },
    ...options.map(([, text]) => h("option", {}, text)),
  );
  return {
    element: h("div", { class: "field" }, h("label", { for: id }, label), list),
    show(value) {
      const index = options.findIndex(([other]) => other === value);
      // A link may carry a number that is not in the list.
      if (index < 0 && typeof value === "number") {
        const near = options.reduce((best, [other], i) => {
          const distance = (j: number) => Math.abs(Number((options[j] as readonly [T, string])[0]) - value);
          return Math.abs(Number(other) - value) < distance(best) ? i : best;
        }, 0);
        list.selectedIndex = near;
      } else list.selectedIndex = index;
    },
  };
}

/** A slider with its value beside the label. */
export function slider(
  label: string,
  {
    min,
    max,
    step = 1,
    format = String,
  }: { min: number; max: number; step?: number; format?: (value: number) => string },
  changed: (value: number) => void,
): Control<number> {
  const id = newId(label);
  const output = h("output", { for: id });
  const input = h("input", {
    id,
    type: "range",
    min,
    max,
    step,
    input: () => {
      output.textContent = format(Number(input.value));
      input.setAttribute("aria-valuetext", format(Number(input.value)));
    },
    change: () => changed(Number(input.value)),
  });
  return {
    element: h("div", { class: "field slider" }, h("label", { for: id }, label), output, input),
    show(value) {
      input.value = String(value);
      output.textContent = format(value);
      input.setAttribute("aria-valuetext", format(value));
    },
  };
}

/** One of several, each with a picture of its own. */
export function cards<T extends string>(
  label: string,
  options: readonly (readonly [value: T, label: string, picture: HTMLElement])[],
  changed: (value: T) => void,
): Control<T> {
  const name = newId(label);
  const inputs = options.map(([value, text, picture]) => {
    const input = h("input", { type: "radio", name, value, class: "unseen", change: () => changed(value) });
    return { value, input, card: h("label", { class: "card" }, input, picture, h("span", {}, text)) };
  });
  return {
    element: h(
      "fieldset",
      { class: "cards" },
      h("legend", {}, label),
      h("div", { class: "row" }, ...inputs.map(({ card }) => card)),
    ),
    show(value) {
      for (const { value: other, input } of inputs) input.checked = other === value;
    },
  };
}

/** Some of several. */
export function checks<T extends string>(
  label: string,
  options: readonly (readonly [value: T, label: string])[],
  changed: (values: readonly T[]) => void,
): Control<readonly T[]> {
  const boxes = options.map(([value, text]) => {
    const input = h("input", { type: "checkbox", value, change: () => changed(chosen()) });
    return { value, input, line: h("label", { class: "check" }, input, h("span", {}, text)) };
  });
  const chosen = (): readonly T[] => boxes.filter(({ input }) => input.checked).map(({ value }) => value);
  return {
    element: h("fieldset", { class: "checks" }, h("legend", {}, label), ...boxes.map(({ line }) => line)),
    show(values) {
      for (const { value, input } of boxes) input.checked = values.includes(value);
    },
  };
}

export function button(label: string, pressed: () => void, { kind = "", title = "" } = {}): HTMLButtonElement {
  return h("button", { type: "button", class: kind || undefined, title: title || undefined, click: pressed }, label);
}

/** Starts and pauses a session; `show` is told whether it plays. */
export function createPlayButton(label: string, session: Session) {
  const element = button(label, () => (session.playing ? session.pause() : session.play()), { kind: "main" });
  element.id = "play";
  return {
    element,
    show(playing: boolean): void {
      element.textContent = playing ? "Pause" : label;
      element.setAttribute("aria-pressed", String(playing));
    },
  };
}

/** Numbers to choose one of, as `select` takes them. */
export function numbers(values: readonly number[]): [number, string][] {
  return values.map((value) => [value, String(value)]);
}
