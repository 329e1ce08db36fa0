// Several copies of the package in one process: `import` beside `require`, steepest/inline beside another entry, two
// installed versions. Copies of one version work together; what another version made is refused.
import { ModelError } from "./errors.js";

/** The package's version, which the build lays into each bundle. */
declare const STEEPEST_VERSION: string | undefined;
const VERSION = typeof STEEPEST_VERSION === "undefined" ? "source" : STEEPEST_VERSION;

// Its type is no `unique symbol`, so that the public types do not show it.
const MADE_BY: symbol = /* @__PURE__ */ Symbol.for("steepest.madeBy");

/** Marks what another copy may be given, with the version that made it. */
export function made<T extends object>(value: T): T {
  (value as Record<symbol, string>)[MADE_BY] = VERSION;
  return value;
}

/**
 * Refuses what another version made: its kernels, nodes and instructions may differ, which would show in wrong values
 * only. What carries no mark is a user's own.
 */
export function checkMade(where: string, value: unknown): void {
  const version = (value as Record<symbol, string | undefined> | undefined | null)?.[MADE_BY];
  if (version === undefined || version === VERSION) return;
  throw new ModelError(
    `${where}: was given what steepest ${version} made, but is of steepest ${VERSION}: two versions are installed. ` +
      "`npm ls steepest` shows who asks for which; ask for one version everywhere, or try `npm dedupe`",
  );
}

/** One object for all copies of this version in this realm. Where the global object is frozen each copy has its own. */
export function shared<T extends object>(name: string, own: T): T {
  const key = Symbol.for(`steepest ${VERSION} ${name}`);
  const everywhere = globalThis as unknown as Record<symbol, T | undefined>;
  const known = everywhere[key];
  if (known !== undefined) return known;
  // Reflect's form says no instead of throwing.
  Reflect.defineProperty(globalThis, key, { value: own });
  return own;
}
