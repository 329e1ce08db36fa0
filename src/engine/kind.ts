/**
 * The kind of a built-in value: "Map", "Float32Array", "Error". `instanceof` would only know values of this realm, and
 * test runners, frames and `node:vm` pass in values of other realms.
 */
export function kindOf(value: unknown): string {
  // For single steps, which come by here: V8 compiles this to a look at the value itself.
  if (ArrayBuffer.isView(value)) return (value as Uint8Array)[Symbol.toStringTag];
  return Object.prototype.toString.call(value).slice(8, -1);
}

/** Whether it is an array whose entries all pass. Holes are `undefined`, and one that does not pass ends it at once. */
export function isArrayOf<T>(value: unknown, test: (entry: unknown) => entry is T): value is readonly T[] {
  if (!Array.isArray(value)) return false;
  for (const entry of value) if (!test(entry)) return false;
  return true;
}
