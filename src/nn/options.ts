// The options of layers: what is read alike in all of them, and the parameters that some of them describe.
import { checkMade } from "../engine/copies.js";
import { ModelError, remedyForValue, showValue } from "../engine/errors.js";
import { flag, joined, type OptionRule, type OptionsOf, type ReadOptions, readOptions } from "../engine/options.js";
import {
  type Constraint,
  type Initializer,
  parameter,
  type Regularizer,
  type Shape,
  type Tensor,
} from "../graph/tensor.js";
import { checkName, type Layer, type LayerParameter, type LayerPlace } from "./layer.js";

/** What a table has beyond the options of an interface: it must be nothing. */
type Beyond<Table, Options> = Exclude<keyof Table, keyof Options>;

/**
 * All options of a layer by name. Throws ModelError as `readOptions` does, and for a layer in the place of the options. The
 * compiler refuses a table that is not that of the options, in both directions.
 */
export function readLayerOptions<Options extends object, Table extends OptionsOf<Options>>(
  kind: string,
  options: Options,
  table: Table & (Beyond<Table, Options> extends never ? unknown : Beyond<Table, Options>),
): ReadOptions<Table> {
  const { kind: layer, build } = (options ?? {}) as Partial<Layer>;
  if (typeof build === "function") {
    throw new ModelError(
      `${kind}: options must be an object, got the layer ${layer}(): add it behind, as a layer of its own`,
    );
  }
  return readOptions(kind, options, table as Table);
}

/** The name of a layer: a text of at least one character. */
export const layerName: OptionRule<string | undefined> = (where, _name, value) => {
  if (value !== undefined) checkName(where, value);
  return value as string | undefined;
};

/** A table of a layer's name alone. */
export const NAME = { name: layerName };

// The method that tells a part of a parameter, and what to write.
const INITIALIZER = ["record", "an initializer such as zeros()"] as const;
const REGULARIZER = ["penalty", "a regularizer such as l2()"] as const;
const CONSTRAINT = ["record", "a constraint such as maxNorm()"] as const;

/** Refuses what is no initializer, regularizer or constraint. */
function checkPart(where: string, name: string, value: unknown, [method, wanted]: readonly [string, string]): void {
  checkMade(where, value);
  if (typeof value === "object" && typeof (value as Record<string, unknown> | null)?.[method] === "function") return;
  const remedy = remedyForValue(value, /\w+(?=\(\))/.exec(wanted)?.[0] ?? "");
  throw new ModelError(`${where}: ${name} must be ${wanted}, got ${showValue(value)}${remedy}`);
}

/** Refuses what is no initializer. */
export function checkInitializer(where: string, value: unknown): void {
  checkPart(where, "initializer", value, INITIALIZER);
}

/* @__NO_SIDE_EFFECTS__ */
function part<T>(wanted: readonly [string, string]): OptionRule<T | undefined> {
  return (where, name, value) => {
    if (value !== undefined) checkPart(where, name, value, wanted);
    return value as T | undefined;
  };
}

/** The options of a parameter of a layer. */
type Parts<Name extends string> = { readonly [K in `${Name}Initializer`]: OptionRule<Initializer | undefined> } & {
  readonly [K in `${Name}Regularizer`]: OptionRule<Regularizer | undefined>;
} & { readonly [K in `${Name}Constraint`]: OptionRule<Constraint | undefined> };

/** A table of how a parameter is made and kept: `weightInitializer`, `weightRegularizer` and `weightConstraint`. */
/* @__NO_SIDE_EFFECTS__ */
export function partOptions<const Name extends string>(name: Name): Parts<Name> {
  return {
    [`${name}Initializer`]: part(INITIALIZER),
    [`${name}Regularizer`]: part(REGULARIZER),
    [`${name}Constraint`]: part(CONSTRAINT),
  } as Parts<Name>;
}

/** A table of a layer's name, and of its parameter `weight`. */
export const WEIGHT = joined(NAME, partOptions("weight"));

/** A table of a layer's parameter `bias`, and of whether there is one. */
export const BIAS = joined({ bias: flag(true) }, partOptions("bias"));

/** The parameters of one layer. */
export interface MadeParameters {
  /** In the order in which they were made. */
  readonly made: LayerParameter[];
  /** Makes one as the options say that are called after `part`, which is its name if it has the same. */
  make(name: string, shape: Shape, initializer: Initializer, part?: string): Tensor;
}

/** What makes the parameters of a layer by its options. */
export function parametersOf({ path }: Pick<LayerPlace, "path">, options: object): MadeParameters {
  const made: LayerParameter[] = [];
  const given = options as Readonly<Record<string, unknown>>;
  return {
    made,
    make(name, shape, initializer, part = name) {
      const tensor = parameter(
        shape,
        (given[`${part}Initializer`] as Initializer | undefined) ?? initializer,
        `${path}.${name}`,
        {
          regularizer: given[`${part}Regularizer`] as Regularizer | undefined,
          constraint: given[`${part}Constraint`] as Constraint | undefined,
        },
      );
      made.push({ name, tensor });
      return tensor;
    },
  };
}
