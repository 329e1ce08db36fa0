/**
 * What kind of built-in a value is: "Map", "Float32Array", "Error". `instanceof` would know those of this realm only:
 * test runners, frames and `node:vm` hand in values of others.
 */
export function kindOf(value: unknown): string {
  // Single steps come by here: this much is compiled to a look at the value itself.
  if (ArrayBuffer.isView(value)) return (value as Uint8Array)[Symbol.toStringTag];
  return Object.prototype.toString.call(value).slice(8, -1);
}
