// Colors of values from -1 (orange) over 0 (paper) to 1 (blue), in light and dark.
import { breathe } from "./dom.js";

type Rgb = readonly [number, number, number];
const LIGHT: readonly Rgb[] = [
  [236, 122, 28],
  [248, 193, 138],
  [244, 245, 247],
  [142, 183, 238],
  [38, 103, 214],
];
const DARK: readonly Rgb[] = [
  [240, 139, 58],
  [138, 84, 44],
  [28, 33, 40],
  [43, 86, 146],
  [88, 152, 245],
];
const STEPS = 256;

const listeners = new Set<() => void>();

export const isDark = (): boolean => document.documentElement.dataset.theme === "dark";

/** Calls it whenever the page turns dark or light. */
export function onTheme(changed: () => void): void {
  listeners.add(changed);
}

/** Each listener in a task of its own, as each draws a canvas or more. */
export async function tellTheme(): Promise<void> {
  for (const listener of listeners) {
    await breathe();
    listener();
  }
}

const tables = new Map<boolean, Uint32Array>();

/** Pixels (as 32-bit words of ImageData) by step from -1 to 1. */
function table(): Uint32Array {
  const dark = isDark();
  const made = tables.get(dark);
  if (made !== undefined) return made;
  const stops = dark ? DARK : LIGHT;
  const words = Uint32Array.from({ length: STEPS }, (_, step) => {
    const place = (step / (STEPS - 1)) * (stops.length - 1);
    const index = Math.min(stops.length - 2, Math.floor(place));
    const [from, to] = [stops[index] as Rgb, stops[index + 1] as Rgb];
    const [r, g, b] = from.map((value, i) => Math.round(value + (place - index) * ((to[i] as number) - value)));
    return (255 << 24) | ((b as number) << 16) | ((g as number) << 8) | (r as number);
  });
  tables.set(dark, words);
  return words;
}

const stepOf = (value: number): number => Math.max(0, Math.min(STEPS - 1, Math.round(((value + 1) / 2) * (STEPS - 1))));

/** Fills an image with the colors of `values[offset + i · stride] · scale`. */
export function paint(
  image: ImageData,
  values: ArrayLike<number>,
  { offset = 0, stride = 1, scale = 1, shift = 0 } = {},
): void {
  const words = new Uint32Array(image.data.buffer);
  const colors = table();
  for (let i = 0; i < words.length; i++) {
    words[i] = colors[stepOf((values[offset + i * stride] as number) * scale + shift)] as number;
  }
}

export function colorOf(value: number): string {
  const word = table()[stepOf(value)] as number;
  return `rgb(${word & 255} ${(word >> 8) & 255} ${(word >> 16) & 255})`;
}

/** The value of a custom property of the style sheet. */
export const styleColor = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();
