// What goes into a model or layer and comes out of it: one tensor, or several by name.
import { DataError, ModelError, showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type DType, type Shape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import type { Bound } from "../graph/values.js";

/** Shapes of the parts of a sample, by name. Never with the batch axis. */
export type NamedShapes = Readonly<Record<string, Shape>>;

/** The shape of one sample, or of several parts of a sample by name. Never with the batch axis. */
export type Ports = Shape | NamedShapes;

/** One thing for each port: `T` itself for one port, an object of them for named ones. */
export type ForPorts<P extends Ports, T> = P extends Shape ? T : { readonly [K in keyof P]: T };

/** Tensors of a model's inputs or outputs. */
export type Traced<P extends Ports> = ForPorts<P, Tensor>;

/** Names such as `["x", "mask?"]` as keys: what ends in "?" may be left out. */
export type ByName<N extends string, T> = { readonly [K in RequiredName<N>]: T } & {
  readonly [K in OptionalName<N>]?: T | undefined;
};

/** Those of the names that do not end in "?". */
export type RequiredName<N extends string> = N extends `${string}?` ? never : N;

/** Those of the names that end in "?", without it. */
export type OptionalName<N extends string> = N extends `${infer Name}?` ? Name : never;

/** One port. */
export interface Port {
  /** Its name, `undefined` for the only one. */
  readonly key: string | undefined;
  /** Whether it may be left out. Default false. */
  readonly optional?: boolean;
  readonly shape: Shape;
  readonly dtype: DType;
  /** What the whole numbers of an input must be below, as they choose among so many; of one sample's elements. */
  readonly bound?: Bound | undefined;
}

export function isShape(ports: Ports): ports is Shape {
  return Array.isArray(ports);
}

const MAX_SIZE = 2 ** 31;

/** Checks shapes and lists them, as ports of float32. An empty shape is one number a sample. */
export function parsePorts(where: string, ports: Ports): Port[] {
  const port = (key: string | undefined, shape: Shape): Port => {
    const isList = Array.isArray(shape) && shape.length <= MAX_AXES;
    if (!isList || !Array.from(shape).every(isSize) || sizeOf(shape) > MAX_SIZE) {
      const remedy = isSize(shape) ? `: write [${shape}]` : "";
      throw new ModelError(
        `${where}: input${key === undefined ? "" : ` "${key}"`} must be the shape of one sample, like [784] or [28, 28], got ${showValue(shape)}${remedy}`,
      );
    }
    return { key, shape: [...shape], dtype: "float32" };
  };
  if (kindOf(ports) !== "Object") return [port(undefined, ports as Shape)];
  const named = Object.entries(ports).map(([key, shape]) => port(key, shape));
  if (named.length > 0) return named;
  throw new ModelError(`${where}: a model needs at least one input, got {}: name their shapes`);
}

// More axes than any layer knows of.
const MAX_AXES = 32;

function isSize(size: unknown): boolean {
  return Number.isSafeInteger(size) && (size as number) >= 1;
}

/** What is known of a port by its name alone. */
export type PortKey = Pick<Port, "key" | "optional">;

/** The ports of these names, of which what ends in "?" may be left out; one without a name if there are none. */
export function portsNamed(names: readonly string[] | undefined): readonly PortKey[] {
  if (names === undefined) return [{ key: undefined }];
  return names.map((name) => (name.endsWith("?") ? { key: name.slice(0, -1), optional: true } : { key: name }));
}

/** How errors list ports: those that may be left out as "mask?". */
export function showPorts(ports: readonly PortKey[]): string {
  return showNames(ports.map(({ key, optional }) => `${key}${optional ? "?" : ""}`));
}

/**
 * What was given for each port, in order: the thing itself, or the entries of an object; `undefined` for what was left out
 * and may be. Throws DataError (or what `refuse` makes of the message) that names what is missing or unknown.
 */
export function toList<T>(
  where: string,
  given: T | Readonly<Record<string, T>>,
  ports: readonly PortKey[],
  refuse: (message: string) => Error = (message) => new DataError(message),
): T[] {
  // An object of no ports: a model whose outputs have no losses has no targets.
  if (ports.length === 1 && ports[0].key === undefined) return [given as T];
  const names = ports.map((port) => port.key as string);
  const keys = kindOf(given) === "Object" ? Object.keys(given as object) : [];
  const missing = ports.some(({ key, optional }) => !optional && !keys.includes(key as string));
  if (missing || keys.some((name) => !names.includes(name)) || (ports.length > 0 && kindOf(given) !== "Object")) {
    const got = keys.length > 0 ? `{ ${showNames(keys)} }` : showValue(given);
    throw refuse(`${where}: must be an object with ${showPorts(ports)}, got ${got}`);
  }
  return names.map((name) => (given as Record<string, T>)[name]);
}

/** The reverse of `toList`: what was left out has no entry. */
export function fromList<P extends Ports, T>(ports: readonly PortKey[], values: readonly T[]): ForPorts<P, T> {
  if (ports[0].key === undefined) return values[0] as ForPorts<P, T>;
  const entries = ports.map(({ key }, index) => [key, values[index]]);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as ForPorts<P, T>;
}

/** Other shapes for these ports, checked: in their order. */
export function shapesFor(where: string, given: Ports, ports: readonly Port[]): readonly Shape[] {
  const asked = parsePorts(where, given);
  if (ports[0].key === undefined && asked[0].key !== undefined) {
    throw new ModelError(`${where}: must be one shape, got ${showValue(given)}: the inputs have no names`);
  }
  return toList<Shape>(where, given as Shape, ports);
}

/** How errors name a port: `x`, or `x.image`. */
export function portName(where: string, { key }: Pick<Port, "key">): string {
  return key === undefined ? where : `${where}.${key}`;
}

/** A port's shape with the batch axis, as text. */
export function showBatch(shape: Shape): string {
  return showShape(["batch", ...shape]);
}
