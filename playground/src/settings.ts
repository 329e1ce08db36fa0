// Settings that a link carries: each is a field with a default, and only what differs from it is written.

/** A setting as the text of a link. */
export interface Field<T> {
  readonly fallback: T;
  /** Undefined if the text is none of its values. */
  read(text: string): T | undefined;
  write(value: T): string;
}

// biome-ignore lint/suspicious/noExplicitAny: the type of a field is found from it.
export type SettingsOf<S extends Record<string, Field<any>>> = {
  -readonly [K in keyof S]: S[K] extends Field<infer T> ? T : never;
};

/** One of these words. */
export function choice<const T extends string>(values: readonly T[], fallback: NoInfer<T>): Field<T> {
  return {
    fallback,
    read: (text) => values.find((value) => value === text),
    write: (value) => value,
  };
}

/** A number within these bounds, both included. */
export function number(fallback: number, { min, max, whole = false }: Bounds): Field<number> {
  return {
    fallback,
    read(text) {
      const value = Number(text);
      const fits = text.trim() !== "" && value >= min && value <= max && (!whole || Number.isInteger(value));
      return fits ? value : undefined;
    },
    write: String,
  };
}

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly whole?: boolean;
}

/** Some of these words, in their order, and at least one. */
export function subset<const T extends string>(
  values: readonly T[],
  fallback: readonly NoInfer<T>[],
): Field<readonly T[]> {
  return {
    fallback,
    read(text) {
      const names = text.split(".");
      const found = values.filter((value) => names.includes(value));
      return found.length === names.length ? found : undefined;
    },
    write: (value) => value.join("."),
  };
}

/** A list of whole numbers, such as the units of layers. An empty list is written "none". */
export function integers(
  fallback: readonly number[],
  { min, max, most }: { min: number; max: number; most: number },
): Field<readonly number[]> {
  return {
    fallback,
    read(text) {
      if (text === "none") return [];
      const numbers = text.split("-").map(Number);
      const fit = numbers.every((value) => Number.isInteger(value) && value >= min && value <= max);
      return fit && numbers.length <= most ? numbers : undefined;
    },
    write: (value) => (value.length === 0 ? "none" : value.join("-")),
  };
}

// biome-ignore lint/suspicious/noExplicitAny: see SettingsOf.
type Fields = Record<string, Field<any>>;

export function defaultsOf<S extends Fields>(schema: S): SettingsOf<S> {
  return Object.fromEntries(Object.entries(schema).map(([name, { fallback }]) => [name, fallback])) as SettingsOf<S>;
}

/** What stands behind the # of a link: `data=spiral&noise=10`, without what has its default. */
export function encodeSettings<S extends Fields>(schema: S, settings: SettingsOf<S>): string {
  const parts = Object.entries(schema).flatMap(([name, field]) => {
    const text = field.write(settings[name]);
    return text === field.write(field.fallback) ? [] : [`${name}=${encodeURIComponent(text)}`];
  });
  return parts.join("&");
}

/** The settings of a link. What it lacks, or what does not fit, has its default: old and mistyped links open all the same. */
export function decodeSettings<S extends Fields>(schema: S, hash: string): SettingsOf<S> {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  return Object.fromEntries(
    Object.entries(schema).map(([name, field]) => {
      const text = given.get(name);
      return [name, (text === null ? undefined : field.read(text)) ?? field.fallback];
    }),
  ) as SettingsOf<S>;
}
