// A file's bytes, as users hand them in.
import { showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { sizeOf } from "../graph/shape.js";
import { FormatError } from "./formatError.js";

/** The whole file: a Uint8Array (a Buffer is one), or the buffer itself, as `response.arrayBuffer()` gives it. */
export type FileBytes = Uint8Array | ArrayBufferLike;

/** The bytes as a Uint8Array, not copied. Throws FormatError if they are something else. */
export function bytesOf(where: string, bytes: FileBytes): Uint8Array {
  const kind = kindOf(bytes);
  if (ArrayBuffer.isView(bytes) && kind === "Uint8Array") return bytes;
  const isBuffer = kind === "ArrayBuffer" || kind === "SharedArrayBuffer";
  // No bytes are left of a buffer that was transferred, and no view can be made of it.
  if (isBuffer)
    return (bytes as ArrayBuffer).byteLength === 0 ? new Uint8Array(0) : new Uint8Array(bytes as ArrayBuffer);
  throw new FormatError(
    `${where}: the bytes must be a Uint8Array or an ArrayBuffer, got ${showValue(bytes)}: ${remedy(bytes)}`,
  );
}

function remedy(bytes: unknown): string {
  if (typeof bytes === "string") return "read the file first, as readFileBytes(path) does";
  if (kindOf(bytes) === "Promise") return "await it";
  if (ArrayBuffer.isView(bytes)) return "view its bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength)";
  return "of a Response or a Blob, await arrayBuffer()";
}

/** What errors begin with: the kind of file, and its name where there is one. */
export function placeOf(kind: string, name: string | undefined): string {
  if (name === undefined) return kind;
  if (typeof name === "string") return `${kind} "${name.length > 300 ? `…${name.slice(-300)}` : name}"`;
  throw new FormatError(`${kind}: its name must be text, got ${showValue(name)}: leave it out, or give the path`);
}

/** Where the elements of an array are: offset and strides in elements, `size` is the bytes of one. */
interface Strided {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly size: number;
  readonly offset?: number;
}

/** The elements of a strided array, row-major, in new memory. All of them must be within `bytes`. */
export function rowMajor(bytes: Uint8Array, { shape, strides, size, offset = 0 }: Strided): Uint8Array<ArrayBuffer> {
  const made = new Uint8Array(sizeOf(shape) * size);
  const at = shape.map(() => 0);
  let source = offset;
  for (let to = 0; to < made.length; to += size) {
    for (let byte = 0; byte < size; byte++) made[to + byte] = bytes[source * size + byte];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      source += strides[axis];
      if (++at[axis] < shape[axis]) break;
      source -= at[axis] * strides[axis];
      at[axis] = 0;
    }
  }
  return made;
}
