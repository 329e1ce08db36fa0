// Patterns of parameters' paths.

/**
 * Whether a path matches a pattern: the path of a parameter, or of a layer or model, which stands for all in it; `*` stands for any
 * characters.
 */
export function matcherOf(pattern: string): (path: string) => boolean {
  const literal = pattern.split(/\*+/).map((text) => text.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  const whole = new RegExp(`^${literal.join(".*")}(?:\\..*)?$`, "s");
  return (path) => whole.test(path);
}
