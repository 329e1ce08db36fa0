// Counts the bytes that constructors are asked for, by whoever uses the global ones: ArrayBuffer, typed arrays, arrays with a length;
// copies by slice and map; and memory of WebAssembly. To be imported before what is measured.

let asked = 0;

/** All bytes that were asked for until now. */
export const askedBytes = (): number => asked;

const realm = globalThis as unknown as Record<string, unknown>;

/** Views of a buffer take no memory; a length does, and so does what is copied. */
function sizeOf(first: unknown, elementBytes: number): number {
  if (typeof first === "number") return first > 0 ? first * elementBytes : 0;
  if (typeof first !== "object" || first === null) return 0;
  if (ArrayBuffer.isView(first) || Array.isArray(first))
    return ((first as unknown as { length?: number }).length ?? 0) * elementBytes;
  return 0;
}

type Constructor = abstract new (...given: never[]) => object;

function meter(name: string, elementBytes: number): void {
  realm[name] = new Proxy(realm[name] as Constructor, {
    construct(target, given, newTarget) {
      asked += sizeOf(given[0], elementBytes);
      return Reflect.construct(target as never, given, newTarget as never);
    },
  });
}

const KINDS = "Int8 Uint8 Uint8Clamped Int16 Uint16 Int32 Uint32 Float32 Float64 BigInt64 BigUint64".split(" ");
const typed = Object.getPrototypeOf(Uint8Array.prototype) as Record<string, (...given: unknown[]) => object>;
for (const kind of KINDS) {
  const { BYTES_PER_ELEMENT } = realm[`${kind}Array`] as { readonly BYTES_PER_ELEMENT: number };
  meter(`${kind}Array`, BYTES_PER_ELEMENT);
}
for (const kind of ["ArrayBuffer", "SharedArrayBuffer"]) meter(kind, 1);
// An element takes eight bytes at most, while it is a number or a reference.
meter("Array", 8);

for (const [prototype, name] of [
  [typed, "slice"],
  [typed, "map"],
  [ArrayBuffer.prototype, "slice"],
] as [Record<string, (...given: unknown[]) => object>, string][]) {
  const original = prototype[name];
  prototype[name] = function (this: object, ...given) {
    const made = original.apply(this, given);
    asked += (made as { byteLength: number }).byteLength;
    return made;
  };
}

const { grow } = WebAssembly.Memory.prototype;
WebAssembly.Memory.prototype.grow = function (pages) {
  asked += pages * 2 ** 16;
  return grow.call(this, pages);
};
