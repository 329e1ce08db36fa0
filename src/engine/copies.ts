// Several copies of the package in one process: `import` and `require`, steepest/inline and another entry, or two
// installed versions. Copies of the same version work together; values that another version made are refused.
import { ModelError } from "./errors.js";

/** The package's version, which the build writes into each bundle. */
declare const STEEPEST_VERSION: string | undefined;
export const VERSION = typeof STEEPEST_VERSION === "undefined" ? "source" : STEEPEST_VERSION;

// Typed `symbol`, not `unique symbol`, so that the public types do not show it.
const MADE_BY: symbol = /* @__PURE__ */ Symbol.for("steepest.madeBy");

/** Marks a value that may be passed to another copy with the version that made it. */
export function made<T extends object>(value: T): T {
  (value as Record<symbol, string>)[MADE_BY] = VERSION;
  return value;
}

/**
 * Refuses a value that another version made. Its kernels, nodes and instructions may differ, and the only sign of that
 * would be wrong results. A value without a mark was made by the user.
 */
export function checkMade(where: string, value: unknown): void {
  const version = (value as Record<symbol, string | undefined> | undefined | null)?.[MADE_BY];
  if (version === undefined || version === VERSION) return;
  throw new ModelError(
    `${where}: was given what steepest ${version} made, but is of steepest ${VERSION}: two versions are installed. ` +
      "`npm ls steepest` shows who asks for which; ask for one version everywhere, or try `npm dedupe`",
  );
}

/** One object for all copies of this version in this realm. If the global object is frozen, each copy has its own. */
export function shared<T extends object>(name: string, own: T): T {
  const key = Symbol.for(`steepest ${VERSION} ${name}`);
  const everywhere = globalThis as unknown as Record<symbol, T | undefined>;
  const known = everywhere[key];
  if (known !== undefined) return known;
  // Unlike Object.defineProperty, this does not throw if the global object is frozen.
  Reflect.defineProperty(globalThis, key, { value: own });
  return own;
}
