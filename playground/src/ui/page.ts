// What all pages share: the theme, settings in the address, messages, and the line that says what runs.
import type { Field, SettingsOf } from "../settings.js";
import { decodeSettings, encodeSettings } from "../settings.js";
import { isDark, tellTheme } from "./colors.js";
import { byId, h } from "./dom.js";

/** Sets the button of the theme going. The theme itself is set by theme.js, before the page is drawn. */
export function startPage(): void {
  const toggle = byId("theme");
  const show = (): void => {
    toggle.setAttribute("aria-pressed", String(isDark()));
  };
  const set = (theme: string): void => {
    document.documentElement.dataset.theme = theme;
    show();
    void tellTheme();
  };
  toggle.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // Where nothing is kept, the theme is this page's alone.
    }
    set(theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ({ matches }) => {
    let kept: string | null = null;
    try {
      kept = localStorage.getItem("theme");
    } catch {
      // As above.
    }
    if (kept === null) set(matches ? "dark" : "light");
  });
  show();
}

// biome-ignore lint/suspicious/noExplicitAny: see SettingsOf.
type Fields = Record<string, Field<any>>;

/** Settings that the address carries. `loaded` is called when somebody follows another link to the page that is open. */
export function linkSettings<S extends Fields>(schema: S, loaded: (settings: SettingsOf<S>) => void) {
  let settings = decodeSettings(schema, location.hash);
  addEventListener("hashchange", () => {
    settings = decodeSettings(schema, location.hash);
    loaded(settings);
  });
  return {
    get current(): SettingsOf<S> {
      return settings;
    },
    change(part: Partial<SettingsOf<S>>): void {
      settings = { ...settings, ...part };
      const hash = encodeSettings(schema, settings);
      history.replaceState(null, "", hash === "" ? location.pathname + location.search : `#${hash}`);
    },
  };
}

/** Copies the address, with the settings in it. */
export function linkButton(): HTMLButtonElement {
  const button = h(
    "button",
    {
      type: "button",
      class: "quiet",
      click: async () => {
        try {
          await navigator.clipboard.writeText(location.href);
          say("The link to these settings was copied.");
        } catch {
          say("The link to these settings is in the address bar.");
        }
      },
    },
    "Copy link",
  );
  return button;
}

let quiet: ReturnType<typeof setTimeout> | undefined;

/** Shows a sentence for a while, and has it read out. */
export function say(text: string, kind: "note" | "error" = "note"): void {
  const place = byId("message");
  place.textContent = text;
  place.className = `message ${kind}`;
  clearTimeout(quiet);
  if (kind === "note") quiet = setTimeout(() => (place.className = "message gone"), 4000);
}

export function sayError(error: unknown): void {
  console.error(error);
  say(error instanceof Error ? error.message : String(error), "error");
}

/** How many threads a page may ask for here. */
export const mostThreads: number = crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency || 1) : 1;

export const threadOptions: readonly (readonly [number, string])[] = [1, 2, 4, 8]
  .filter((count) => count <= mostThreads)
  .map((count) => [count, String(count)]);

export const threadHint = crossOriginIsolated
  ? "Threads share large steps"
  : "This page may not share memory between threads: it was sent without the two headers that isolate it";

interface Running {
  readonly build: string;
  readonly threads: number;
  readonly background: boolean;
}

const showTime = (milliseconds: number): string =>
  milliseconds < 1 ? `${Math.round(milliseconds * 1000)} µs` : `${milliseconds.toPrecision(3)} ms`;

/** The line at the foot of a page: time of a step, and what computes it. */
export function createStatus() {
  const time = h("strong", { id: "time" }, "–");
  const runs = h("span", {});
  let mean: number | undefined;
  byId("status").append(h("span", {}, "A step takes ", time), runs);
  return {
    show({ build, threads, background }: Running): void {
      const where = background ? "in the background" : "on the page's own thread";
      runs.textContent = `build “${build}”, ${threads} ${threads === 1 ? "thread" : "threads"}, ${where}`;
      mean = undefined;
      time.textContent = "–";
    },
    /** `milliseconds` for so many steps; the line shows a moving mean. */
    time(milliseconds: number, steps: number): void {
      const now = milliseconds / steps;
      mean = mean === undefined ? now : 0.9 * mean + 0.1 * now;
      time.textContent = showTime(mean);
    },
  };
}
